use super::*;

#[test]
fn code_spans_and_links_live() {
    assert_eq!(
        doc_lines("all `Vec<u8>`s, see https://example.org/a?b=c"),
        ["all `Vec<u8>`s, see <https://example.org/a?b=c>"]
    );
}

#[test]
fn html_links_and_emphasis_are_text() {
    assert_eq!(
        doc_lines("<script>alert(1)</script> [x](y) *b*"),
        ["\\<script\\>alert(1)\\</script\\> \\[x\\](y) \\*b\\*"]
    );
}

#[test]
fn no_line_starts_a_doctest() {
    assert_eq!(
        doc_lines("```\n    panic!()\n```"),
        ["\\`\\`\\`", "panic!()", "\\`\\`\\`"]
    );
}

#[test]
fn control_and_direction_marks_are_shown() {
    assert_eq!(
        one_line("a\u{202e}b\r\u{1b}[0m\n"),
        "a\\u{202e}b\\r\\u{1b}[0m\\n"
    );
}
