//! What became of a batch, and of what a sink held when it was closed.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::Codec;
use crate::error::{ConnectError, DecodeError, SendError, SendErrorKind};
use crate::frame;
use crate::ledger::Ledger;
use crate::message::{MessageType, Metadata, Payload};
use crate::receipt::Receipt;
use crate::sink::MessageSink;

/// What became of each message of a batch, in order.
#[derive(Debug)]
pub struct BatchReport<M> {
    /// The receipts of the messages that were taken: the first `receipts.len()` of the batch.
    pub receipts: Vec<Receipt>,
    /// Why the batch ended early, if it did; the message is in it unless it was taken.
    pub error: Option<SendError<M>>,
    /// What was not attempted.
    pub rest: Vec<M>,
}

impl<M> BatchReport<M> {
    /// One answer: all receipts, or the first error with the number of messages taken before it.
    ///
    /// # Errors
    /// The error that ended the batch.
    pub fn into_result(self) -> Result<Vec<Receipt>, BatchError<M>> {
        match self.error {
            None => Ok(self.receipts),
            Some(error) => Err(BatchError {
                taken: self.receipts.len(),
                error,
                rest: self.rest,
            }),
        }
    }

    /// Whether every message was taken.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

/// A batch that ended early.
pub struct BatchError<M> {
    /// How many messages were taken.
    pub taken: usize,
    /// Why the next one was not.
    pub error: SendError<M>,
    /// What was not attempted.
    pub rest: Vec<M>,
}

impl<M> fmt::Display for BatchError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "batch ended after {} messages, {} not attempted: {}",
            self.taken,
            self.rest.len(),
            self.error
        )
    }
}

impl<M> fmt::Debug for BatchError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchError")
            .field("taken", &self.taken)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<M> std::error::Error for BatchError<M> {}

/// Sends messages one after another until one fails.
pub(crate) async fn send_each<M: Send + 'static, S: MessageSink<M> + ?Sized>(
    sink: &S,
    messages: Vec<M>,
) -> BatchReport<M> {
    let mut receipts = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter();
    while let Some(message) = messages.next() {
        match sink.send(message).await {
            Ok(receipt) => receipts.push(receipt),
            Err(error) => {
                return BatchReport {
                    receipts,
                    error: Some(error),
                    rest: messages.collect(),
                };
            }
        }
    }
    BatchReport {
        receipts,
        error: None,
        rest: Vec::new(),
    }
}

/// What a sink held when it was closed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// The service.
    pub service: Arc<str>,
    /// Where every message is.
    pub ledger: Ledger,
    /// What was accepted and not delivered by the deadline, oldest first.
    pub undelivered: Vec<UndeliveredMessage>,
    /// The last connection attempt's error, where none has succeeded since.
    pub last: Option<Arc<ConnectError>>,
}

impl DrainReport {
    /// Whether everything accepted was delivered as far as this sink can tell: nothing is left, and of nothing it is unknown,
    /// since the sink was made: what was unknown at an earlier close counts at each later one.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.undelivered.is_empty() && self.ledger.unknown == 0
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`: {} done, {} undelivered, {} unknown",
            self.service,
            self.ledger.done,
            self.undelivered.len(),
            self.ledger.unknown
        )?;
        match &self.last {
            Some(error) => write!(f, "; last attempt: {}", crate::error::chain(&**error)),
            None => Ok(()),
        }
    }
}

/// A message that was accepted and not delivered.
#[derive(Clone)]
pub struct UndeliveredMessage {
    pub(crate) service: Arc<str>,
    pub(crate) sequence: u64,
    pub(crate) codec: Codec,
    pub(crate) frame: Bytes,
    pub(crate) may_have_arrived: bool,
}

impl UndeliveredMessage {
    /// The service it was for.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Its sequence number.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether bytes of it were on the wire.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        self.may_have_arrived
    }

    /// The message.
    ///
    /// # Errors
    /// If `M` is not the type that was sent.
    pub fn decode<M: MessageType>(&self) -> Result<M, DecodeError> {
        let parts = frame::data(&self.frame)
            .map_err(|error| DecodeError::new("frame", error.to_string()))?;
        let payload = Payload::part(&self.frame, parts.payload_at..self.frame.len());
        let mut message = M::decode(self.codec, payload)?;
        if let Some(metadata) = parts.metadata.and_then(Metadata::decode) {
            message.set_metadata(&metadata);
        }
        Ok(message)
    }

    /// Sends it through `sink`, as a new message.
    ///
    /// # Errors
    /// As [`MessageSink::send`]; `Other` if `M` is not the type that was sent.
    pub async fn resend<M: MessageType, S: MessageSink<M>>(
        &self,
        sink: &S,
    ) -> Result<Receipt, SendError<M>> {
        match self.decode::<M>() {
            Ok(message) => sink.send(message).await,
            Err(error) => Err(SendError::new(
                SendErrorKind::Other {
                    service: Arc::clone(&self.service),
                    text: Arc::from(error.to_string()),
                },
                None,
            )),
        }
    }
}

impl fmt::Debug for UndeliveredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UndeliveredMessage({}#{}, {} bytes)",
            self.service,
            self.sequence,
            self.frame.len()
        )
    }
}
