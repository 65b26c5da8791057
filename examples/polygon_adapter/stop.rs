//! One wish to stop, heard by every part: Ctrl-C, or a SIGTERM where there is one.

use tokio::sync::watch;

/// The exit status of a process that an interrupt ended, by the custom of shells.
const INTERRUPTED: i32 = 130;

/// Resolves for everyone who asks once a stop is wished for.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    wished: watch::Receiver<bool>,
}

/// A stop that is wished for by Ctrl-C or SIGTERM. Whoever wishes twice does not want to wait for it.
pub(crate) fn on_signal() -> Stop {
    let (wish, wished) = watch::channel(false);
    tokio::spawn(async move {
        signal().await;
        eprintln!("stopping: draining what is on its way; once more to end at once");
        wish.send_replace(true);
        signal().await;
        std::process::exit(INTERRUPTED);
    });
    Stop { wished }
}

// === impl Stop ===

impl Stop {
    /// Waits until a stop is wished for.
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
