//! Between the tasks that read sockets and the caller of `recv`: a bounded queue of chunks, and the acks that go back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::task::AbortHandle;

use crate::error::SourceError;
use crate::frame::{self, Assembler, FrameError, Kind};
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
    /// A [`Going`].
    going: AtomicU8,
    /// Connections so far.
    connections: AtomicU64,
    /// The task that brought connections is gone, and nobody ended it: its runtime has. Set under the lock.
    orphaned: AtomicBool,
}

/// How far a source is with leaving its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Going {
    /// It receives.
    Not,
    /// Nothing more is read; what was is still handed up, and acked.
    Draining,
    /// Nothing more is handed up: what is owed as acks is written, and then it hangs up.
    Gone,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Messages queued, those of the chunk being handed up included.
    messages: u64,
    limit: u64,
    /// What the chunks queued and the one being handed up weigh.
    bytes: u64,
    byte_limit: u64,
    receiver: Option<Waker>,
    /// Readers that wait for room.
    readers: Vec<Waker>,
    /// The tasks that bring connections.
    tasks: Vec<AbortHandle>,
    /// The tasks of a listener's connections, and those that were welcomed, oldest first.
    serving: Vec<AbortHandle>,
    connections: Vec<Weak<Connection>>,
    shut: bool,
}

/// Errors kept for a caller who does not ask; the oldest go first.
const MAX_ERRORS: usize = 64;

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_limit(&self, messages: u32, bytes: u64) {
        let mut state = self.lock();
        state.limit = u64::from(messages);
        state.byte_limit = bytes;
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

    /// A number for a connection, unique within the source: whoever listens for it, and however often it begins again.
    pub(super) fn number(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Acquire)
    }

    /// Whether what brought connections ended with its runtime; asked once, as it is begun again then.
    pub(super) fn take_orphaned(&self) -> bool {
        self.is_orphaned() && self.orphaned.swap(false, Ordering::AcqRel)
    }

    /// Adds the task of a connection, which ends with the source once its acks are written.
    pub(super) fn adopt_serving(&self, task: AbortHandle) {
        let mut state = self.lock();
        if state.shut {
            task.abort();
        } else {
            state.serving.retain(|task| !task.is_finished());
            state.serving.push(task);
        }
    }

    /// Notes a connection about to be welcomed; `false` where the source is closed, and it must not be.
    pub(super) fn admits(&self, connection: &Arc<Connection>) -> bool {
        let mut state = self.lock();
        if !state.shut {
            state.connections.retain(|known| known.strong_count() > 0);
            state.connections.push(Arc::downgrade(connection));
        }
        !state.shut
    }

    pub(super) fn going(&self) -> Going {
        match self.going.load(Ordering::Acquire) {
            0 => Going::Not,
            1 => Going::Draining,
            _ => Going::Gone,
        }
    }

    /// Queues the whole frames that have arrived, as many messages of them as there is room for, up to one that is malformed.
    pub(super) fn fill(
        &self,
        connection: &Arc<Connection>,
        assembler: &mut Assembler,
    ) -> Result<Filled, FrameError> {
        let mut state = self.lock();
        let room = state.limit.saturating_sub(state.messages);
        let (mut messages, mut left_some) = (0, false);
        let taken = assembler.take_where(|head| {
            if head.kind != Kind::Data as u8 {
                return true;
            }
            left_some = u64::from(messages) >= room;
            messages += u32::from(!left_some);
            !left_some
        })?;
        let Some((mut bytes, _)) = taken else {
            return Ok(Filled {
                left_some,
                ..Filled::default()
            });
        };
        let Survey {
            sound,
            bye,
            mistake,
        } = survey(&bytes, connection.relayed);
        if mistake.is_some() {
            bytes.truncate(sound.bytes);
            messages = sound.messages;
        }
        let bytes = kept(bytes);
        state.messages += u64::from(messages);
        state.bytes += weight(&bytes) as u64;
        state.items.push_back(Item::Chunk {
            bytes: bytes.clone(),
            connection: Arc::clone(connection),
            messages,
        });
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
        Ok(Filled {
            bytes,
            left_some,
            bye,
            mistake,
        })
    }

    /// Queues what is no message.
    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        match &item {
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
            // Nothing but errors came of the one before: this one says all.
            Item::Resumed { .. } => {
                let before = |item: &Item| !matches!(item, Item::Error(_));
                let last = state.items.iter().rposition(before);
                if let Some(last) = last
                    && matches!(state.items[last], Item::Resumed { .. })
                {
                    state.items.remove(last);
                }
            }
            Item::Chunk { .. } => {}
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
        if !state.items.is_empty() || self.is_orphaned() {
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
        if state.messages < state.limit && state.bytes < state.byte_limit {
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

    /// So many messages were handed up, and chunks of this [`weight`].
    pub(super) fn took(&self, messages: u64, bytes: usize) {
        let mut state = self.lock();
        state.messages = state.messages.saturating_sub(messages);
        state.bytes = state.bytes.saturating_sub(bytes as u64);
        if !state.readers.is_empty() {
            wake_readers(state);
        }
    }

    /// Reads nothing more. While messages are still to be handed up, the connections that acks are owed on stay for that.
    pub(super) fn shut(&self) {
        let mut state = self.lock();
        if state.shut {
            return;
        }
        state.shut = true;
        self.going.store(Going::Draining as u8, Ordering::Release);
        let tasks = std::mem::take(&mut state.tasks);
        let (drained, connections) = (state.messages == 0, state.connections.clone());
        drop(state);
        tasks.iter().for_each(AbortHandle::abort);
        if drained {
            self.hang_up();
        } else {
            let open = connections.iter().filter_map(Weak::upgrade);
            open.for_each(|connection| connection.nudge());
        }
    }

    /// Acks what was handed up and hangs up: at once where the peers take the acks at once, else their tasks see to it.
    pub(super) fn hang_up(&self) {
        let mut state = self.lock();
        state.shut = true;
        self.going.store(Going::Gone as u8, Ordering::Release);
        let mut ends = std::mem::take(&mut state.tasks);
        let serving = std::mem::take(&mut state.serving);
        let connections = std::mem::take(&mut state.connections);
        drop(state);
        let mut told = true;
        // What came on an earlier connection of a producer is acked on the later one.
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.ack();
            // Over TCP the task sees its peer off.
            told &= connection.flush().1 == 0 && !connection.lingers();
            connection.nudge();
        }
        if told {
            ends.extend(serving);
        }
        ends.iter().for_each(AbortHandle::abort);
    }
}

/// Held by the task that brings connections: the source is to hear that it ended.
pub(super) struct Brings(pub(super) Arc<Inbox>);

impl Drop for Brings {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        self.0.orphaned.store(!state.shut, Ordering::Release);
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
    }
}

/// Readers go on once half of it is free: a wake for each message would cost more than it gains.
fn wake_readers(mut state: MutexGuard<'_, State>) {
    if state.messages > state.limit / 2 || state.bytes > state.byte_limit / 2 {
        return;
    }
    let readers = std::mem::take(&mut state.readers);
    drop(state);
    readers.into_iter().for_each(Waker::wake);
}

/// What waits to be handed up. A slice of what was read keeps all of the buffer that it was read into: who sends one message and
/// goes, again and again, must not make of each a buffer that waits.
fn kept(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPIED_BYTES {
        Bytes::copy_from_slice(&bytes)
    } else {
        bytes
    }
}

/// What a chunk that waits counts as: its bytes, and about what its place in the queue and two small allocations take. A peer that
/// sends heartbeats to a caller who does not ask would else fill many times what is allowed.
pub(super) fn weight(chunk: &Bytes) -> usize {
    const PLACE: usize = 128;
    chunk.len() + PLACE
}

/// Up to this much is copied: less than one system call costs, and what is longer keeps sixteen times its size at most.
const COPIED_BYTES: usize = frame::READ_CHUNK / 16;

/// What [`Inbox::fill`] took.
#[derive(Default)]
pub(super) struct Filled {
    pub(super) bytes: Bytes,
    /// Whole frames were left where they are, for want of room.
    pub(super) left_some: bool,
    /// A goodbye was among them.
    pub(super) bye: bool,
    /// What stood behind them is malformed.
    pub(super) mistake: Option<FrameError>,
}

#[derive(Default)]
struct Survey {
    sound: Sound,
    bye: bool,
    mistake: Option<FrameError>,
}

/// Frames before the first that is malformed.
#[derive(Default)]
struct Sound {
    bytes: usize,
    messages: u32,
}

/// A relay tells one connection of half as many producers, and hangs up then.
const MAX_ANNOUNCED: u32 = 2 * 65_536;

/// Looks through whole frames. Most messages have nothing besides their payload, and need no look within.
fn survey(bytes: &[u8], relayed: bool) -> Survey {
    let mut seen = Survey::default();
    let mut at = 0;
    while let Ok(Some(head)) = frame::head(&bytes[at..], usize::MAX) {
        let is_data = head.kind == Kind::Data as u8;
        if !is_data || head.flags != 0 || head.total < frame::DATA_HEAD {
            let whole = &bytes[at..at + head.total];
            seen.mistake = match Kind::from_u8(head.kind) {
                Some(Kind::Data) => frame::data(whole).err(),
                Some(kind) => out_of_place(kind, whole, relayed),
                // Later versions may say more; what we do not know we pass over.
                None => None,
            };
            if seen.mistake.is_some() {
                break;
            }
        }
        seen.bye |= head.kind == Kind::Bye as u8;
        at += head.total;
        seen.sound.messages += u32::from(is_data);
        seen.sound.bytes = at;
    }
    seen
}

/// What is wrong with a frame that is no data, if it may not come here.
fn out_of_place(kind: Kind, whole: &[u8], relayed: bool) -> Option<FrameError> {
    match kind {
        Kind::Data | Kind::Heartbeat | Kind::Bye => None,
        Kind::Chunk | Kind::Gap if relayed => None,
        Kind::Producer if relayed => {
            let index = whole.get(frame::HEAD..).and_then(|body| body.first_chunk());
            let is_known = index.is_some_and(|index| u32::from_le_bytes(*index) < MAX_ANNOUNCED);
            (!is_known).then_some(FrameError::Malformed("producer"))
        }
        other => Some(FrameError::Unexpected(other)),
    }
}

/// One connection, as the handing-up side knows it.
pub(super) struct Connection {
    /// Unique within the source.
    pub(super) id: u64,
    pub(super) producer: frame::ProducerId,
    /// The first sequence that who never heard of its producer accounts for.
    pub(super) first: u64,
    /// A relay is at the other end.
    pub(super) relayed: bool,
    acks: bool,
    handed: AtomicU64,
    /// Shared with later connections of the same producer.
    acked: Arc<AtomicU64>,
    /// The highest sequence that this connection's peer was told of.
    told: AtomicU64,
    out: Mutex<Outgoing>,
    /// The task that writes what `say` could not.
    pub(super) task: Mutex<Option<Waker>>,
    /// The connection that its producer came from before: what lies in that one is read first.
    before: Mutex<Option<Arc<Connection>>>,
    /// Its producer has come back on another connection.
    superseded: AtomicBool,
    end: Mutex<Ended>,
}

/// Control bytes on their way out, and where to: nowhere, if the peer would not understand them. An ended connection has let go of its stream: what it brought may lie here
/// for long, and must hold no descriptor.
struct Outgoing {
    bytes: Vec<u8>,
    wire: Option<Arc<dyn Wire>>,
}

/// Whether a connection has ended, and who waits for that.
#[derive(Default)]
struct Ended {
    has_ended: bool,
    waiting: Option<Waker>,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        producer: frame::ProducerId,
        first: u64,
        relayed: bool,
        acks: bool,
        wire: Option<Arc<dyn Wire>>,
        acked: Arc<AtomicU64>,
    ) -> Arc<Self> {
        let (handed, task) = (AtomicU64::new(0), Mutex::default());
        let out = Mutex::new(Outgoing {
            bytes: Vec::new(),
            wire,
        });
        let told = AtomicU64::new(acked.load(Ordering::Acquire));
        Arc::new(Self {
            id,
            producer,
            first,
            relayed,
            acks,
            handed,
            acked,
            told,
            out,
            task,
            before: Mutex::default(),
            superseded: AtomicBool::new(false),
            end: Mutex::default(),
        })
    }

    /// Its producer came from `before` until now, and reads nothing there any more.
    pub(super) fn follow(&self, before: Arc<Connection>) {
        before.superseded.store(true, Ordering::Release);
        before.nudge();
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    /// Waits until the connection before it has been read to its end.
    pub(super) fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slot = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = &*slot {
            let mut end = before.end.lock().unwrap_or_else(PoisonError::into_inner);
            if !end.has_ended {
                end.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        *slot = None;
        Poll::Ready(())
    }

    /// Nothing more is read from it, or written to it.
    pub(super) fn ended(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let wire = out.wire.take();
        drop(out);
        drop(wire);
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.has_ended = true;
        let waiting = end.waiting.take();
        drop(end);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Notes a message handed up; how many are not acked yet, and whether it is the first of them.
    #[inline]
    pub(super) fn handed(&self, sequence: u64) -> (u64, bool) {
        if !self.acks || self.relayed {
            return (0, false);
        }
        // `ack` reads and writes the two the other way round; one of us sees the other, so that none goes without an ack.
        let before = self.handed.swap(sequence, Ordering::SeqCst);
        let acked = self.acked.load(Ordering::SeqCst);
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

    /// Whether its peer is told what was handed up.
    pub(super) fn owes_acks(&self) -> bool {
        self.acks && !self.relayed
    }

    /// Whether what was written last, an ack, may be lost if the stream is closed at once.
    pub(super) fn lingers(&self) -> bool {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        self.owes_acks() && out.wire.as_ref().is_some_and(|wire| wire.lingers())
    }

    /// Acks what was handed up.
    pub(super) fn ack(&self) {
        if !self.owes_acks() {
            return;
        }
        let handed = self.handed.load(Ordering::SeqCst);
        let acked = self.acked.fetch_max(handed, Ordering::SeqCst).max(handed);
        self.tell(acked);
        if self.handed.load(Ordering::SeqCst) > acked {
            // Handed up meanwhile, when the one before it was not acked yet: nobody was woken for it.
            self.nudge();
        }
    }

    /// Acks up to `acked`, if the peer has not heard so. What an earlier connection brought was acked there: a producer that
    /// sends it again must hear so here.
    fn tell(&self, acked: u64) {
        if self.told.load(Ordering::Acquire) >= acked {
            return;
        }
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Acks add up: while one is stuck the next waits for it, and the connection's task then tells of all.
        if out.bytes.is_empty() && self.told.fetch_max(acked, Ordering::AcqRel) < acked {
            self.write(out, |out| frame::ack(out, acked));
        }
    }

    /// The highest sequence acked so far.
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// Queues control bytes and writes what fits; the connection's task writes the rest.
    pub(super) fn say(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.bytes.len() > MAX_CONTROL {
            // The peer does not read: its connection's task will end this.
            return;
        }
        self.write(out, write);
    }

    fn write(&self, mut out: MutexGuard<'_, Outgoing>, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut out.bytes);
        out.flush();
        let left = !out.bytes.is_empty();
        drop(out);
        if left {
            self.nudge();
        }
    }

    /// Writes what is left of the control bytes; how many were and are left.
    pub(super) fn flush(&self) -> (usize, usize) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let before = out.bytes.len();
        if before > 0 {
            out.flush();
        }
        (before, out.bytes.len())
    }
}

/// Says that a connection is read no more, however its task ends.
pub(super) struct Ends(pub(super) Arc<Connection>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Control bytes held for a peer that does not read.
const MAX_CONTROL: usize = 64 * 1024;

impl Outgoing {
    fn flush(&mut self) {
        let Some(wire) = &self.wire else {
            self.bytes.clear();
            return;
        };
        while !self.bytes.is_empty() {
            match wire.try_write(&self.bytes) {
                Ok(count) => {
                    self.bytes.drain(..count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // The peer is gone and hears nothing more; what it sent before is still to be read, as slowly as our caller asks.
                Err(_) => {
                    self.bytes.clear();
                    self.wire = None;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
