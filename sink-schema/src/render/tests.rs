use super::string;
use crate::{Color, Format, Layers, SourceFile, load};

fn drawn(format: Format, color: Color) -> String {
    let base = SourceFile::new(
        "services.toml",
        "[services.a]\ntype = \"relay\"\nbufer_size = 5\n",
    );
    load(&Layers::of(&base)).1.render(format, color)
}

#[test]
fn each_format_has_its_shape() {
    assert_eq!(
        drawn(Format::Short, Color::Never),
        "services.toml:3:1: error[E0102]: unknown key `bufer_size`\n"
    );
    let github = drawn(Format::Github, Color::Never);
    assert!(github.starts_with(
        "::error file=services.toml,line=3,col=1,title=E0102::unknown key `bufer_size`%0A"
    ));
    let json = drawn(Format::Json, Color::Never);
    assert!(
        json.starts_with("[\n{\"severity\":\"error\",\"code\":\"E0102\"")
            && json.ends_with("}\n]\n"),
        "{json}"
    );
    let human = drawn(Format::Human, Color::Never);
    assert!(
        human.starts_with("error[E0102]: unknown key `bufer_size`\n --> services.toml:3:1\n"),
        "{human}"
    );
    assert!(!human.contains('\u{1b}'));
    assert!(drawn(Format::Human, Color::Always).contains('\u{1b}'));
}

#[test]
fn no_format_prints_what_a_terminal_obeys_or_nobody_sees() {
    let base = SourceFile::new(
        "ser\u{1b}[31mvices.toml",
        "\u{feff}[services.\"a\\u001b[31m\"]\ntype = \"relay\"\n\"\u{9b}\u{202e}\\n::error::\" = 3 # \u{200b}\u{e0041}\n[services]\n\"b\\u001b\" = 1\n\
         [services.c.\"\\u009b\"]\ntype = \"relay\"\n",
    );
    let (_, mistakes) = load(&Layers::of(&base));
    assert!(mistakes.len() >= 4, "{mistakes}");
    for format in [Format::Human, Format::Short, Format::Json, Format::Github] {
        let text = mistakes.render(format, Color::Never);
        let odd = |c: &char| (c.is_control() && *c != '\n') || crate::names::is_invisible(*c);
        assert_eq!(text.chars().find(odd), None, "{format:?}: {text}");
        if matches!(format, Format::Short | Format::Github) {
            assert_eq!(text.lines().count(), mistakes.len(), "{text}");
        }
    }
}

/// Who applies a patch replaces bytes of the file as it is.
#[test]
fn json_offsets_count_a_byte_order_mark() {
    let text = "\u{feff}[services.a]\ntype = \"realy\"\n";
    let base = SourceFile::new("services.toml", text);
    let json = load(&Layers::of(&base))
        .1
        .render(Format::Json, Color::Never);
    let start = text.find("\"realy\"").unwrap();
    let place = format!("\"start\":{start},\"end\":{}", start + 7);
    assert!(json.contains(&place), "{place} in {json}");
}

#[test]
fn json_strings_are_escaped() {
    assert_eq!(string("a\"b\\c\n\u{1}"), "\"a\\\"b\\\\c\\n\\u0001\"");
}
