//! Two shapes of a message beside each other: which fields differ, and whether one may be read as the other. Pure.

use crate::__private::contents::MARK;
use crate::codec::Codec;

/// How much of two shapes an error names; the rest is counted.
const NAMED: usize = 6;
const NAMED_CHARS: usize = 60;

/// What to say of a producer's shape that is not the consumer's: the fields that differ, and what may be done about it.
pub(super) fn differ(codec: Codec, theirs: &str, ours: &str, accepts: &str) -> String {
    let differing = fields_that_differ(&Shape::of(theirs), &Shape::of(ours));
    let verdict = match (Shape::of(theirs), Shape::of(ours)) {
        (theirs, _) if !theirs.whole => Verdict::Unknown,
        (theirs, ours) => judge(codec, &theirs, &ours),
    };
    let codec = crate::codec::name(codec);
    match verdict {
        Verdict::Safe(why) => format!("{differing}; to admit it, write {accepts}: {why}"),
        Verdict::Unsafe { why, instead } => {
            format!("{differing}; {accepts} would admit it, but not safely: {why}; {instead}")
        }
        Verdict::Unknown => format!(
            "{differing}; {accepts} admits it, which is safe only if {codec} reads that shape as this one"
        ),
    }
}

/// Whether messages of the producer's shape decode as what they are.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Safe(&'static str),
    Unsafe { why: String, instead: String },
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Named,
    Tuple,
    Enum,
    Unit,
}

/// `#[attributes]Tick{price:u64,side:Side}`, taken apart at its outermost level.
#[derive(Debug)]
struct Shape<'a> {
    attributes: &'a str,
    form: Form,
    /// Fields or variants.
    parts: Vec<Part<'a>>,
    /// Neither missing nor cut.
    whole: bool,
}

/// `#[default]side:Side`, `u64`, `Sync{a:u64}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part<'a> {
    text: &'a str,
    attributes: &'a str,
    /// Empty in a tuple.
    name: &'a str,
    /// The type of a field, the fields of a variant.
    holds: &'a str,
}

// === impl Shape ===

impl<'a> Shape<'a> {
    fn of(text: &'a str) -> Self {
        let (attributes, rest) = attributes(text);
        let opening = rest.find(['{', '(']);
        let (inner, closing) = match opening {
            Some(at) if rest[at..].starts_with('{') => (&rest[at + 1..], Some('}')),
            Some(at) => (&rest[at + 1..], Some(')')),
            None => ("", None),
        };
        let body = closing.map_or(Some(inner), |closing| inner.strip_suffix(closing));
        let parts = split(body.unwrap_or(inner));
        let is_enum = closing == Some('}')
            && parts
                .first()
                .is_some_and(|part| name_and_rest(attributes_off(part), ':').is_none());
        let form = match closing {
            None => Form::Unit,
            Some(')') => Form::Tuple,
            Some(_) if is_enum => Form::Enum,
            Some(_) => Form::Named,
        };
        Self {
            attributes,
            form,
            parts: parts.into_iter().map(|part| Part::of(part, form)).collect(),
            whole: body.is_some() && !text.is_empty(),
        }
    }

    fn find(&self, name: &str) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.name == name)
    }
}

impl<'a> Part<'a> {
    fn of(text: &'a str, form: Form) -> Self {
        let (attributes, rest) = attributes(text);
        let (name, holds) = match form {
            Form::Tuple | Form::Unit => ("", rest),
            Form::Named => name_and_rest(rest, ':').unwrap_or((rest, "")),
            Form::Enum => rest
                .find(['{', '('])
                .map_or((rest, ""), |at| rest.split_at(at)),
        };
        Self {
            text,
            attributes,
            name,
            holds,
        }
    }

    /// Whether the two are spelt alike, and their types hold different things.
    fn differs_within(&self, other: &Part<'_>) -> bool {
        self.text != other.text && unmarked(self.text) == unmarked(other.text)
    }

    /// Whether JSON may leave it out.
    fn may_be_missing(&self) -> bool {
        let plain = self.attributes.is_empty() && self.holds.starts_with("Option<");
        plain || self.attributes.starts_with("#[default")
    }
}

/// The leading `#[…]` of a text, and what follows.
fn attributes(text: &str) -> (&str, &str) {
    let mut end = 0;
    while text[end..].starts_with("#[") {
        let mut depth = 0usize;
        let closing = text[end..].char_indices().find(|(_, character)| {
            match character {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            *character == ']' && depth == 0
        });
        match closing {
            Some((at, _)) => end += at + 1,
            None => break,
        }
    }
    text.split_at(end)
}

fn attributes_off(text: &str) -> &str {
    attributes(text).1
}

/// Splits at a separator that stands in no bracket.
fn name_and_rest(text: &str, separator: char) -> Option<(&str, &str)> {
    let at = text.find(|c: char| c == separator || "{(<[".contains(c))?;
    let rest = text[at..].strip_prefix(separator)?;
    Some((&text[..at], rest))
}

/// The parts of a shape's inside: `price:u64`, `side:Side`.
fn split(inner: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0i32, 0);
    for (at, character) in inner.char_indices() {
        match character {
            '{' | '(' | '<' | '[' => depth += 1,
            '}' | ')' | '>' | ']' => depth -= 1,
            ',' | '|' if depth == 0 => {
                parts.push(inner[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(inner[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// `; only the producer has …; only the consumer has …`.
fn fields_that_differ(theirs: &Shape<'_>, ours: &Shape<'_>) -> String {
    let only = |these: &Shape<'_>, those: &Shape<'_>| -> Vec<String> {
        let missing = |part: &&Part<'_>| !those.parts.iter().any(|other| other.text == part.text);
        let missing = these.parts.iter().filter(missing);
        missing.map(|part| quoted(part.text)).collect()
    };
    let within: Vec<String> = theirs
        .parts
        .iter()
        .filter(|part| ours.parts.iter().any(|other| part.differs_within(other)))
        .map(|part| quoted(part.text))
        .collect();
    let (mut theirs_alone, mut ours_alone) = (only(theirs, ours), only(ours, theirs));
    for alone in [&mut theirs_alone, &mut ours_alone] {
        alone.retain(|part| !within.contains(part));
    }
    let verb = if within.len() == 1 { "is" } else { "are" };
    let within = match within.as_slice() {
        [] => String::new(),
        parts => format!(
            "; {} {verb} spelt alike at both ends, and the types named there have other shapes",
            listed(parts)
        ),
    };
    if !within.is_empty() && theirs_alone.is_empty() && ours_alone.is_empty() {
        return within;
    }
    if theirs_alone.is_empty() && ours_alone.is_empty() {
        let same_order = theirs.parts.iter().eq(&ours.parts);
        return match (same_order, theirs.attributes == ours.attributes) {
            (false, _) => "; they have the same fields in another order".to_owned(),
            (true, false) => "; they differ in their serde attributes".to_owned(),
            (true, true) => "; they differ in their name alone".to_owned(),
        };
    }
    format!(
        "{within}; only the producer has {}; only the consumer has {}",
        listed(&theirs_alone),
        listed(&ours_alone)
    )
}

/// A shape's text without the marks of what its types hold.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('#') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let digits = after[1..].bytes().take(MARK - 1);
        let is_mark =
            digits.clone().count() == MARK - 1 && digits.clone().all(|b| b.is_ascii_hexdigit());
        if is_mark {
            rest = &after[MARK..];
        } else {
            out.push('#');
            rest = &after[1..];
        }
    }
    out + rest
}

fn quoted(part: &str) -> String {
    let part = unmarked(part);
    let (shown, more) = match part.char_indices().nth(NAMED_CHARS) {
        Some((end, _)) => (&part[..end], "…"),
        None => (part.as_str(), ""),
    };
    format!("`{}{more}`", crate::frame::escape(shown.as_bytes()))
}

fn listed(parts: &[String]) -> String {
    match parts.len() {
        0 => "nothing else".to_owned(),
        count if count > NAMED => {
            format!("{} and {} more", parts[..NAMED].join(", "), count - NAMED)
        }
        _ => parts.join(", "),
    }
}

fn judge(codec: Codec, theirs: &Shape<'_>, ours: &Shape<'_>) -> Verdict {
    match codec {
        Codec::Postcard => by_place(theirs, ours),
        Codec::Json => by_name(theirs, ours),
        Codec::Raw => Verdict::Unknown,
    }
}

/// What postcard makes of it: it writes values one after another, without names, and variants by their number.
fn by_place(theirs: &Shape<'_>, ours: &Shape<'_>) -> Verdict {
    let alike = |(one, other): (&Part<'_>, &Part<'_>)| {
        one.holds == other.holds && one.attributes == other.attributes
    };
    // A name that went to another place took its meaning along, whatever the bytes look like.
    let moved = theirs.parts.iter().enumerate().any(|(place, part)| {
        let ours = ours.parts.iter().position(|other| other.name == part.name);
        !part.name.is_empty() && ours.is_some_and(|ours| ours != place)
    });
    let begin_alike = theirs.form == ours.form
        && !moved
        && theirs.attributes == ours.attributes
        && theirs.parts.iter().zip(&ours.parts).all(alike);
    if begin_alike && theirs.parts.len() == ours.parts.len() {
        return Verdict::Safe(
            "postcard writes both alike, since only names differ; they must mean the same",
        );
    }
    if begin_alike && theirs.form == Form::Enum && theirs.parts.len() < ours.parts.len() {
        return Verdict::Safe(
            "postcard numbers variants, and what only the consumer has stands behind the others",
        );
    }
    if begin_alike && theirs.form == Form::Enum {
        return Verdict::Unsafe {
            why: "the variants that only the producer has would not decode".to_owned(),
            instead: "update the consumer first".to_owned(),
        };
    }
    Verdict::Unsafe {
        why: "postcard writes values one after another without names, so they would decode as other fields or not at all \
              (an `Option` at the end does not help)"
            .to_owned(),
        instead: "set codec = \"json\" at both ends, where fields may be added as `Option`, or send the new shape through a \
                  service of its own"
            .to_owned(),
    }
}

/// What JSON makes of it: it finds fields and variants by their names.
fn by_name(theirs: &Shape<'_>, ours: &Shape<'_>) -> Verdict {
    let unsafe_since = |why: String, instead: &str| Verdict::Unsafe {
        why,
        instead: instead.to_owned(),
    };
    const APART: &str = "send the new shape through a service of its own";
    if theirs.form != ours.form || theirs.attributes != ours.attributes {
        return unsafe_since("json writes the two in different ways".to_owned(), APART);
    }
    if theirs.form == Form::Tuple {
        return unsafe_since(
            "json writes a tuple without names, as a list".to_owned(),
            APART,
        );
    }
    let changed = theirs.parts.iter().find(|part| {
        let other = ours.find(part.name);
        other.is_some_and(|other| other.holds != part.holds || other.attributes != part.attributes)
    });
    if let Some(changed) = changed {
        if ours
            .find(changed.name)
            .is_some_and(|other| changed.differs_within(other))
        {
            return Verdict::Unknown;
        }
        let why = format!("{} is another type in the consumer", quoted(changed.name));
        return unsafe_since(
            why,
            "give the changed field a name of its own, as an `Option`",
        );
    }
    let mut theirs_alone = theirs
        .parts
        .iter()
        .filter(|part| ours.find(part.name).is_none());
    let strict = ours.attributes.contains("deny_unknown_fields");
    if let Some(unknown) = theirs_alone
        .next()
        .filter(|_| strict || ours.form == Form::Enum)
    {
        let why = format!("the consumer does not know {}", quoted(unknown.name));
        return unsafe_since(why, "update the consumer first");
    }
    let mut ours_alone = ours
        .parts
        .iter()
        .filter(|part| theirs.find(part.name).is_none());
    let needed = ours_alone.find(|part| ours.form == Form::Named && !part.may_be_missing());
    if let Some(needed) = needed {
        let why = format!(
            "it has no {}, which the consumer needs",
            quoted(needed.name)
        );
        return unsafe_since(
            why,
            "make that an `Option`, or give it `#[serde(default)]`, and it may be admitted",
        );
    }
    Verdict::Safe("json finds fields by name, and what only one of them has may be missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTS: &str = "#[message(accepts = [\"0x1\"])] on `Tick`";

    fn said(codec: Codec, theirs: &str, ours: &str) -> String {
        differ(codec, theirs, ours, ACCEPTS)
    }

    #[test]
    fn a_field_added_at_the_end_is_safe_as_json_and_not_as_postcard() {
        let (old, new) = ("Tick{price:u64}", "Tick{price:u64,note:Option<String>}");
        assert_eq!(
            said(Codec::Postcard, old, new),
            "; only the producer has nothing else; only the consumer has `note:Option<String>`; #[message(accepts = [\"0x1\"])] \
             on `Tick` would admit it, but not safely: postcard writes values one after another without names, so they would \
             decode as other fields or not at all (an `Option` at the end does not help); set codec = \"json\" at both ends, \
             where fields may be added as `Option`, or send the new shape through a service of its own"
        );
        assert_eq!(
            said(Codec::Json, old, new),
            "; only the producer has nothing else; only the consumer has `note:Option<String>`; to admit it, write \
             #[message(accepts = [\"0x1\"])] on `Tick`: json finds fields by name, and what only one of them has may be missing"
        );
        let back = said(Codec::Json, new, old);
        assert!(back.contains("to admit it"), "{back}");
    }

    #[test]
    fn the_order_of_fields_matters_to_postcard_alone() {
        let (one, other) = ("Tick{a:u8,b:u8}", "Tick{b:u8,a:u8}");
        let postcard = said(Codec::Postcard, one, other);
        // The bytes are alike and mean something else: only who swapped them knows whether names or values were.
        assert!(
            postcard.starts_with("; they have the same fields in another order;")
                && postcard.contains("not safely"),
            "{postcard}"
        );
        assert!(said(Codec::Json, one, other).contains("to admit it"));
    }

    #[test]
    fn a_renamed_type_or_field_is_told_from_a_changed_one() {
        let renamed = said(Codec::Postcard, "Old{a:u8}", "New{a:u8}");
        assert!(
            renamed.starts_with("; they differ in their name alone; to admit it"),
            "{renamed}"
        );
        assert!(said(Codec::Postcard, "T{a:u8}", "T{b:u8}").contains("to admit it"));
        let json = said(Codec::Json, "T{a:u8}", "T{b:u8}");
        assert!(
            json.contains("it has no `b`, which the consumer needs"),
            "{json}"
        );
        let json = said(Codec::Json, "T{a:u8}", "T{a:u16}");
        assert!(
            json.contains("`a` is another type in the consumer"),
            "{json}"
        );
        assert!(said(Codec::Postcard, "T{a:u8}", "T{a:u16}").contains("not safely"));
    }

    #[test]
    fn variants_may_be_added_at_the_end_where_the_consumer_has_them() {
        let (old, new) = (
            "Event{Swap(Swap)|Sync{a:u64}}",
            "Event{Swap(Swap)|Sync{a:u64}|Halt}",
        );
        for codec in [Codec::Postcard, Codec::Json] {
            let safe = said(codec, old, new);
            assert!(
                safe.starts_with("; only the producer has nothing else; only the consumer has `Halt`; to admit it"),
                "{safe}"
            );
            let late = said(codec, new, old);
            assert!(late.contains("update the consumer first"), "{late}");
        }
        let between = said(Codec::Postcard, old, "Event{Swap(Swap)|Halt|Sync{a:u64}}");
        assert!(between.contains("not safely"), "{between}");
    }

    #[test]
    fn a_type_that_differs_within_is_named_by_its_field() {
        let leg = |mark: &str| format!("Order{{id:u64,leg:Vec<Leg>#{mark}}}");
        let (one, other) = (leg("0123456789abcdef"), leg("fedcba9876543210"));
        let postcard = said(Codec::Postcard, &one, &other);
        assert!(
            postcard.starts_with("; `leg:Vec<Leg>` is spelt alike at both ends, and the types named there have other shapes; ")
                && postcard.contains("not safely"),
            "{postcard}"
        );
        let json = said(Codec::Json, &one, &other);
        assert!(
            json.contains("safe only if json reads that shape as this one"),
            "{json}"
        );
        let more = said(Codec::Json, &one, "Order{leg:Vec<Leg>#fedcba9876543210}");
        assert!(
            more.contains(
                "other shapes; only the producer has `id:u64`; only the consumer has nothing else"
            ),
            "{more}"
        );
        assert_eq!(unmarked("a#b#0123456789abcdefc#0123"), "a#bc#0123");
    }

    #[test]
    fn attributes_are_part_of_what_is_written() {
        let needed = said(Codec::Json, "T{a:u8}", "T{a:u8,b:u8}");
        assert!(needed.contains("it has no `b`"), "{needed}");
        let missing = said(Codec::Json, "T{a:u8}", "T{a:u8,#[default]b:u8}");
        assert!(missing.contains("to admit it"), "{missing}");
        let strict = said(
            Codec::Json,
            "#[deny_unknown_fields]T{a:u8,b:u8}",
            "#[deny_unknown_fields]T{a:u8}",
        );
        assert!(
            strict.contains("the consumer does not know `b`"),
            "{strict}"
        );
        let renamed = said(
            Codec::Json,
            "#[rename_all=\"a\"]T{a:u8}",
            "#[rename_all=\"b\"]T{a:u8}",
        );
        assert!(
            renamed.starts_with("; they differ in their serde attributes")
                && renamed.contains("not safely"),
            "{renamed}"
        );
    }

    #[test]
    fn a_shape_that_is_missing_or_cut_is_not_judged_and_many_fields_are_counted() {
        for theirs in ["", "T{a:u8,b:"] {
            let said = said(Codec::Postcard, theirs, "T{a:u8}");
            assert!(
                said.contains(
                    "admits it, which is safe only if postcard reads that shape as this one"
                ),
                "{said}"
            );
        }
        let many: Vec<String> = (0..1_000).map(|number| format!("f{number}:u8")).collect();
        let said = said(
            Codec::Postcard,
            &format!("T{{{}}}", many.join(",")),
            &format!("T{{{}:u8}}", "x".repeat(5_000)),
        );
        assert!(
            said.contains("and 994 more") && said.chars().count() < 900,
            "{said}"
        );
    }

    #[test]
    fn nothing_of_a_stranger_makes_it_panic() {
        for text in [
            "}",
            "#[",
            "#[]",
            "#[]]{",
            "T{",
            "T{{",
            "T}",
            "T(",
            "é{ü:ö|",
            "#[é]{",
            "T{:}",
            "T{,|}",
        ] {
            for other in ["T{a:u8}", text] {
                let _ = said(Codec::Postcard, text, other);
                let _ = said(Codec::Json, other, text);
            }
        }
    }
}
