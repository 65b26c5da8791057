//! Which receipts its members gave for a fan-out's messages: they say what became of each copy.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::receipt::{Level, Receipt};

/// What the members of a fan-out gave for one message, by their index; nothing for an optional one, which does not decide.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Those of as many members as a tuple has: they allocate nothing.
    first: [Option<Receipt>; FIRST],
    more: Vec<Option<Receipt>>,
    /// Up to the last that there is.
    len: usize,
}

const FIRST: usize = 8;

/// See the module. Messages that went to all members one right after the other are remembered as one run.
#[derive(Default)]
pub(super) struct Kept {
    runs: Mutex<VecDeque<Run>>,
}

struct Run {
    first: u64,
    last: u64,
    /// Of the first; those of the others have as much higher numbers as the messages.
    receipts: Vec<Option<Receipt>>,
}

/// Runs that are remembered, at some 100 bytes each for few members; what is older answers `Unknown`. A sender alone at its
/// members has one, and where others' messages come between any two, each is one.
const HORIZON: usize = 4096;

// === impl Receipts ===

impl Receipts {
    pub(super) fn set(&mut self, index: usize, receipt: Receipt) {
        self.len = self.len.max(index + 1);
        match self.first.get_mut(index) {
            Some(first) => *first = Some(receipt),
            None => {
                let at = index - FIRST;
                if self.more.len() <= at {
                    self.more.resize(at + 1, None);
                }
                self.more[at] = Some(receipt);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = Option<Receipt>> {
        let first = &self.first[..self.len.min(FIRST)];
        first.iter().chain(&self.more).copied()
    }
}

// === impl Kept ===

impl Kept {
    pub(super) const fn new() -> Self {
        Self {
            runs: Mutex::new(VecDeque::new()),
        }
    }

    /// Remembers what was given for the message of this number.
    pub(super) fn note(&self, number: u64, receipts: &Receipts) {
        let mut runs = self.lock();
        if let Some(run) = runs.back_mut()
            && run.goes_on(number, receipts)
        {
            run.last = number;
            return;
        }
        // The oldest gives its memory to the newest.
        let oldest = (runs.len() >= HORIZON).then(|| runs.pop_front()).flatten();
        let mut kept = oldest.map(|run| run.receipts).unwrap_or_default();
        kept.clear();
        kept.reserve_exact(receipts.len);
        kept.extend(receipts.iter());
        runs.push_back(Run {
            first: number,
            last: number,
            receipts: kept,
        });
    }

    /// What was given for the message of this number, by the members' index; `None` behind the horizon.
    pub(super) fn find(&self, number: u64) -> Option<Vec<Option<Receipt>>> {
        let runs = self.lock();
        let run = runs
            .iter()
            .rev()
            .find(|run| (run.first..=run.last).contains(&number))?;
        let later = number - run.first;
        let receipts = run.receipts.iter();
        Some(
            receipts
                .map(|one| one.map(|one| one.later(later)))
                .collect(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Run ===

impl Run {
    /// Whether these are what would be said of that message by this run.
    fn goes_on(&self, number: u64, receipts: &Receipts) -> bool {
        if self.last + 1 != number || receipts.len != self.receipts.len() {
            return false;
        }
        let later = number - self.first;
        let mut both = self.receipts.iter().zip(receipts.iter());
        both.all(|(first, now)| match (*first, now) {
            (None, None) => true,
            (Some(first), Some(now)) => {
                let due = first.later(later);
                // Further than the first is not told of: that it got as far as the first is true as well.
                let got_as_far = now.level() == due.level()
                    || due.level() != Level::Dropped && now.level().satisfies(due.level());
                got_as_far && now.at(due.level()) == due
            }
            _ => false,
        })
    }
}
