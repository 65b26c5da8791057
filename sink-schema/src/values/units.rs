//! Numbers with a unit, as people write them in values and in the names of keys.

use crate::keys::Key;
use crate::tree::Data;

/// What a unit measures; a number of one is no number of the other.
#[derive(Clone, Copy, PartialEq)]
enum Measure {
    Time,
    Size,
}

/// One unit: how many smallest parts (nanoseconds, bytes) it has.
type Unit = (&'static [&'static str], Measure, u64);

/// A `k` or an `m` at the end of a key's name is none: it may as well be what is left of another unit.
const UNITS: &[Unit] = &[
    (&["ns", "nanos", "nanoseconds"], Measure::Time, 1),
    (&["us", "micros", "microseconds"], Measure::Time, 1_000),
    (&["ms", "millis", "milliseconds"], Measure::Time, 1_000_000),
    (
        &["s", "sec", "secs", "second", "seconds"],
        Measure::Time,
        1_000_000_000,
    ),
    (
        &["min", "mins", "minute", "minutes"],
        Measure::Time,
        60_000_000_000,
    ),
    (
        &["h", "hr", "hrs", "hour", "hours"],
        Measure::Time,
        3_600_000_000_000,
    ),
    (&["d", "day", "days"], Measure::Time, 86_400_000_000_000),
    (&["b", "byte", "bytes"], Measure::Size, 1),
    (&["kb", "kbytes", "kilobytes"], Measure::Size, 1_000),
    (&["mb", "mbytes", "megabytes"], Measure::Size, 1_000_000),
    (&["gb", "gbytes", "gigabytes"], Measure::Size, 1_000_000_000),
    (&["kib"], Measure::Size, 1 << 10),
    (&["mib"], Measure::Size, 1 << 20),
    (&["gib"], Measure::Size, 1 << 30),
];

fn find(word: &str) -> Option<&'static Unit> {
    UNITS.iter().find(|(words, ..)| words.contains(&word))
}

/// Whether two words name one unit.
pub(crate) fn are_one(a: &str, b: &str) -> bool {
    find(a).zip(find(b)).is_some_and(|(a, b)| a == b)
}

/// A key's name without the unit it ends with: `send_timeout` of `send_timeout_secs`, with `secs`.
pub(crate) fn of_name(name: &str) -> Option<(&str, &str)> {
    let (stem, unit) = name.rsplit_once('_')?;
    (unit == "m" || find(unit).is_some()).then_some((stem, unit))
}

/// A number alone, digits grouped by `_` or by `,`.
fn number(digits: &str) -> Option<u64> {
    let mut groups = digits.split(',');
    let first = groups.next()?;
    let mut rest = groups.peekable();
    let grouped = rest.peek().is_some();
    if grouped && !(1..=3).contains(&first.len()) || !rest.all(|group| group.len() == 3) {
        return None;
    }
    let bare = digits.replace([',', '_'], "");
    if !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    bare.parse().ok()
}

/// `10,000`, `5s` or `16 MiB` as a number of `unit`; one without a unit of its own is a number of `own`.
pub(crate) fn amount(text: &str, own: &str, unit: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '_' && c != ',')
        .unwrap_or(text.len());
    let count = number(&text[..digits])?;
    let written = match text[digits..].trim() {
        "" => own.to_owned(),
        // Minutes, which only a value has.
        "m" => "min".to_owned(),
        word => word.to_ascii_lowercase(),
    };
    if written == unit {
        return Some(count);
    }
    let (_, measure, parts) = find(&written)?;
    let (_, wanted, whole) = find(unit)?;
    let all = u128::from(count) * u128::from(*parts);
    if measure != wanted || all % u128::from(*whole) != 0 {
        return None;
    }
    u64::try_from(all / u128::from(*whole)).ok()
}

/// What a value under a key of another unit is as a number of `key`, which may not be in its range.
pub(crate) fn converted(key: &Key, written: &str, data: &Data) -> Option<u64> {
    let (_, own) = of_name(written)?;
    match data {
        Data::Integer(Some(number)) => amount(&number.to_string(), own, key.unit),
        Data::Text(text) => amount(text, own, key.unit),
        _ => None,
    }
}

/// Digits in groups of three: `16_777_216`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{amount, grouped, of_name};

    #[test]
    fn amounts_are_converted_or_refused() {
        let cases = [
            ("5", "secs", "ms", Some(5_000)),
            ("7s", "h", "ms", Some(7_000)),
            ("2m", "", "ms", Some(120_000)),
            ("5000000", "ns", "ms", Some(5)),
            ("64", "megabytes", "bytes", Some(64_000_000)),
            ("500ms", "", "ms", Some(500)),
            ("16MB", "", "bytes", Some(16_000_000)),
            ("16 MiB", "", "bytes", Some(16_777_216)),
            ("10,000", "", "messages", None),
            ("10,000", "messages", "messages", Some(10_000)),
            ("10,00", "messages", "messages", None),
            (",000", "messages", "messages", None),
            ("1_500_500", "us", "ms", None),
            ("5", "secs", "bytes", None),
            ("", "secs", "ms", None),
            ("18446744073709551615", "h", "ms", None),
        ];
        for (text, own, unit, wanted) in cases {
            assert_eq!(amount(text, own, unit), wanted, "{text} {own} {unit}");
        }
    }

    #[test]
    fn names_end_with_their_unit() {
        assert_eq!(of_name("a_b_secs"), Some(("a_b", "secs")));
        assert_eq!(of_name("buffer_size"), None);
        assert_eq!(grouped(1_234_567), "1_234_567");
        assert_eq!(grouped(100), "100");
    }
}
