//! One wish to stop, heard by every part: Ctrl-C, or a SIGTERM where there is one.

use tokio::sync::watch;

/// Resolves for everyone who asks once a stop is wished for.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    wished: watch::Receiver<bool>,
}

/// Wishes the stop.
#[derive(Clone, Debug)]
pub(crate) struct Stopper {
    wish: watch::Sender<bool>,
}

/// A stop that is wished for by whoever holds the [`Stopper`].
pub(crate) fn stop() -> (Stopper, Stop) {
    let (wish, wished) = watch::channel(false);
    (Stopper { wish }, Stop { wished })
}

/// A stop that is wished for by Ctrl-C or SIGTERM.
pub(crate) fn on_signal() -> Stop {
    let (stopper, stop) = stop();
    tokio::spawn(async move {
        signal().await;
        eprintln!("stopping: draining what is on its way");
        stopper.stop();
    });
    stop
}

// === impl Stop ===

impl Stop {
    /// Waits until a stop is wished for; for ever if nobody is left to wish it.
    pub(crate) async fn wished(&self) {
        let mut wished = self.wished.clone();
        if wished.wait_for(|wished| *wished).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has been wished for.
    pub(crate) fn is_wished(&self) -> bool {
        *self.wished.borrow()
    }
}

// === impl Stopper ===

impl Stopper {
    /// Wishes the stop.
    pub(crate) fn stop(&self) {
        self.wish.send_replace(true);
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
