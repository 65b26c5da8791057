//! What a relay remembers of the producers of one service, bounded. No sockets, no frames.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use sink_runtime::frame::{Hello, ProducerId};

use crate::ring::{Chunk, Identity, MessageInfo};

#[cfg(test)]
mod tests;

/// Producers that are remembered though neither connected nor in retention; the one gone longest is forgotten first,
/// and what it sends again afterwards is taken for new.
pub(crate) const MAX_REMEMBERED: usize = 4096;
/// Message types that are looked through for one to share.
const MAX_SHARED_TYPES: usize = 64;

/// One producer's progress.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) identity: Arc<Identity>,
    /// The lowest sequence this relay could ever have had of it.
    pub(crate) begin: u64,
    /// The lowest that was on no connection before: what lies between it and `begin` its sink dropped before.
    unsent: u64,
    /// Offset of the first message taken.
    first_taken: Option<u64>,
    /// The highest sequence taken; what is not above it is a duplicate.
    pub(crate) taken: u64,
    /// The lowest sequence that may still come.
    pub(crate) expected: u64,
    /// Highest offset and sequence that left retention.
    pub(crate) evicted: Option<(u64, u64)>,
    chunks: u32,
    connected: bool,
    left: u64,
    /// Number of the latest news of it.
    pub(crate) news: u64,
}

/// All producers of a service, and in which order something became known of them.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_number: BTreeMap<u64, Remembered>,
    by_id: HashMap<ProducerId, u64>,
    /// Those of whom something left retention, by the highest offset that did.
    lost: BTreeMap<u64, u64>,
    /// Forgettable ones, by when they left.
    idle: BTreeMap<u64, u64>,
    /// Numbers by when they last had news.
    news: BTreeMap<u64, u64>,
    types: VecDeque<Arc<MessageInfo>>,
    next_number: u64,
    next_leave: u64,
    last_news: u64,
}

// === impl Remembered ===

impl Remembered {
    /// What its sink dropped before it connected anywhere begins here, for a consumer who is told of it by a message, or a gap,
    /// at `offset`: if that is where its first message is, or was. 0: nobody else is told of that.
    pub(crate) fn begin_at(&self, offset: u64) -> u64 {
        match self.first_taken {
            Some(first) if offset > first => 0,
            _ => self.unsent,
        }
    }

    /// The same, for a consumer who has read to the end and found no message of it.
    pub(crate) fn begin_at_end(&self) -> u64 {
        match self.first_taken {
            Some(_) => 0,
            None => self.unsent,
        }
    }
}

// === impl Producers ===

impl Producers {
    /// Takes note of a producer that connects; its number.
    pub(crate) fn enter(&mut self, hello: &Hello) -> u64 {
        let number = match self.by_id.get(&hello.producer) {
            Some(number) => *number,
            None => self.remember(hello),
        };
        let known = self
            .by_number
            .get_mut(&number)
            .expect("by_id and by_number hold the same producers");
        known.connected = true;
        self.idle.remove(&known.left);
        if hello.first > known.expected {
            known.expected = hello.first;
            self.tell(number);
        }
        number
    }

    /// Takes note of a producer that went.
    pub(crate) fn leave(&mut self, number: u64) {
        self.next_leave += 1;
        let Some(known) = self.by_number.get_mut(&number) else {
            return;
        };
        known.connected = false;
        known.left = self.next_leave;
        self.may_forget(number);
    }

    /// Takes note of appended frames, the first of them at `offset`.
    pub(crate) fn took(&mut self, number: u64, offset: u64, last: u64) {
        let Some(known) = self.by_number.get_mut(&number) else {
            return;
        };
        known.first_taken.get_or_insert(offset);
        known.chunks += 1;
        known.taken = known.taken.max(last);
        known.expected = known.expected.max(last.saturating_add(1));
    }

    /// Takes note of the last sequence a producer gave: what has not come by now never will. Whether that is news.
    pub(crate) fn counted(&mut self, number: u64, last: u64) -> bool {
        let Some(known) = self.by_number.get_mut(&number) else {
            return false;
        };
        let is_hole = last >= known.expected;
        if is_hole {
            known.expected = last.saturating_add(1);
            self.tell(number);
        }
        is_hole
    }

    /// Takes note of a chunk that left retention.
    pub(crate) fn evicted(&mut self, chunk: &Chunk) {
        let number = chunk.producer.number;
        let Some(known) = self.by_number.get_mut(&number) else {
            return;
        };
        let offset = chunk.end_offset() - 1;
        if let Some((before, _)) = known.evicted.replace((offset, chunk.last)) {
            self.lost.remove(&before);
        }
        self.lost.insert(offset, number);
        known.chunks -= 1;
        self.may_forget(number);
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Remembered> {
        self.by_number.get(&number)
    }

    pub(crate) fn number(&self, producer: &ProducerId) -> Option<u64> {
        self.by_id.get(producer).copied()
    }

    /// Producers of whom a message at `offset` or behind it left retention, with offset and sequence of the highest that did; by
    /// that offset.
    pub(crate) fn lost_since(
        &self,
        offset: u64,
    ) -> impl Iterator<Item = (&Remembered, (u64, u64))> {
        self.lost
            .range(offset..)
            .filter_map(|(_, number)| self.by_number.get(number))
            .filter_map(|known| Some((known, known.evicted?)))
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Remembered> {
        self.by_number.values()
    }

    /// The highest number given so far.
    pub(crate) fn last_number(&self) -> u64 {
        self.next_number
    }

    /// Number of the latest news; a reader that saw it has nothing to learn.
    pub(crate) fn last_news(&self) -> u64 {
        self.last_news
    }

    /// Producers of whom something became known after news `seen`, in that order.
    pub(crate) fn news_since(&self, seen: u64) -> impl DoubleEndedIterator<Item = &Remembered> {
        self.news
            .range(seen + 1..)
            .filter_map(|(_, number)| self.by_number.get(number))
    }

    fn remember(&mut self, hello: &Hello) -> u64 {
        self.next_number += 1;
        let number = self.next_number;
        let identity = Arc::new(Identity {
            number,
            producer: hello.producer,
            message: self.message(hello),
        });
        let begin = hello.first.max(1);
        let known = Remembered {
            identity,
            begin,
            unsent: hello.begins(),
            first_taken: None,
            taken: 0,
            expected: begin,
            evicted: None,
            chunks: 0,
            connected: true,
            left: 0,
            news: 0,
        };
        self.by_id.insert(hello.producer, number);
        self.by_number.insert(number, known);
        self.tell(number);
        number
    }

    /// Producers of one program share their type's texts.
    fn message(&mut self, hello: &Hello) -> Arc<MessageInfo> {
        let is_same = |known: &&Arc<MessageInfo>| {
            known.fingerprint == hello.fingerprint
                && known.name == hello.message
                && known.shape == hello.shape
        };
        if let Some(known) = self.types.iter().find(is_same) {
            return Arc::clone(known);
        }
        let message = Arc::new(MessageInfo {
            fingerprint: hello.fingerprint,
            name: Arc::clone(&hello.message),
            shape: Arc::clone(&hello.shape),
        });
        if self.types.len() == MAX_SHARED_TYPES {
            self.types.pop_front();
        }
        self.types.push_back(Arc::clone(&message));
        message
    }

    fn tell(&mut self, number: u64) {
        let Some(known) = self.by_number.get_mut(&number) else {
            return;
        };
        self.last_news += 1;
        self.news.remove(&known.news);
        known.news = self.last_news;
        self.news.insert(self.last_news, number);
    }

    fn may_forget(&mut self, number: u64) {
        let Some(known) = self
            .by_number
            .get(&number)
            .filter(|known| !known.connected && known.chunks == 0)
        else {
            return;
        };
        self.idle.insert(known.left, number);
        if self.idle.len() <= MAX_REMEMBERED {
            return;
        }
        let Some((_, number)) = self.idle.pop_first() else {
            return;
        };
        if let Some(gone) = self.by_number.remove(&number) {
            self.by_id.remove(&gone.identity.producer);
            self.news.remove(&gone.news);
            if let Some((offset, _)) = gone.evicted {
                self.lost.remove(&offset);
            }
        }
    }
}
