//! Stands in for tokio's runtime: a thread of the scheduler's per task, and a death that may come at any of their await points.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use shuttle::sync::Mutex;
use shuttle::thread::{self, JoinHandle, Thread};

shuttle::thread_local! {
    static CURRENT: RefCell<Option<Handle>> = RefCell::new(None);
}

/// Tells runtimes apart; no event of the schedule.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// As `tokio::runtime::Id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u64);

/// As `tokio::runtime::Handle`.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Runtime>);

struct Runtime {
    id: Id,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dead: bool,
    /// It exists, and nobody runs it.
    stalled: bool,
    tasks: Vec<JoinHandle<()>>,
}

/// There is no runtime here.
#[derive(Debug)]
pub(crate) struct Nowhere;

/// A task that was started.
#[derive(Debug)]
pub(crate) struct Spawned;

impl Drop for Spawned {
    /// As with tokio, the task goes on.
    fn drop(&mut self) {}
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Handle {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Runtime {
            id: Id(NEXT.fetch_add(1, Ordering::Relaxed)),
            state: Mutex::default(),
        }))
    }

    /// Makes it the current thread's.
    pub(crate) fn enter(&self) {
        CURRENT.with(|current| current.replace(Some(self.clone())));
    }

    pub(crate) fn try_current() -> Result<Self, Nowhere> {
        CURRENT.with(|current| current.borrow().clone().ok_or(Nowhere))
    }

    pub(crate) fn id(&self) -> Id {
        self.0.id
    }

    /// A runtime that is dead drops the future inside this call, as tokio's does.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Spawned {
        let mut state = self.0.state.lock().unwrap();
        if state.dead {
            drop(state);
            drop(future);
            return Spawned;
        }
        let home = self.clone();
        state.tasks.push(thread::spawn(move || home.run(future)));
        Spawned
    }

    fn run(&self, future: impl Future<Output = ()>) {
        self.enter();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        loop {
            let (dead, stalled) = {
                let state = self.0.state.lock().unwrap();
                (state.dead, state.stalled)
            };
            if dead {
                return;
            }
            if !stalled
                && let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return;
            }
            thread::park();
        }
    }

    /// Its tasks are not polled any more, and not dropped either.
    pub(crate) fn stall(&self) {
        self.0.state.lock().unwrap().stalled = true;
    }

    /// Drops its tasks, each where it awaits.
    pub(crate) fn kill(&self) {
        let tasks = {
            let mut state = self.0.state.lock().unwrap();
            state.dead = true;
            state
                .tasks
                .iter()
                .map(|task| task.thread().clone())
                .collect::<Vec<_>>()
        };
        tasks.iter().for_each(Thread::unpark);
    }

    /// Waits until its tasks have ended by themselves, or were killed.
    pub(crate) fn join(&self) {
        loop {
            let Some(task) = self.0.state.lock().unwrap().tasks.pop() else {
                return;
            };
            task.join().unwrap();
        }
    }
}
