//! A bar for replays long enough to wait for, on stderr and only if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Below this a replay at full speed is over before a bar could be read.
const WORTH_A_BAR: usize = 1_000;

/// How often the bar is drawn although nothing moves: a paced replay may be silent for long.
const TICK: Duration = Duration::from_millis(200);

/// How far a replay is.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

// === impl Progress ===

impl Progress {
    /// A bar of `total` entries.
    pub(crate) fn of(total: usize) -> Self {
        let target = if total < WORTH_A_BAR {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} logs, {eta} left")
            .expect("the template names keys that indicatif has");
        let bar = ProgressBar::with_draw_target(Some(total as u64), target).with_style(style);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// So many are played.
    pub(crate) fn at(&self, played: usize) {
        self.bar.set_position(played as u64);
    }

    /// Takes the bar off the screen.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
