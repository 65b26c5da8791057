//! Doubles for tests: sinks that need no peer. Nothing here opens a socket or spawns a task.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{SendError, SendErrorKind};
use crate::receipt::{Level, Lost, Receipt};
use crate::sink::MessageSink;

/// Messages a recording sink keeps; a test that sends more and looks at none is told so by [`SendErrorKind::Full`].
pub const MAX_RECORDED: usize = 1_000_000;

/// Keeps every message it is sent, for a test to look at. Cloning it shares what is kept.
pub struct Recording<M> {
    kept: Arc<Kept<M>>,
}

struct Kept<M> {
    messages: Mutex<VecDeque<M>>,
    sent: AtomicU64,
}

impl<M> Recording<M> {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            kept: Arc::new(Kept {
                messages: Mutex::default(),
                sent: AtomicU64::new(0),
            }),
        }
    }

    /// Takes out what was sent since the last call, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<M> {
        self.lock().drain(..).collect()
    }

    /// How many messages are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<M>> {
        self.kept
            .messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Default for Recording<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> Clone for Recording<M> {
    fn clone(&self) -> Self {
        Self {
            kept: Arc::clone(&self.kept),
        }
    }
}

impl<M> fmt::Debug for Recording<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("kept", &self.len())
            .finish()
    }
}

impl<M: Send + 'static> MessageSink<M> for Recording<M> {
    fn send(&self, message: M) -> impl Future<Output = Result<Receipt, SendError<M>>> + Send {
        std::future::ready(self.try_send(message))
    }

    fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        let mut messages = self.lock();
        if messages.len() >= MAX_RECORDED {
            let kind = SendErrorKind::Full {
                service: Arc::from("recording"),
                held_messages: messages.len() as u64,
                buffer_size: MAX_RECORDED as u32,
                held_bytes: 0,
                buffer_bytes: 0,
                waited: std::time::Duration::ZERO,
                last: None,
            };
            return Err(SendError::new(kind, Some(message)));
        }
        messages.push_back(message);
        let sequence = self.kept.sent.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Receipt::new(0, sequence, Level::Acked))
    }

    fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        Ok(self.try_send(message))
    }

    /// What is kept is taken: every level up to `Acked` is reached at once.
    fn settled(
        &self,
        receipt: Receipt,
        level: Level,
    ) -> impl Future<Output = Result<Level, Lost>> + Send {
        let reached = receipt.level();
        std::future::ready(if reached.satisfies(level) {
            Ok(reached)
        } else {
            Err(Lost::Unreachable {
                service: Arc::from("recording"),
                wanted: level,
                highest: reached,
            })
        })
    }
}
