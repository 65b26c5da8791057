//! Waiting on a thread, for code outside a runtime. No runtime is started: one elsewhere drives the link.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::sync::{Thread, thread};

/// How often a blocked thread looks at the clock itself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls `future` on this thread until it is done.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // The driver keeps the time; should its runtime not be run, the future looks at the clock itself.
            Poll::Pending => thread::park_timeout(LOOK_AGAIN),
        }
    }
}
