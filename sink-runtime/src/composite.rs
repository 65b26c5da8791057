//! What composites need of their members: room set aside, a frame taken from encoded bytes. The patterns are beside this file.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::Codec;
use crate::dynamic::{DynMessageSink, DynSink};
use crate::error::{EncodeError, RegistryError, SendErrorKind};
use crate::frame;
use crate::message::MessageType;
use crate::receipt::{Level, Receipt};
use crate::sink::{AtLeastOnce, MessageSink, forward_sink};
use crate::transport::BoxFuture;

/// One message on its way to several branches: encoded once per codec.
pub struct Encoded<'a, M> {
    message: &'a M,
    /// The composite's identity of it.
    pub(crate) identity: Option<(u64, u64)>,
    payloads: [OnceCell<Result<Bytes, Arc<EncodeError>>>; 3],
    pub(crate) metadata: Option<&'a crate::message::Metadata>,
    encode: fn(&M, Codec) -> Result<Bytes, EncodeError>,
    decode: fn(Codec, &Bytes) -> Option<M>,
    /// Which member each failover on the way chose, by the failover's address.
    choices: RefCell<Vec<(usize, usize)>>,
}

impl<'a, M: MessageType> Encoded<'a, M> {
    pub(crate) fn new(message: &'a M, identity: Option<(u64, u64)>) -> Self {
        Self {
            message,
            identity,
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

    pub(crate) fn remember(&self, failover: usize, choice: usize) {
        let mut choices = self.choices.borrow_mut();
        choices.retain(|(known, _)| *known != failover);
        choices.push((failover, choice));
    }

    pub(crate) fn recall(&self, failover: usize) -> Option<usize> {
        self.choices
            .borrow()
            .iter()
            .find(|(known, _)| *known == failover)
            .map(|(_, choice)| *choice)
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

/// Whether a branch set room aside.
#[derive(Debug)]
pub enum Reserved {
    /// It did; [`Branch::commit`] or [`Branch::release`] must follow.
    Room,
    /// A `drop_*` policy dropped this copy: nothing follows.
    Dropped(Receipt),
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
    /// Sets room aside for one message, without waiting.
    fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved;
    /// Gives reserved room back.
    fn release(&self, encoded: &Encoded<'_, M>);
    /// Takes the message into reserved room.
    ///
    /// # Errors
    /// If the sink was closed in between.
    fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind>;
    /// Counts the copy that it, full and optional, does not get.
    fn drop_copy(&self);
    /// The level its own `confirm` asks for.
    fn confirm(&self) -> Option<Level>;
    /// Waits for room as its `when_full` says.
    fn room(&self) -> BoxFuture<'_, Result<(), SendErrorKind>>;
    /// Whether the composite's acceptance depends on it.
    fn is_required(&self) -> bool {
        true
    }
}

/// A composite's member: a static, or shared with an owner.
pub enum Ref<S: 'static> {
    /// A generated static.
    Static(&'static S),
    /// Shared with a `SinkSet`.
    Shared(Arc<S>),
}

impl<S> Ref<S> {
    #[inline]
    fn get(&self) -> &S {
        match self {
            Self::Static(sink) => sink,
            Self::Shared(sink) => sink,
        }
    }
}

impl<S> Clone for Ref<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(sink) => Self::Static(sink),
            Self::Shared(sink) => Self::Shared(Arc::clone(sink)),
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
    ($self:ident => $inner:expr, $required:expr) => {
        fn reserve(&$self, encoded: &Encoded<'_, M>) -> Reserved {
            $inner.reserve(encoded)
        }
        fn release(&$self, encoded: &Encoded<'_, M>) {
            $inner.release(encoded);
        }
        fn commit(&$self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
            $inner.commit(encoded)
        }
        fn drop_copy(&$self) {
            $inner.drop_copy();
        }
        fn confirm(&$self) -> Option<Level> {
            $inner.confirm()
        }
        fn room(&$self) -> BoxFuture<'_, Result<(), SendErrorKind>> {
            $inner.room()
        }
        fn is_required(&$self) -> bool {
            $required
        }
    };
}

impl<M: Send + 'static, S: Branch<M> + MessageSink<M>> Branch<M> for Ref<S> {
    forward_branch!(self => self.get(), self.get().is_required());
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
    fn with(&self, use_them: &mut dyn FnMut(&[&dyn Branch<M>]));
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them.
    fn get(&self, index: usize) -> Option<&dyn Branch<M>>;
}

macro_rules! tuple_branches {
    ($count:literal: $($name:ident $index:tt),+) => {
        impl<M: Send + 'static, $($name: Branch<M>),+> Branches<M> for ($($name,)+) {
            fn with(&self, use_them: &mut dyn FnMut(&[&dyn Branch<M>])) {
                use_them(&[$(&self.$index),+]);
            }
            fn count(&self) -> usize {
                $count
            }
            fn get(&self, index: usize) -> Option<&dyn Branch<M>> {
                match index {
                    $($index => Some(&self.$index),)+
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

/// Members known at run time: a static composite of these *is* the dynamic composite.
pub struct Members<M> {
    members: Vec<Member<M>>,
}

struct Member<M> {
    sink: DynSink<M>,
    optional: bool,
}

impl<M: MessageType> Members<M> {
    /// These sinks, each with whether it is optional.
    #[must_use]
    pub fn new(members: Vec<(DynSink<M>, bool)>) -> Self {
        Self {
            members: members
                .into_iter()
                .map(|(sink, optional)| Member { sink, optional })
                .collect(),
        }
    }
}

impl<M> fmt::Debug for Members<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("count", &self.members.len())
            .finish()
    }
}

impl<M: MessageType> MessageSink<M> for Member<M> {
    forward_sink!(self => self.sink);
}

impl<M: MessageType> Branch<M> for Member<M> {
    forward_branch!(self => self.sink, !self.optional);
}

impl<M: MessageType> Branches<M> for Members<M> {
    fn with(&self, use_them: &mut dyn FnMut(&[&dyn Branch<M>])) {
        let all: Vec<&dyn Branch<M>> = self
            .members
            .iter()
            .map(|member| member as &dyn Branch<M>)
            .collect();
        use_them(&all);
    }

    fn count(&self) -> usize {
        self.members.len()
    }

    fn get(&self, index: usize) -> Option<&dyn Branch<M>> {
        self.members
            .get(index)
            .map(|member| member as &dyn Branch<M>)
    }
}
