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
fn json_strings_are_escaped() {
    assert_eq!(string("a\"b\\c\n\u{1}"), "\"a\\\"b\\\\c\\n\\u0001\"");
}
