//! What composites need of their members: room set aside, a frame taken from encoded bytes. The patterns are beside this file.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Instant;
use crate::codec::Codec;
use crate::dynamic::{DynMessageSink, DynSink};
use crate::error::{EncodeError, RegistryError, SendErrorKind};
use crate::fanout::Aside;
use crate::frame;
use crate::lazy::Lazy;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::sink::{AtLeastOnce, MessageSink, forward_sink};
use crate::transport::BoxFuture;

pub(crate) mod view;

/// One message on its way to several branches: encoded once per codec.
pub struct Encoded<'a, M> {
    message: &'a M,
    /// The composite's identity of it.
    pub(crate) identity: Option<(u64, u64)>,
    /// Whoever offers it has stood in a member's line, and it is its turn.
    pub(crate) has_waited: bool,
    payloads: [OnceCell<Result<Bytes, Arc<EncodeError>>>; 3],
    pub(crate) metadata: Option<&'a crate::message::Metadata>,
    encode: fn(&M, Codec) -> Result<Bytes, EncodeError>,
    decode: fn(Codec, &Bytes) -> Option<M>,
    /// What the composites on the way did before the message is taken, by their addresses; a composite that is asked twice has
    /// two. Few composites are members of another: so many allocate nothing.
    choices: RefCell<Choices>,
}

impl<'a, M: MessageType> Encoded<'a, M> {
    pub(crate) fn new(message: &'a M, identity: Option<(u64, u64)>) -> Self {
        Self {
            message,
            identity,
            has_waited: false,
            payloads: [const { OnceCell::new() }; 3],
            metadata: message.metadata(),
            encode: |message, codec| {
                if let Some(shared) = message.shared() {
                    return Ok(shared.clone());
                }
                let mut out = Vec::new();
                message.encode(codec, &mut out)?;
                Ok(Bytes::from(out))
            },
            decode: |codec, bytes| M::decode(codec, crate::message::Payload::new(bytes)).ok(),
            choices: RefCell::default(),
        }
    }
}

impl<M> Encoded<'_, M> {
    pub(crate) fn having_waited(mut self, has_waited: bool) -> Self {
        self.has_waited = has_waited;
        self
    }

    /// The message itself.
    pub(crate) fn message(&self) -> &M {
        self.message
    }

    /// The payload as `codec` writes it; made at the first call.
    pub(crate) fn payload(&self, codec: Codec) -> Result<&Bytes, Arc<EncodeError>> {
        let slot = match codec {
            Codec::Postcard => 0,
            Codec::Json => 1,
            Codec::Raw => 2,
        };
        self.payloads[slot]
            .get_or_init(|| (self.encode)(self.message, codec).map_err(Arc::new))
            .as_ref()
            .map_err(Arc::clone)
    }

    /// Bytes of the frame as `codec` writes it, at most.
    pub(crate) fn frame_bytes(&self, codec: Codec) -> Result<usize, Arc<EncodeError>> {
        let metadata = if self.metadata.is_some() { 2 + 512 } else { 0 };
        Ok(self.payload(codec)?.len() + frame::DATA_HEAD + frame::IDENTITY + metadata)
    }

    /// For the commit or the release that follows.
    pub(crate) fn remember(&self, composite: usize, choice: Choice) {
        let (first, more) = &mut *self.choices.borrow_mut();
        match first.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some((composite, choice)),
            None => more.push((composite, choice)),
        }
    }

    /// Takes one such out: each is undone, or done, once.
    pub(crate) fn recall(&self, composite: usize) -> Option<Choice> {
        let (first, more) = &mut *self.choices.borrow_mut();
        let is_its = |(known, _): &mut (usize, Choice)| *known == composite;
        let slot = first.iter_mut().find_map(|slot| slot.take_if(is_its));
        let taken = slot.or_else(|| {
            let at = more.iter().position(|(known, _)| *known == composite)?;
            Some(more.swap_remove(at))
        });
        taken.map(|(_, choice)| choice)
    }

    /// A message of its own, for a branch that takes messages rather than bytes.
    pub(crate) fn copy(&self) -> Option<M> {
        let codec = [Codec::Postcard, Codec::Raw, Codec::Json]
            .into_iter()
            .find(|codec| self.payload(*codec).is_ok())?;
        (self.decode)(codec, self.payload(codec).ok()?)
    }
}

impl<M> fmt::Debug for Encoded<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// How long a send may wait for a sink whose own bound is not known: `send_timeout_ms` where the registry says nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that any of these may wait.
pub(crate) fn longest(all: impl Iterator<Item = Option<Duration>>) -> Option<Duration> {
    let mut longest = Some(Duration::ZERO);
    for one in all {
        longest = longest.zip(one).map(|(longest, one)| longest.max(one));
    }
    longest
}

/// What a composite within another did when it was asked for room.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// A failover chose the member of this index.
    Member(usize),
    /// A fan-out set this aside.
    Aside(Aside),
}

/// Choices, each with its composite's address: the first of them, and more.
type Choices = ([Option<(usize, Choice)>; 2], Vec<(usize, Choice)>);

/// Some of a composite's members, by their index. However many they are; the first 64 allocate nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    first: u64,
    more: Vec<u64>,
}

impl Marks {
    pub(crate) fn set(&mut self, index: usize) {
        let bit = 1 << (index % 64);
        match (index / 64).checked_sub(1) {
            None => self.first |= bit,
            Some(word) => {
                if self.more.len() <= word {
                    self.more.resize(word + 1, 0);
                }
                self.more[word] |= bit;
            }
        }
    }

    pub(crate) fn has(&self, index: usize) -> bool {
        let word = match (index / 64).checked_sub(1) {
            None => self.first,
            Some(word) => self.more.get(word).copied().unwrap_or_default(),
        };
        word & (1 << (index % 64)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == 0 && self.more.iter().all(|word| *word == 0)
    }
}

/// Whether a branch set room aside.
#[derive(Debug)]
pub enum Reserved {
    /// It did; [`Branch::commit`] or [`Branch::release`] must follow.
    Room,
    /// It cannot say before it is offered the message; [`Branch::commit`] or [`Branch::release`] must follow, and after a commit
    /// that fails nothing of it has taken the message, unless the error is [`SendErrorKind::Partial`].
    Untried,
    /// Its `drop_newest` policy drops this copy: [`Branch::drop_newest`] follows if others take theirs.
    Dropped,
    /// There is none now.
    Full,
    /// It never will take this message.
    Refused(SendErrorKind),
}

impl Reserved {
    pub(crate) fn registry(error: RegistryError) -> Self {
        Self::Refused(SendErrorKind::Registry {
            source: Arc::new(error),
        })
    }
}

/// A sink that can be a composite's member.
pub trait Branch<M>: DynMessageSink<M> {
    /// Sets room aside for one message, without waiting. A copy that it refuses is not in its ledger.
    fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved;
    /// Gives reserved room back.
    fn release(&self, encoded: &Encoded<'_, M>);
    /// Takes the message into reserved room.
    ///
    /// # Errors
    /// If the sink was closed in between, or could not say before that it would not take it.
    fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind>;
    /// Counts the copy that it, full and optional, does not get.
    fn drop_copy(&self);
    /// Counts the copy that its own policy drops.
    fn drop_newest(&self) -> Option<Receipt>;
    /// The level its own `confirm` asks for; of a composite, that of any member.
    fn confirm(&self) -> Option<Level>;
    /// Waits for that level of a message it gave this receipt for, if whoever took the message asks for one.
    fn confirmed(&self, receipt: Receipt) -> Option<BoxFuture<'_, Result<(), Lost>>>;
    /// Waits for room as its `when_full` says, on behalf of a send that began to wait at `since`.
    fn room(&self, since: Instant) -> BoxFuture<'_, Result<(), SendErrorKind>>;
    /// Whether it gave this receipt; `None` if it cannot tell.
    fn gave(&self, receipt: Receipt) -> Option<bool>;
    /// How long a send to it may wait; `None` is without bound.
    fn patience(&self) -> Option<Duration>;
    /// Whether the composite's acceptance depends on it.
    fn is_required(&self) -> bool {
        true
    }
    /// The same sink behind as few wrappers as can be: that of a generated one is compiled once for all services of a message type.
    fn as_branch(&self) -> &dyn Branch<M>;
    /// What [`as_branch`](Self::as_branch) of a [`Lazy`] of this sink gives.
    #[doc(hidden)]
    fn of_lazy(lazy: &Lazy<Self>) -> &dyn Branch<M>
    where
        M: Send + 'static,
        Self: MessageSink<M> + Sized + 'static,
    {
        &lazy.inner
    }
}

/// A composite's member as the composite sees it.
pub struct Member<'a, M> {
    sink: &'a dyn Branch<M>,
    required: bool,
}

impl<'a, M> Member<'a, M> {
    /// Whether the composite's acceptance depends on it.
    pub(crate) fn is_required(&self) -> bool {
        self.required
    }

    /// The sink, for as long as the composite lives.
    pub(crate) fn sink(&self) -> &'a dyn Branch<M> {
        self.sink
    }
}

impl<'a, M> std::ops::Deref for Member<'a, M> {
    type Target = dyn Branch<M> + 'a;

    fn deref(&self) -> &Self::Target {
        self.sink
    }
}

impl<M> fmt::Debug for Member<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

/// A composite's member: a static, or shared with an owner.
pub enum Ref<S: 'static> {
    /// A generated leaf.
    Static(&'static S),
    /// Shared with a `SinkSet`.
    Shared(Arc<S>),
    /// A generated composite.
    Single(&'static Single<S>),
}

/// A generated composite: it lives as long as the program, so that nothing is compiled that would drop it and its members.
pub struct Single<S>(ManuallyDrop<S>);

impl<S> Single<S> {
    /// For a static.
    #[must_use]
    pub const fn new(sink: S) -> Self {
        Self(ManuallyDrop::new(sink))
    }

    /// The composite.
    #[inline]
    pub fn get(&self) -> &S {
        &self.0
    }
}

impl<S> fmt::Debug for Single<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Single<{}>", std::any::type_name::<S>())
    }
}

impl<S> Ref<S> {
    #[inline]
    fn get(&self) -> &S {
        match self {
            Self::Static(sink) => sink,
            Self::Shared(sink) => sink,
            Self::Single(sink) => sink.get(),
        }
    }
}

impl<S> Clone for Ref<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(sink) => Self::Static(sink),
            Self::Shared(sink) => Self::Shared(Arc::clone(sink)),
            Self::Single(sink) => Self::Single(sink),
        }
    }
}

impl<S> fmt::Debug for Ref<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref<{}>", std::any::type_name::<S>())
    }
}

/// A member that never blocks its composite and never decides: full, its copy is dropped.
pub struct Optional<S>(pub S);

impl<S> fmt::Debug for Optional<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Optional<{}>", std::any::type_name::<S>())
    }
}

impl<M: Send + 'static, S: MessageSink<M>> MessageSink<M> for Ref<S> {
    forward_sink!(self => self.get());
}

impl<M: Send + 'static, S: MessageSink<M>> MessageSink<M> for Optional<S> {
    forward_sink!(self => self.0);
}

macro_rules! forward_branch {
    ($self:ident => $inner:expr) => {
        $crate::composite::forward_branch!($self => $inner, $crate::Branch::<M>::is_required(&$inner));
    };
    ($self:ident => $inner:expr, $required:expr) => {
        fn reserve(&$self, encoded: &$crate::Encoded<'_, M>) -> $crate::Reserved {
            $crate::Branch::reserve(&$inner, encoded)
        }
        fn release(&$self, encoded: &$crate::Encoded<'_, M>) {
            $crate::Branch::release(&$inner, encoded);
        }
        fn commit(&$self, encoded: &$crate::Encoded<'_, M>) -> Result<$crate::Receipt, $crate::SendErrorKind> {
            $crate::Branch::commit(&$inner, encoded)
        }
        fn drop_copy(&$self) {
            $crate::Branch::<M>::drop_copy(&$inner);
        }
        fn drop_newest(&$self) -> Option<$crate::Receipt> {
            $crate::Branch::<M>::drop_newest(&$inner)
        }
        fn confirm(&$self) -> Option<$crate::Level> {
            $crate::Branch::<M>::confirm(&$inner)
        }
        fn confirmed(&$self, receipt: $crate::Receipt) -> Option<$crate::transport::BoxFuture<'_, Result<(), $crate::Lost>>> {
            $crate::Branch::<M>::confirmed(&$inner, receipt)
        }
        fn room(&$self, since: $crate::clock::Instant) -> $crate::transport::BoxFuture<'_, Result<(), $crate::SendErrorKind>> {
            $crate::Branch::<M>::room(&$inner, since)
        }
        fn gave(&$self, receipt: $crate::Receipt) -> Option<bool> {
            $crate::Branch::<M>::gave(&$inner, receipt)
        }
        fn patience(&$self) -> Option<std::time::Duration> {
            $crate::Branch::<M>::patience(&$inner)
        }
        fn is_required(&$self) -> bool {
            $required
        }
        fn as_branch(&$self) -> &dyn $crate::composite::Branch<M> {
            $crate::Branch::<M>::as_branch(&$inner)
        }
    };
}
pub(crate) use forward_branch;

impl<M: Send + 'static, S: Branch<M> + MessageSink<M>> Branch<M> for Ref<S> {
    forward_branch!(self => *self.get());
}

impl<M: Send + 'static, S: Branch<M> + MessageSink<M>> Branch<M> for Optional<S> {
    forward_branch!(self => self.0, false);
}

impl<S: AtLeastOnce> AtLeastOnce for Ref<S> {}

/// A member whose guarantee counts, or that is optional and so does not decide.
#[diagnostic::on_unimplemented(
    message = "this composite has a branch that does not promise at-least-once delivery",
    note = "every branch that is not `optional` must have `delivery = \"at_least_once\"`"
)]
pub trait AtLeastOnceBranch {}

impl<S: AtLeastOnce> AtLeastOnceBranch for Ref<S> {}
impl<S> AtLeastOnceBranch for Optional<S> {}

/// The members of a composite: a tuple of up to eight, or [`Members`].
pub trait Branches<M>: Send + Sync {
    /// Calls `use_them` with all members, in order.
    fn with(&self, use_them: &mut dyn FnMut(&[Member<'_, M>]));
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them.
    fn get(&self, index: usize) -> Option<Member<'_, M>>;
}

macro_rules! tuple_branches {
    ($count:literal: $($name:ident $index:tt),+) => {
        impl<M: Send + 'static, $($name: Branch<M>),+> Branches<M> for ($($name,)+) {
            fn with(&self, use_them: &mut dyn FnMut(&[Member<'_, M>])) {
                use_them(&[$(Member { sink: self.$index.as_branch(), required: self.$index.is_required() }),+]);
            }
            fn count(&self) -> usize {
                $count
            }
            fn get(&self, index: usize) -> Option<Member<'_, M>> {
                match index {
                    $($index => Some(Member { sink: self.$index.as_branch(), required: self.$index.is_required() }),)+
                    _ => None,
                }
            }
        }
        impl<$($name: AtLeastOnceBranch),+> AtLeastOnce for ($($name,)+) {}
    };
}
tuple_branches!(1: A 0);
tuple_branches!(2: A 0, B 1);
tuple_branches!(3: A 0, B 1, C 2);
tuple_branches!(4: A 0, B 1, C 2, D 3);
tuple_branches!(5: A 0, B 1, C 2, D 3, E 4);
tuple_branches!(6: A 0, B 1, C 2, D 3, E 4, F 5);
tuple_branches!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_branches!(8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// A composite that the generator prints.
#[doc(hidden)]
pub trait Generated {
    /// Says that some of its members are doubles.
    fn of_doubles(&mut self);
}

/// Members known at run time: a static composite of these *is* the dynamic composite.
pub struct Members<M> {
    /// Each with whether it is optional.
    members: Vec<(DynSink<M>, bool)>,
}

impl<M: MessageType> Members<M> {
    /// These sinks, each with whether it is optional.
    #[must_use]
    pub fn new(members: Vec<(DynSink<M>, bool)>) -> Self {
        Self { members }
    }
}

impl<M> fmt::Debug for Members<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("count", &self.members.len())
            .finish()
    }
}

impl<M: MessageType> Branches<M> for Members<M> {
    fn with(&self, use_them: &mut dyn FnMut(&[Member<'_, M>])) {
        let all: Vec<Member<'_, M>> = self.members.iter().map(member).collect();
        use_them(&all);
    }

    fn count(&self) -> usize {
        self.members.len()
    }

    fn get(&self, index: usize) -> Option<Member<'_, M>> {
        self.members.get(index).map(member)
    }
}

fn member<M: MessageType>((sink, optional): &(DynSink<M>, bool)) -> Member<'_, M> {
    Member {
        sink,
        required: !optional,
    }
}
