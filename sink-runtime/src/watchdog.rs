//! Tells a driver that is slow from one whose runtime exists but is not run, and takes its place.
//!
//! "No progress" is not "not polled": a peer that does not read stalls a healthy driver too. So a future that waits on another
//! runtime than the driver's asks the driver for a sign of life; every poll of the driver is one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Timer;
use crate::link::{Driver, Link};
use crate::sync::{Handle, Id};

/// How long a driver may take to answer. A live runtime polls a woken task within milliseconds; a false alarm costs one
/// reconnect and loses nothing.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// One waiting future's watch over the driver it depends on.
#[derive(Default)]
pub(crate) struct Watchdog {
    asked: Option<Asked>,
}

struct Asked {
    answers: u64,
    timer: Pin<Box<dyn Timer>>,
}

impl Watchdog {
    /// Called by a future that is about to wait and knows already where the driver runs: on the same runtime, no more is asked.
    #[inline]
    pub(crate) fn watch(&mut self, link: &Arc<Link>, driver: Option<Id>, cx: &mut Context<'_>) {
        let here = Handle::try_current().ok();
        if driver.is_none() || driver != here.map(|here| here.id()) {
            self.ask(link, cx);
        }
    }

    /// Called by a future that is about to wait.
    #[cold]
    pub(crate) fn ask(&mut self, link: &Arc<Link>, cx: &mut Context<'_>) {
        let Ok(here) = Handle::try_current() else {
            return;
        };
        loop {
            let core = link.lock();
            if core.driver == Driver::None || core.driver_runtime == Some(here.id()) {
                self.asked = None;
                return;
            }
            let answers = core.answers;
            match &mut self.asked {
                None => {
                    link.poke(core);
                    let clock = &link.surroundings.clock;
                    let timer = clock.timer(clock.now() + PING_TIMEOUT);
                    self.asked = Some(Asked { answers, timer });
                }
                Some(asked) => {
                    drop(core);
                    match asked.timer.as_mut().poll(cx) {
                        Poll::Pending => return,
                        Poll::Ready(()) if answers == asked.answers => {
                            self.asked = None;
                            link.take_over();
                        }
                        Poll::Ready(()) => self.asked = None,
                    }
                }
            }
        }
    }
}
