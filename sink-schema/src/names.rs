//! Names: from a service's name to Rust's, and from a misspelt name to the nearest one.

/// Longest service name: it becomes a file name in a socket path of 107 bytes.
pub(crate) const MAX_NAME_BYTES: usize = 64;

/// A service's name in the forms generated code needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RustName {
    /// `orders_eu`, `r#match`.
    pub(crate) ident: String,
    /// `OrdersEu`.
    pub(crate) type_ident: String,
}

impl RustName {
    /// The identifier without `r#`.
    pub(crate) fn bare(&self) -> &str {
        self.ident.strip_prefix("r#").unwrap_or(&self.ident)
    }

    /// The name inside `SINKS__…__KEY`.
    pub(crate) fn variable(&self) -> String {
        self.bare().to_uppercase()
    }
}

/// Why a name cannot become Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameFault {
    Empty,
    TooLong(usize),
    Character(char),
    FirstCharacter(char),
    OnlyUnderscores,
    NotRaw,
    Composed(char),
    Reserved(&'static str),
}

impl NameFault {
    /// The fault in words that follow "`name` …".
    pub(crate) fn words(&self) -> String {
        match self {
            NameFault::Empty => "is empty".to_owned(),
            NameFault::TooLong(bytes) => {
                format!("is {bytes} bytes long, at most {MAX_NAME_BYTES} fit")
            }
            NameFault::Character(' ') => "holds a blank, which no Rust identifier has".to_owned(),
            NameFault::Character(c) => format!("holds {c:?}, which no Rust identifier has"),
            NameFault::FirstCharacter(c) => {
                format!("begins with {c:?}, which no Rust identifier does")
            }
            NameFault::OnlyUnderscores => "is nothing but underscores".to_owned(),
            NameFault::NotRaw => "is a Rust keyword that cannot be written raw".to_owned(),
            NameFault::Composed(c) => {
                format!(
                    "holds U+{:04X}, which Rust would rewrite as another letter",
                    u32::from(*c)
                )
            }
            NameFault::Reserved(why) => (*why).to_owned(),
        }
    }
}

/// Turns a registry name into Rust names: `-` and `.` become `_`, keywords become raw.
pub(crate) fn rust_name(name: &str) -> Result<RustName, NameFault> {
    registry_name(name)?;
    let plain: String = name
        .chars()
        .map(|c| if matches!(c, '-' | '.') { '_' } else { c })
        .collect();
    identifier(&plain)
}

/// Checks what every service name must be, whatever its identifier: it is a file name and part of a variable.
pub(crate) fn registry_name(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameFault::TooLong(name.len()));
    }
    if let Some(c) = name.chars().find(|c| is_recomposed(*c)) {
        return Err(NameFault::Composed(c));
    }
    match name
        .chars()
        .find(|c| !(unicode_ident::is_xid_continue(*c) || matches!(c, '-' | '.')))
    {
        Some(c) => Err(NameFault::Character(c)),
        None if name.starts_with(['-', '.']) => Err(NameFault::FirstCharacter(
            name.chars().next().unwrap_or('-'),
        )),
        None => Ok(()),
    }
}

/// Checks an identifier as a person would write it, and derives the type's name.
pub(crate) fn identifier(plain: &str) -> Result<RustName, NameFault> {
    let plain = plain.strip_prefix("r#").unwrap_or(plain);
    let first = plain.chars().next().ok_or(NameFault::Empty)?;
    if plain.len() > MAX_NAME_BYTES {
        return Err(NameFault::TooLong(plain.len()));
    }
    if let Some(c) = plain.chars().find(|c| is_recomposed(*c)) {
        return Err(NameFault::Composed(c));
    }
    if let Some(c) = plain.chars().find(|c| !unicode_ident::is_xid_continue(*c)) {
        return Err(NameFault::Character(c));
    }
    if first != '_' && !unicode_ident::is_xid_start(first) {
        return Err(NameFault::FirstCharacter(first));
    }
    if plain.chars().all(|c| c == '_') {
        return Err(NameFault::OnlyUnderscores);
    }
    if matches!(plain, "self" | "Self" | "super" | "crate") {
        return Err(NameFault::NotRaw);
    }
    let ident = if is_keyword(plain) {
        format!("r#{plain}")
    } else {
        plain.to_owned()
    };
    let name = RustName {
        ident,
        type_ident: type_ident(plain),
    };
    match reserved(plain, &name.type_ident) {
        Some(why) => Err(NameFault::Reserved(why)),
        None => Ok(name),
    }
}

/// `orders_eu` → `OrdersEu`; `_1` → `_1`.
fn type_ident(plain: &str) -> String {
    let mut text = String::with_capacity(plain.len());
    for word in plain.split('_') {
        let mut chars = word.chars();
        if let Some(first) = chars.next() {
            text.extend(first.to_uppercase());
            text.push_str(chars.as_str());
        }
    }
    if text.chars().next().is_some_and(unicode_ident::is_xid_start) {
        text
    } else {
        format!("_{text}")
    }
}

/// Why a name belongs to generated code or would hide something every Rust file relies on.
fn reserved(plain: &str, type_ident: &str) -> Option<&'static str> {
    const ACCESSORS: [&str; 13] = [
        "dynamic",
        "init",
        "check",
        "close_all",
        "factory",
        "services",
        "status",
        "metrics",
        "registry",
        "watch",
        "names",
        "shutdown",
        "version",
    ];
    const SET: [&str; 3] = ["builder", "build", "others_recording"];
    const PRIMITIVES: [&str; 17] = [
        "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32",
        "i64", "i128", "isize", "f32", "f64",
    ];
    if plain.starts_with("__") {
        return Some("begins with two underscores, as generated code's own names do");
    }
    if ACCESSORS.contains(&plain) {
        return Some("is a function that `Sinks` itself has or keeps for itself");
    }
    if SET.contains(&plain) {
        return Some("is a function that `SinkSet` or its builder has");
    }
    if type_ident == "Self" {
        return Some("gives the type `Self`, which is Rust's own");
    }
    if PRIMITIVES.contains(&plain) {
        return Some("is a primitive type of Rust");
    }
    None
}

/// Whether Rust's normalisation (NFC) would turn the character into another: then two spellings would be one name.
fn is_recomposed(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036F | 0x1100..=0x11FF | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F
        | 0x2126 | 0x212A | 0x212B | 0xF900..=0xFAFF | 0x1F71..=0x1F7D)
}

pub(crate) fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 53] = [
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
        "extern", "false", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod",
        "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct", "super",
        "trait", "true", "type", "unsafe", "use", "where", "while", "abstract", "become", "box",
        "do", "final", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield",
        "_",
    ];
    KEYWORDS.contains(&word)
}

/// Whether `text` is a path of Rust identifiers, such as `crate::market::Tick`.
pub fn is_rust_path(text: &str) -> bool {
    let body = text.strip_prefix("::").unwrap_or(text);
    let absolute = body.len() != text.len();
    let mut segments = body.split("::").peekable();
    let mut leading = !absolute;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let climbs = matches!(segment, "crate" | "self" | "super");
        if climbs && (!leading || last) {
            return false;
        }
        leading = leading && matches!(segment, "self" | "super");
        if !climbs && !is_identifier(segment) {
            return false;
        }
    }
    true
}

/// Whether `text` is one Rust identifier, raw ones included.
pub(crate) fn is_identifier(text: &str) -> bool {
    let (word, raw) = match text.strip_prefix("r#") {
        Some(word) => (word, true),
        None => (text, false),
    };
    let mut chars = word.chars();
    let sound = chars
        .next()
        .is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c))
        && chars.all(unicode_ident::is_xid_continue);
    sound
        && (raw || !is_keyword(word))
        && word != "_"
        && !(raw && matches!(word, "self" | "Self" | "super" | "crate"))
}

/// A sound identifier near to `name`, to be offered as `ident = "…"`.
pub(crate) fn suggest_ident(name: &str, taken: impl Fn(&str) -> bool) -> Option<String> {
    let mut text: String = name
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_recomposed(*c))
        .map(|c| {
            if unicode_ident::is_xid_continue(c) {
                c
            } else {
                '_'
            }
        })
        .take(MAX_NAME_BYTES / 4)
        .collect();
    text = text.trim_matches('_').to_owned();
    if text
        .chars()
        .next()
        .is_some_and(|c| !unicode_ident::is_xid_start(c))
    {
        text.insert_str(0, "service_");
    }
    let sound = |text: &str| identifier(text).is_ok_and(|found| !taken(found.bare()));
    [
        text.clone(),
        format!("{text}_sink"),
        format!("{text}_2"),
        format!("{text}_3"),
    ]
    .into_iter()
    .find(|candidate| !text.is_empty() && sound(candidate))
}

// === the nearest name ===

/// Names longer than this are never compared: the table of distances is quadratic in their length.
const MAX_COMPARED: usize = 64;

/// The first letters of a name that may stand for the whole, if they begin only one.
const MIN_BEGINNING: usize = 4;

/// The candidate that `name` was probably meant to be: nearest by edits, at most a third of its length away.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_of(name, &mut candidates.into_iter())
}

/// The same, compiled once for all kinds of lists.
fn nearest_of<'a>(name: &str, candidates: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name
        .chars()
        .flat_map(folded)
        .take(MAX_COMPARED + 1)
        .collect();
    if wanted.is_empty() || wanted.len() > MAX_COMPARED {
        return None;
    }
    // A slip in a name of one or two letters makes any other such name: nothing can be guessed from it.
    let limit = wanted.len() / 3;
    let mut best: Option<(usize, &str)> = None;
    let mut begun: Option<&str> = None;
    let mut beginnings = 0;
    for candidate in candidates {
        let letters: Vec<char> = candidate
            .chars()
            .flat_map(folded)
            .take(MAX_COMPARED + 1)
            .collect();
        if wanted.len() >= MIN_BEGINNING && letters.starts_with(&wanted) {
            begun = Some(candidate);
            beginnings += 1;
        }
        if letters.len() > MAX_COMPARED || letters.len().abs_diff(wanted.len()) > limit {
            continue;
        }
        let distance = edits(&wanted, &letters);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    // A word cut short is likelier than several slips.
    let begun = begun.filter(|_| beginnings == 1);
    match best {
        Some((distance, candidate)) if distance <= 1 || begun.is_none() => Some(candidate),
        _ => begun,
    }
}

fn folded(c: char) -> impl Iterator<Item = char> {
    let c = if c == '-' || c == '.' { '_' } else { c };
    c.to_lowercase()
}

/// Letters of other alphabets, and dashes, that are drawn as one of ours.
#[rustfmt::skip]
const LOOKALIKES: &[(char, char)] = &[
    ('\u{430}', 'a'), ('\u{441}', 'c'), ('\u{501}', 'd'), ('\u{435}', 'e'), ('\u{4BB}', 'h'), ('\u{456}', 'i'),
    ('\u{458}', 'j'), ('\u{43E}', 'o'), ('\u{440}', 'p'), ('\u{51B}', 'q'), ('\u{455}', 's'), ('\u{51D}', 'w'),
    ('\u{445}', 'x'), ('\u{443}', 'y'), ('\u{3B1}', 'a'), ('\u{3BF}', 'o'), ('\u{3BD}', 'v'), ('\u{3C1}', 'p'),
    ('\u{3B9}', 'i'), ('\u{3BA}', 'k'), ('\u{3C5}', 'u'), ('\u{410}', 'A'), ('\u{412}', 'B'), ('\u{421}', 'C'),
    ('\u{415}', 'E'), ('\u{41D}', 'H'), ('\u{406}', 'I'), ('\u{408}', 'J'), ('\u{41A}', 'K'), ('\u{41C}', 'M'),
    ('\u{41E}', 'O'), ('\u{420}', 'P'), ('\u{405}', 'S'), ('\u{422}', 'T'), ('\u{425}', 'X'), ('\u{423}', 'Y'),
    ('\u{391}', 'A'), ('\u{392}', 'B'), ('\u{395}', 'E'), ('\u{396}', 'Z'), ('\u{397}', 'H'), ('\u{399}', 'I'),
    ('\u{39A}', 'K'), ('\u{39C}', 'M'), ('\u{39D}', 'N'), ('\u{39F}', 'O'), ('\u{3A1}', 'P'), ('\u{3A4}', 'T'),
    ('\u{3A5}', 'Y'), ('\u{3A7}', 'X'), ('\u{2010}', '-'), ('\u{2011}', '-'), ('\u{2012}', '-'), ('\u{2013}', '-'),
    ('\u{2212}', '-'),
];

/// The letter of ours that another is drawn as.
fn drawn_as(c: char) -> Option<char> {
    let mut pairs = LOOKALIKES.iter();
    pairs.find(|(their, _)| *their == c).map(|(_, our)| *our)
}

/// A name with letters of ours for those that are drawn as them, and which the first of those is, in words; `None` for what
/// would still be in another alphabet.
pub(crate) fn in_our_letters(name: &str) -> Option<(String, String)> {
    let (at, their, our) = name
        .chars()
        .enumerate()
        .find_map(|(at, c)| Some((at + 1, c, drawn_as(c)?)))?;
    let ours: String = name.chars().map(|c| drawn_as(c).unwrap_or(c)).collect();
    let words = format!(
        "character {at} of {} is U+{:04X}, which looks like `{our}`",
        show(name),
        u32::from(their)
    );
    ours.is_ascii().then_some((ours, words))
}

/// Edits between two words: insert, delete, replace, swap neighbours.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// A name from the registry inside a message: quoted, shortened, with nothing that a terminal would obey.
pub(crate) fn show(name: &str) -> String {
    if name.is_empty() {
        return "`\"\"`".to_owned();
    }
    format!("`{}`", shortened(name))
}

/// A name for a message: shortened, with nothing that a terminal would obey.
pub fn shortened(name: &str) -> String {
    const SHOWN: usize = 60;
    let mut text: String = name.chars().take(SHOWN).flat_map(visible).collect();
    if name.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// A basic string of TOML that means `text`: with TOML's own escapes, where Rust's would be another text.
pub(crate) fn toml_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `text` with nothing that a terminal would obey and nothing that cannot be seen.
pub(crate) fn plain(text: &str) -> String {
    text.chars().flat_map(visible).collect()
}

fn visible(c: char) -> Vec<char> {
    if c.is_control() || is_invisible(c) {
        c.escape_unicode().collect()
    } else {
        vec![c]
    }
}

/// Characters that change how a line looks without being seen.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
        | 0xE0000..=0xE007F)
}

/// A name as a TOML key: bare where that is allowed.
pub(crate) fn toml_key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare {
        name.to_owned()
    } else {
        toml_string(name)
    }
}

/// A name as a TOML key inside words: what no service can be called is shortened, not repeated whole.
pub(crate) fn shown_key(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_BYTES) {
        Some((end, _)) => format!("{}…", toml_key(&name[..end])),
        None => toml_key(name),
    }
}

#[cfg(test)]
mod tests;
