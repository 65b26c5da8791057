//! Between the tasks that read sockets and the caller of `recv`: a bounded queue of chunks, and the acks that go back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::task::AbortHandle;

use crate::error::SourceError;
use crate::frame;
use crate::transport::Wire;

/// What a reading task hands to `recv`.
pub(super) enum Item {
    /// Whole frames, `messages` of them data.
    Chunk {
        bytes: Bytes,
        connection: Arc<Connection>,
        messages: u32,
    },
    /// Something the caller must know.
    Error(SourceError),
    /// A subscription stands: what follows comes from this connection.
    Resumed {
        connection: Arc<Connection>,
        epoch: u64,
        next_offset: u64,
    },
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Messages queued, those of the chunk being handed up included.
    messages: u64,
    limit: u64,
    receiver: Option<Waker>,
    /// Readers that wait for room.
    readers: Vec<Waker>,
    tasks: Vec<AbortHandle>,
    shut: bool,
}

/// Errors kept for a caller who does not ask; the oldest go first.
const MAX_ERRORS: usize = 64;

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_limit(&self, messages: u32) {
        self.lock().limit = u64::from(messages);
    }

    /// Adds a task to those that end with the source.
    pub(super) fn adopt(&self, task: AbortHandle) {
        let mut state = self.lock();
        if state.shut {
            task.abort();
        } else {
            state.tasks.retain(|task| !task.is_finished());
            state.tasks.push(task);
        }
    }

    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        match &item {
            Item::Chunk { messages, .. } => state.messages += u64::from(*messages),
            Item::Error(_) => {
                let errors = state
                    .items
                    .iter()
                    .filter(|item| matches!(item, Item::Error(_)))
                    .count();
                if errors >= MAX_ERRORS
                    && let Some(oldest) = state
                        .items
                        .iter()
                        .position(|item| matches!(item, Item::Error(_)))
                {
                    state.items.remove(oldest);
                }
            }
            Item::Resumed { .. } => {}
        }
        state.items.push_back(item);
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
    }

    pub(super) fn pop(&self) -> Option<Item> {
        self.lock().items.pop_front()
    }

    /// Waits until something is queued.
    pub(super) fn poll_filled(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.items.is_empty() {
            return Poll::Ready(());
        }
        match &mut state.receiver {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Whether a reader may read on; registers its waker if not.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.messages < state.limit {
            return Poll::Ready(());
        }
        if !state
            .readers
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.readers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// One message was handed up.
    #[inline]
    pub(super) fn took_one(&self) {
        let mut state = self.lock();
        state.messages = state.messages.saturating_sub(1);
        if state.readers.is_empty() || state.messages > state.limit / 2 {
            return;
        }
        let readers = std::mem::take(&mut state.readers);
        drop(state);
        readers.into_iter().for_each(Waker::wake);
    }

    /// Ends all tasks.
    pub(super) fn shut(&self) {
        let mut state = self.lock();
        state.shut = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        for task in tasks {
            task.abort();
        }
    }
}

/// One connection, as the handing-up side knows it.
pub(super) struct Connection {
    /// Unique within the source.
    pub(super) id: u64,
    pub(super) producer: frame::ProducerId,
    /// The first sequence its hello announced.
    pub(super) first: u64,
    /// A relay is at the other end.
    pub(super) relayed: bool,
    acks: bool,
    wire: Arc<dyn Wire>,
    handed: AtomicU64,
    /// Shared with later connections of the same producer.
    acked: Arc<AtomicU64>,
    /// The highest sequence that this connection's peer was told of.
    told: AtomicU64,
    /// Control bytes on their way out.
    out: Mutex<Vec<u8>>,
    /// The task that writes what `say` could not.
    pub(super) task: Mutex<Option<Waker>>,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        producer: frame::ProducerId,
        first: u64,
        relayed: bool,
        acks: bool,
        wire: Arc<dyn Wire>,
        acked: Arc<AtomicU64>,
    ) -> Arc<Self> {
        let (handed, out, task) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        let told = AtomicU64::new(acked.load(Ordering::Acquire));
        Arc::new(Self {
            id,
            producer,
            first,
            relayed,
            acks,
            wire,
            handed,
            acked,
            told,
            out,
            task,
        })
    }

    /// Notes a message handed up; how many are not acked yet, and whether it is the first of them.
    #[inline]
    pub(super) fn handed(&self, sequence: u64) -> (u64, bool) {
        if !self.acks || self.relayed {
            return (0, false);
        }
        let before = self.handed.swap(sequence, Ordering::AcqRel);
        let acked = self.acked.load(Ordering::Acquire);
        (sequence.saturating_sub(acked), before <= acked)
    }

    /// Wakes the connection's task, which acks what was handed up.
    pub(super) fn nudge(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        task.into_iter().for_each(Waker::wake);
    }

    /// Acks what was handed up.
    pub(super) fn ack(&self) {
        if !self.acks || self.relayed {
            return;
        }
        let handed = self.handed.load(Ordering::Acquire);
        let acked = self.acked.fetch_max(handed, Ordering::AcqRel).max(handed);
        // What an earlier connection brought was acked there: a producer that sends it again must hear so here.
        if self.told.fetch_max(acked, Ordering::AcqRel) >= acked {
            return;
        }
        self.say(|out| frame::ack(out, acked));
    }

    /// The highest sequence acked so far.
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// Queues control bytes and writes what fits; the connection's task writes the rest.
    pub(super) fn say(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.len() > MAX_CONTROL {
            // The peer does not read: its own heartbeat check will end this.
            return;
        }
        write(&mut out);
        flush(&mut out, &*self.wire);
        let left = !out.is_empty();
        drop(out);
        if left {
            self.nudge();
        }
    }

    /// Writes what is left of the control bytes; whether all went.
    pub(super) fn flush(&self) -> bool {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        flush(&mut out, &*self.wire);
        out.is_empty()
    }
}

/// Control bytes held for a peer that does not read.
const MAX_CONTROL: usize = 64 * 1024;

fn flush(out: &mut Vec<u8>, wire: &dyn Wire) {
    while !out.is_empty() {
        match wire.try_write(out) {
            Ok(count) => {
                out.drain(..count);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Full, or broken: reading will tell which.
            Err(_) => return,
        }
    }
}
