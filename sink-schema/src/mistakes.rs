//! Mistakes while they are being collected: spans instead of lines. `finish` turns them into [`Diagnostics`].

use crate::by_name::{ByName, order};
use crate::codes;
use crate::diagnostics::{Diagnostic, Diagnostics, Label, Patch, Severity};
use crate::names::plain;
use crate::text::{Span, Text};

/// More errors or warnings than this are counted, not kept: nobody reads on, and a hostile file costs no more than this.
pub(crate) const MAX_MISTAKES: usize = 1_000;

/// One mistake, with bytes for places.
#[derive(Clone, Debug)]
pub(crate) struct Mistake {
    code: &'static str,
    span: Span,
    message: String,
    label: String,
    others: Vec<(Span, String)>,
    notes: Vec<String>,
    help: Vec<String>,
    patch: Option<(Span, String, String)>,
    service: Option<String>,
}

impl Mistake {
    pub(crate) fn new(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            span,
            message: message.into(),
            label: String::new(),
            others: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            patch: None,
            service: None,
        }
    }

    /// Moves the caret.
    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Words at the caret.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Another place that belongs to the story.
    pub(crate) fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.others.push((span, text.into()));
        self
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// The change that certainly repairs it, with its title.
    pub(crate) fn patch(
        mut self,
        span: Span,
        replacement: impl Into<String>,
        title: impl Into<String>,
    ) -> Self {
        self.patch = Some((span, replacement.into(), title.into()));
        self
    }

    pub(crate) fn of(mut self, service: &str) -> Self {
        self.service = Some(service.to_owned());
        self
    }

    fn is_error(&self) -> bool {
        self.code.starts_with('E')
    }
}

/// What `[lints]` says of one warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LintLevel {
    Allow,
    Warn,
    Deny,
}

/// The collection, with the texts it points into.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    pub(crate) files: Vec<Text>,
    items: Vec<Mistake>,
    broken: ByName<(String, &'static str)>,
    masks: Vec<Span>,
    lints: ByName<LintLevel>,
    errors: usize,
    warnings: usize,
    uncounted: usize,
    muted: bool,
}

impl Mistakes {
    pub(crate) fn push(&mut self, mistake: Mistake) {
        if self.muted {
            return;
        }
        if mistake.is_error()
            && let Some(service) = &mistake.service
            && !self.broken.contains(service)
        {
            let first = (mistake.message.clone(), mistake.code);
            self.broken.insert(service, first);
        }
        // Errors and warnings are counted apart: a flood of the one must not wash away the other.
        let kept = if mistake.is_error() {
            &mut self.errors
        } else {
            &mut self.warnings
        };
        if *kept >= MAX_MISTAKES {
            self.uncounted += 1;
            return;
        }
        *kept += 1;
        self.items.push(mistake);
    }

    /// Runs `guess` without keeping what it complains about: a guess must not become a second mistake.
    pub(crate) fn muted<T>(&mut self, guess: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.muted, true);
        let result = guess(self);
        self.muted = before;
        result
    }

    /// The first error of a service, if it has one.
    pub(crate) fn error_of(&self, service: &str) -> Option<&(String, &'static str)> {
        self.broken.get(service)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Keeps a secret out of every picture of the source.
    pub(crate) fn mask(&mut self, span: Span) {
        self.masks.push(span);
    }

    pub(crate) fn set_lint(&mut self, code: &'static str, level: LintLevel) {
        self.lints.insert(code, level);
    }

    pub(crate) fn text(&self, span: Span) -> &str {
        self.files
            .get(span.file)
            .map_or("", |file| file.slice(span))
    }

    /// Applies lints, hides secrets, finds lines, sorts.
    pub(crate) fn finish(mut self) -> Diagnostics {
        let lints = std::mem::take(&mut self.lints);
        self.items
            .retain(|item| lints.get(item.code) != Some(&LintLevel::Allow));
        let mut seen = ByName::default();
        self.items.retain(|item| {
            let Span { file, start, end } = item.span;
            let once = format!("{}:{file}:{start}:{end}:{}", item.code, item.message);
            seen.insert(&once, ()).is_none()
        });
        let order = order(self.items.len(), &mut |a, b| {
            let (a, b) = (&self.items[a], &self.items[b]);
            (a.span, a.code).cmp(&(b.span, b.code))
        });
        let more = self.uncounted;
        let items: Vec<Diagnostic> = order
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let item = &self.items[*item];
                let denied = lints.get(item.code) == Some(&LintLevel::Deny);
                let mut drawn = draw(&self.files, item, denied);
                if more > 0 && at + 1 == self.items.len() {
                    drawn.notes.push(format!(
                        "{more} more mistakes are not shown; repair these first"
                    ));
                }
                drawn
            })
            .collect();
        for mask in &self.masks {
            if let Some(file) = self.files.get_mut(mask.file) {
                file.mask(mask.range());
            }
        }
        Diagnostics {
            sources: self.files,
            items,
        }
    }
}

/// A mistake with lines for places. What it quotes of the registry is made plain here, whoever wrote the rule.
fn draw(files: &[Text], item: &Mistake, denied: bool) -> Diagnostic {
    let locate = |span: Span| {
        files
            .get(span.file)
            .map(|file| file.location(span.start))
            .unwrap_or_default()
    };
    let place = locate(item.span);
    let all_plain = |texts: &[String]| texts.iter().map(|text| plain(text)).collect();
    let mut labels = vec![Label {
        location: place.clone(),
        text: plain(&item.label),
        primary: true,
        span: item.span,
    }];
    for (span, text) in &item.others {
        labels.push(Label {
            location: locate(*span),
            text: plain(text),
            primary: false,
            span: *span,
        });
    }
    let lint = codes::lint_of(item.code);
    let mut notes: Vec<String> = all_plain(&item.notes);
    if denied && let Some(lint) = lint {
        notes.push(format!(
            "`{lint} = \"deny\"` in `[lints]` makes this warning an error"
        ));
    }
    Diagnostic {
        severity: if item.is_error() || denied {
            Severity::Error
        } else {
            Severity::Warning
        },
        code: item.code,
        lint,
        message: plain(&item.message),
        path: place.path,
        line: place.line,
        column: place.column,
        labels,
        notes,
        help: all_plain(&item.help),
        patch: item.patch.as_ref().map(|(span, replacement, title)| Patch {
            location: locate(*span),
            range: span.range(),
            replacement: replacement.clone(),
            title: plain(title),
            file: span.file,
        }),
        service: item.service.clone(),
    }
}
