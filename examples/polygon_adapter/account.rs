//! What one consumer has seen: counted by itself, whatever the library says about it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use sinks::PoolEvent;
use sinks::polygon::expect::Comparison;
use sinks::polygon::state::PoolState;
use sinks::pool_event::{Body, Kind, PoolLog};

use crate::latency::Latency;
use crate::rows;

/// Events whose identity is remembered, to see one that comes twice.
const REMEMBERED: usize = 1 << 16;

/// One consumer's books.
#[derive(Debug)]
pub(crate) struct Account {
    /// The consumer's name in the table.
    pub(crate) name: String,
    /// Logs received.
    pub(crate) received: u64,
    /// Of these, logs that a reorganisation took back.
    pub(crate) removed: u64,
    /// Logs received before.
    pub(crate) duplicated: u64,
    /// Messages known to be lost: gaps as the source reported them.
    pub(crate) lost: u64,
    /// Messages that came again and were not handed up, as the source counts them.
    pub(crate) duplicates_removed: u64,
    /// How many logs the end marker says were sent; nothing until it came.
    pub(crate) sent: Option<u64>,
    /// What went wrong, each kind of trouble with its first words.
    pub(crate) troubles: Vec<String>,
    /// Logs per pool and kind.
    pub(crate) kinds: BTreeMap<(Address, Kind), u64>,
    /// Where each pool stands.
    pub(crate) pools: BTreeMap<Address, PoolState>,
    /// From the adapter's send to the consumer's receipt.
    pub(crate) latency: Latency,
    /// Against the published decode, if there is one.
    pub(crate) comparison: Option<Comparison>,
    identities: Identities,
    out: Option<csv::Writer<File>>,
}

/// The last [`REMEMBERED`] identities.
#[derive(Debug, Default)]
struct Identities {
    known: HashSet<Identity>,
    order: VecDeque<Identity>,
}

type Identity = (u64, u64, B256, bool);

/// Whether more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another event may follow.
    More,
    /// The end marker came.
    End,
}

// === impl Account ===

impl Account {
    /// The empty books of `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            received: 0,
            removed: 0,
            duplicated: 0,
            lost: 0,
            duplicates_removed: 0,
            sent: None,
            troubles: Vec::new(),
            kinds: BTreeMap::new(),
            pools: BTreeMap::new(),
            latency: Latency::new(),
            comparison: None,
            identities: Identities::default(),
            out: None,
        }
    }

    /// Compares each event with a published decode.
    pub(crate) fn with_comparison(mut self, comparison: Option<Comparison>) -> Self {
        self.comparison = comparison;
        self
    }

    /// Writes each event to `path` as a row, headed by where it came from.
    pub(crate) fn with_out(mut self, path: Option<&Path>) -> Result<Self, csv::Error> {
        let Some(path) = path else { return Ok(self) };
        let mut out = csv::Writer::from_path(path)?;
        out.write_record(rows::HEADER)?;
        self.out = Some(out);
        Ok(self)
    }

    /// Takes the next message, which came as number `sequence` of its producer.
    pub(crate) fn take(&mut self, event: &PoolEvent, sequence: u64) -> Next {
        let log = match &event.body {
            Body::Log(log) => log,
            Body::End { logs } => {
                self.sent = Some(*logs);
                return Next::End;
            }
        };
        self.received += 1;
        self.removed += u64::from(log.removed);
        self.latency
            .record(now_ns().saturating_sub(event.sent_at_ns));
        if !self.identities.is_new(log) {
            self.duplicated += 1;
        }
        *self.kinds.entry((log.pool, log.change.kind())).or_default() += 1;
        self.pools.entry(log.pool).or_default().follow(log);
        if let Some(comparison) = &mut self.comparison {
            comparison.compare(log);
        }
        if let Some(out) = &mut self.out
            && let Err(error) = out.write_record(rows::row(sequence, event, log))
        {
            self.out = None;
            self.trouble(format!("writing rows: {error}"));
        }
        Next::More
    }

    /// Notes what went wrong; the first few are kept.
    pub(crate) fn trouble(&mut self, what: String) {
        if self.troubles.len() < 5 {
            self.troubles.push(what);
        }
    }

    /// Logs that were sent and neither came nor were reported as lost. Must be none.
    pub(crate) fn missing(&self) -> u64 {
        let accounted = self.received - self.duplicated + self.lost;
        self.sent.map_or(0, |sent| sent.saturating_sub(accounted))
    }

    /// Whether all that was sent came, once, as the published decode has it.
    pub(crate) fn is_complete(&self) -> bool {
        self.sent == Some(self.received)
            && (self.lost, self.duplicated) == (0, 0)
            && self.comparison.as_ref().is_none_or(Comparison::is_exact)
            && self.troubles.is_empty()
    }

    /// Writes out what is buffered.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), csv::Writer::flush)
    }
}

// === impl Identities ===

impl Identities {
    /// Remembers `log`; a log that a reorganisation takes back may come again.
    fn is_new(&mut self, log: &PoolLog) -> bool {
        let identity = (log.block, log.log_index, log.transaction, log.removed);
        if log.removed {
            self.known
                .remove(&(log.block, log.log_index, log.transaction, false));
        }
        if !self.known.insert(identity) {
            return false;
        }
        self.order.push_back(identity);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
