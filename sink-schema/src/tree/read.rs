//! What `toml_parser` finds in a text, as a tree. The rules of what may stand twice, and its words, are those of the crate `toml`,
//! which builds trees of its own kind for serde; `read/tests.rs` holds the two against each other. Knows no key of ours.

use std::borrow::Cow;
use std::collections::HashMap;

use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{Event, EventKind, RecursionGuard, ValidateWhitespace};
use toml_parser::{ErrorSink, Expected, ParseError, Source, Span as Place};

use super::{Data, Entry, SyntaxError, Value};
use crate::by_name::order;
use crate::text::Span;

/// Tables and arrays in each other, and parts of a key.
const MAX_DEPTH: u32 = 80;
/// Tables of more keys are looked up by hash.
const FEW_KEYS: usize = 16;

/// Reads a document.
pub(super) fn document(file: usize, text: &str) -> (Vec<Entry>, Vec<SyntaxError>) {
    let mut reader = Reader::new(file, text);
    reader.find(toml_parser::parser::parse_document);
    let root = reader.document();
    (root.entries(), reader.told)
}

/// Reads one value, which stands at byte `at` of its file.
pub(super) fn value(file: usize, at: usize, text: &str) -> (Data, Vec<SyntaxError>) {
    let mut reader = Reader::new(file, text);
    reader.begins = at;
    reader.find(toml_parser::parser::parse_value);
    let (_, value) = reader.value();
    (value.data(), reader.told)
}

/// A table that may still grow.
#[derive(Default)]
struct Table {
    kind: Kind,
    members: Vec<Member>,
    /// Where each key is, once there are many.
    places: HashMap<String, usize>,
}

/// How a table came to be, which decides what may extend it.
#[derive(Clone, Copy, Default, PartialEq)]
struct Kind {
    /// Only because something below it was written.
    implicit: bool,
    /// By a dotted key.
    dotted: bool,
    /// `{…}`, or below one.
    inline: bool,
}

struct Key {
    text: String,
    span: Span,
}

struct Member {
    key: Key,
    span: Span,
    value: Growing,
}

enum Growing {
    Done(Data),
    Table(Table),
    /// `[[name]]`, each with the place of its header.
    Tables(Vec<(Span, Table)>),
    /// Taken out while its table is read on.
    Gone,
}

/// Where a path stands, which decides what it may go through.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// In a header.
    Header,
    /// Before a key and its value.
    Dotted,
    /// The same in `{…}`.
    Braces,
}

/// `[path.key]` or `[[path.key]]`.
struct Header {
    path: Vec<Key>,
    key: Option<Key>,
    span: Span,
    is_array: bool,
}

// === impl Growing ===

impl Growing {
    fn data(self) -> Data {
        match self {
            Growing::Done(data) => data,
            Growing::Table(table) => Data::Table(table.entries()),
            Growing::Tables(tables) => {
                let mut values = Vec::with_capacity(tables.len());
                for (span, table) in tables {
                    let data = Data::Table(table.entries());
                    values.push(Value { span, data });
                }
                Data::Tables(values)
            }
            Growing::Gone => Data::Table(Vec::new()),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Growing::Done(Data::Text(_)) => "string",
            Growing::Done(Data::Integer(_)) => "integer",
            Growing::Done(Data::Float) => "float",
            Growing::Done(Data::Bool(_)) => "boolean",
            Growing::Done(Data::Datetime) => "datetime",
            Growing::Done(Data::Array(_) | Data::Tables(_)) | Growing::Tables(_) => "array",
            Growing::Done(Data::Table(_)) | Growing::Table(_) | Growing::Gone => "table",
        }
    }
}

// === impl Table ===

impl Table {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// In the order of the file.
    fn entries(self) -> Vec<Entry> {
        let mut members: Vec<Option<Member>> = self.members.into_iter().map(Some).collect();
        let start = |member: &Option<Member>| member.as_ref().map(|member| member.key.span);
        let order = order(members.len(), &mut |a, b| {
            start(&members[a]).cmp(&start(&members[b]))
        });
        let mut entries: Vec<Entry> = Vec::with_capacity(members.len());
        for at in order {
            let Some(member) = members[at].take() else {
                continue;
            };
            if matches!(member.value, Growing::Gone) {
                continue;
            }
            entries.push(Entry {
                key: member.key.text,
                key_span: member.key.span,
                value: Value {
                    span: member.span,
                    data: member.value.data(),
                },
            });
        }
        entries
    }

    /// Where a key is or was.
    fn place(&self, key: &str) -> Option<usize> {
        if self.places.is_empty() {
            return self
                .members
                .iter()
                .position(|member| member.key.text == key);
        }
        self.places.get(key).copied()
    }

    fn has(&self, key: &str) -> Option<&Member> {
        let member = &self.members[self.place(key)?];
        (!matches!(member.value, Growing::Gone)).then_some(member)
    }

    /// Adds a key that is not there; returns where.
    fn add(&mut self, key: Key, span: Span, value: Growing) -> usize {
        if let Some(at) = self.place(&key.text) {
            self.members[at] = Member { key, span, value };
            return at;
        }
        let at = self.members.len();
        if at == FEW_KEYS {
            for (at, member) in self.members.iter().enumerate() {
                self.places.insert(member.key.text.clone(), at);
            }
        }
        if at >= FEW_KEYS {
            self.places.insert(key.text.clone(), at);
        }
        self.members.push(Member { key, span, value });
        at
    }

    fn take(&mut self, key: &str) -> Option<Growing> {
        let at = self.place(key)?;
        match std::mem::replace(&mut self.members[at].value, Growing::Gone) {
            Growing::Gone => None,
            value => Some(value),
        }
    }
}

// === impl Reader ===

/// Reads events one after another, and tells what is wrong.
struct Reader<'a> {
    file: usize,
    /// Where the source begins in its file: spans count from there.
    begins: usize,
    source: Source<'a>,
    events: Vec<Event>,
    next: usize,
    told: Vec<SyntaxError>,
}

/// A step of `toml_parser`: tokens to events.
type Parse = fn(
    &[toml_parser::lexer::Token],
    &mut dyn toml_parser::parser::EventReceiver,
    &mut dyn ErrorSink,
);

impl<'a> Reader<'a> {
    fn new(file: usize, text: &'a str) -> Self {
        Self {
            file,
            begins: 0,
            source: Source::new(text),
            events: Vec::new(),
            next: 0,
            told: Vec::new(),
        }
    }

    fn find(&mut self, parse: Parse) {
        let tokens = self.source.lex().into_vec();
        let mut errors: Vec<ParseError> = Vec::new();
        let mut spaces = ValidateWhitespace::new(&mut self.events, self.source);
        let mut guard = RecursionGuard::new(&mut spaces, MAX_DEPTH);
        parse(&tokens, &mut guard, &mut errors);
        self.tell_all(errors);
    }

    fn tell_all(&mut self, errors: Vec<ParseError>) {
        for error in errors {
            let end = self.source.input().len();
            let at = error
                .unexpected()
                .map_or(end..end, |place| place.start()..place.end());
            let message = message(&error);
            self.told.push(SyntaxError { at, message });
        }
    }

    fn tell(&mut self, message: impl Into<String>, at: Span) {
        self.told.push(SyntaxError {
            at: at.range(),
            message: message.into(),
        });
    }

    fn span(&self, place: Place) -> Span {
        Span::new(
            self.file,
            self.begins + place.start()..self.begins + place.end(),
        )
    }

    fn event(&mut self) -> Option<Event> {
        let event = self.events.get(self.next).copied()?;
        self.next += 1;
        Some(event)
    }

    /// The kind of the event that is `ahead` of the next.
    fn peek(&self, ahead: usize) -> Option<EventKind> {
        self.events.get(self.next + ahead).map(Event::kind)
    }

    fn document(&mut self) -> Table {
        let (mut root, mut current) = (Table::default(), Table::default());
        let mut header = None;
        while let Some(event) = self.event() {
            match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    self.finish(&mut root, header.take(), std::mem::take(&mut current));
                    let opened = self.header(event);
                    current = self.start(&mut root, &opened);
                    header = Some(opened);
                }
                EventKind::SimpleKey => {
                    let read_on = self.key_value(event, &mut current);
                    if !read_on {
                        break;
                    }
                }
                _ => {}
            }
        }
        self.finish(&mut root, header, current);
        root
    }

    /// Reads `key = value` into `table`; `false` where the rest cannot be read.
    fn key_value(&mut self, event: Event, table: &mut Table) -> bool {
        let (path, Some(key)) = self.key(event) else {
            return false;
        };
        if self.peek(0) == Some(EventKind::Whitespace) {
            self.next += 1;
        }
        if self.event().map(|event| event.kind()) != Some(EventKind::KeyValSep) {
            return false;
        }
        if self.peek(0) == Some(EventKind::Whitespace) {
            self.next += 1;
        }
        let (span, value) = self.value();
        let dotted = !path.is_empty();
        let Some(table) =
            self.descend(table, &path, if dotted { Way::Dotted } else { Way::Header })
        else {
            return true;
        };
        if (dotted && !table.kind.implicit) || table.has(&key.text).is_some() {
            // Neither may a dotted key extend a table that has a header, nor any key stand twice.
            self.tell(DUPLICATE, key.span);
        } else {
            table.add(key, span, value);
        }
        true
    }

    fn header(&mut self, open: Event) -> Header {
        let mut header = Header {
            path: Vec::new(),
            key: None,
            span: self.span(open.span()),
            is_array: open.kind() == EventKind::ArrayTableOpen,
        };
        while let Some(event) = self.event() {
            match event.kind() {
                EventKind::ArrayTableClose | EventKind::StdTableClose => {
                    header.span.end = self.span(event.span()).end;
                    break;
                }
                EventKind::SimpleKey => (header.path, header.key) = self.key(event),
                _ => {}
            }
        }
        header
    }

    /// What the table of a header begins with: what was written below it before.
    fn start(&mut self, root: &mut Table, header: &Header) -> Table {
        let mut current = Table::default();
        if !header.is_array
            && let Some(parent) = self.descend(root, &header.path, Way::Header)
            && let Some(key) = &header.key
            && let Some(old) = parent.take(&key.text)
        {
            let extends =
                matches!(&old, Growing::Table(table) if table.kind.implicit && !table.kind.dotted);
            if !extends {
                self.tell(DUPLICATE, key.span);
            }
            if let Growing::Table(table) = old {
                current = table;
            }
        }
        current.kind.implicit = false;
        current.kind.dotted = false;
        current
    }

    /// Puts a table below its header; one without a header is the root.
    fn finish(&mut self, root: &mut Table, header: Option<Header>, table: Table) {
        let Some(header) = header else {
            *root = table;
            return;
        };
        let Some(key) = header.key else { return };
        let Some(parent) = self.descend(root, &header.path, Way::Header) else {
            return;
        };
        if !header.is_array {
            parent.add(key, header.span, Growing::Table(table));
            return;
        }
        let (text, span) = (key.text.clone(), key.span);
        if parent.has(&text).is_none() {
            parent.add(key, header.span, Growing::Tables(Vec::new()));
        }
        let tables = match parent.place(&text) {
            Some(at) => &mut parent.members[at].value,
            None => return,
        };
        match tables {
            Growing::Tables(tables) => tables.push((header.span, table)),
            _ => self.tell(DUPLICATE, span),
        }
    }

    /// The table at the end of a path, made where it is not there.
    fn descend<'t>(
        &mut self,
        mut table: &'t mut Table,
        path: &[Key],
        way: Way,
    ) -> Option<&'t mut Table> {
        let (dotted, inline) = (way != Way::Header, way == Way::Braces);
        for key in path {
            if table.has(&key.text).is_none() {
                let kind = Kind {
                    implicit: true,
                    dotted,
                    inline,
                };
                let key = Key {
                    text: key.text.clone(),
                    span: key.span,
                };
                let span = key.span;
                table.add(key, span, Growing::Table(Table::of(kind)));
            }
            let at = table.place(&key.text)?;
            table = match &mut table.members[at].value {
                Growing::Tables(tables) => &mut tables.last_mut()?.1,
                Growing::Table(below) => {
                    // Only another key of the same braces extends what stands in braces.
                    if below.kind.inline && !inline {
                        self.tell(extends("inline table"), key.span);
                        return None;
                    }
                    if dotted && below.kind.implicit && !inline {
                        below.kind.dotted = true;
                    }
                    if dotted && !below.kind.implicit {
                        self.tell(DUPLICATE, key.span);
                        return None;
                    }
                    below
                }
                other => {
                    self.tell(extends(other.type_name()), key.span);
                    return None;
                }
            };
        }
        Some(table)
    }

    /// A key of one or more parts: those before the last, and the last.
    fn key(&mut self, event: Event) -> (Vec<Key>, Option<Key>) {
        let mut path: Vec<Key> = Vec::new();
        let mut last: Option<Key> = None;
        let mut part = Some(event);
        let more = |reader: &Self| match reader.peek(0) {
            Some(EventKind::KeySep) => true,
            Some(EventKind::Whitespace) => reader.peek(1) == Some(EventKind::KeySep),
            _ => false,
        };
        let mut on = more(self);
        while on && let Some(event) = self.event() {
            match event.kind() {
                EventKind::SimpleKey => {
                    part = Some(event);
                    on = more(self);
                }
                EventKind::KeySep => {
                    if let Some(part) = part.take() {
                        path.extend(last.replace(self.part(part)));
                    }
                }
                _ => {}
            }
        }
        if let Some(part) = part {
            path.extend(last.replace(self.part(part)));
        }
        if path.len() >= MAX_DEPTH as usize {
            self.tell_all(vec![ParseError::new("recursion limit")]);
            return (Vec::new(), None);
        }
        (path, last)
    }

    fn part(&mut self, event: Event) -> Key {
        let mut text = Cow::Borrowed("");
        let mut errors: Vec<ParseError> = Vec::new();
        if let Some(raw) = self.source.get(event) {
            raw.decode_key(&mut text, &mut errors);
        }
        self.tell_all(errors);
        Key {
            text: text.into_owned(),
            span: self.span(event.span()),
        }
    }

    fn value(&mut self) -> (Span, Growing) {
        let event = self.event();
        match event.map(|event| (event, event.kind())) {
            Some((event, EventKind::InlineTableOpen)) => self.inline_table(event),
            Some((event, EventKind::ArrayOpen)) => self.array(event),
            Some((event, EventKind::Scalar)) => self.scalar(event),
            // Something was told already.
            _ => {
                let nowhere = Span::new(self.file, 0..0);
                (nowhere, Growing::Done(Data::Integer(Some(0))))
            }
        }
    }

    fn scalar(&mut self, event: Event) -> (Span, Growing) {
        let mut text = Cow::Borrowed("");
        let mut errors: Vec<ParseError> = Vec::new();
        let kind = match self.source.get(event) {
            Some(raw) => raw.decode_scalar(&mut text, &mut errors),
            None => ScalarKind::String,
        };
        if let (ScalarKind::DateTime, Err(error)) = (kind, text.parse::<toml_datetime::Datetime>())
        {
            errors.push(ParseError::new(error.to_string()).with_unexpected(event.span()));
        }
        self.tell_all(errors);
        let data = match kind {
            ScalarKind::String => Data::Text(text.into_owned()),
            ScalarKind::Boolean(value) => Data::Bool(value),
            ScalarKind::DateTime => Data::Datetime,
            ScalarKind::Float => Data::Float,
            ScalarKind::Integer(radix) => {
                Data::Integer(i64::from_str_radix(&text, radix.value()).ok())
            }
        };
        (self.span(event.span()), Growing::Done(data))
    }

    fn array(&mut self, open: Event) -> (Span, Growing) {
        let mut span = self.span(open.span());
        let mut values = Vec::new();
        let mut last: Option<(Span, Growing)> = None;
        while let Some(event) = self.event() {
            span.end = self.span(event.span()).end;
            match event.kind() {
                EventKind::InlineTableOpen => last = Some(self.inline_table(event)),
                EventKind::ArrayOpen => last = Some(self.array(event)),
                EventKind::Scalar => last = Some(self.scalar(event)),
                kind @ (EventKind::ValueSep | EventKind::ArrayClose) => {
                    if let Some((span, value)) = last.take() {
                        let data = value.data();
                        values.push(Value { span, data });
                    }
                    if kind == EventKind::ArrayClose {
                        break;
                    }
                }
                EventKind::Error
                | EventKind::Whitespace
                | EventKind::Comment
                | EventKind::Newline => {}
                _ => break,
            }
        }
        (span, Growing::Done(Data::Array(values)))
    }

    fn inline_table(&mut self, open: Event) -> (Span, Growing) {
        let mut span = self.span(open.span());
        let mut table = Table::of(Kind {
            inline: true,
            ..Kind::default()
        });
        let (mut key, mut last) = (None, None);
        while let Some(event) = self.event() {
            span.end = self.span(event.span()).end;
            match event.kind() {
                EventKind::SimpleKey => {
                    if let (path, Some(name)) = self.key(event) {
                        key = Some((path, name));
                    }
                }
                EventKind::InlineTableOpen => last = Some(self.inline_table(event)),
                EventKind::ArrayOpen => last = Some(self.array(event)),
                EventKind::Scalar => last = Some(self.scalar(event)),
                kind @ (EventKind::ValueSep | EventKind::InlineTableClose) => {
                    if let (Some((path, key)), Some(value)) = (key.take(), last.take()) {
                        self.inline_member(&mut table, &path, key, value);
                    }
                    if kind == EventKind::InlineTableClose {
                        break;
                    }
                }
                EventKind::KeyValSep
                | EventKind::Error
                | EventKind::Whitespace
                | EventKind::Comment
                | EventKind::Newline => {}
                _ => break,
            }
        }
        (span, Growing::Table(table))
    }

    fn inline_member(&mut self, table: &mut Table, path: &[Key], key: Key, value: (Span, Growing)) {
        let Some(table) = self.descend(table, path, Way::Braces) else {
            return;
        };
        // A key of one part does not extend a table that dots made, nor the other way round.
        if table.kind.dotted == path.is_empty() || table.has(&key.text).is_some() {
            self.tell(DUPLICATE, key.span);
        } else {
            table.add(key, value.0, value.1);
        }
    }
}

const DUPLICATE: &str = "duplicate key";

fn extends(type_name: &str) -> String {
    format!("cannot extend value of type {type_name} with a dotted key")
}

/// What is wrong, and what was expected.
fn message(error: &ParseError) -> String {
    let mut message = error.description().to_owned();
    let Some(expected) = error.expected() else {
        return message;
    };
    message.push_str(", expected ");
    if expected.is_empty() {
        message.push_str("nothing");
    }
    for (at, expected) in expected.iter().enumerate() {
        message.push_str(if at > 0 { ", " } else { "" });
        match expected {
            Expected::Literal("\n") => message.push_str("newline"),
            Expected::Literal("`") => message.push_str("'`'"),
            Expected::Literal(text) if text.chars().all(|c| c.is_ascii_control()) => {
                message.push_str(&format!("`{}`", text.escape_debug()));
            }
            Expected::Literal(text) => message.push_str(&format!("`{text}`")),
            Expected::Description(text) => message.push_str(text),
            _ => message.push_str("etc"),
        }
    }
    message
}

#[cfg(test)]
mod tests;
