//! Time and chance, injected: every rule about them is tested on a simulated clock.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use tokio::time::Instant;

/// A timer that can be moved, so that a link allocates one for its whole life.
pub trait Timer: Future<Output = ()> + Send {
    /// Fires at `deadline` instead.
    fn reset(self: Pin<&mut Self>, deadline: Instant);
}

impl Timer for tokio::time::Sleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        tokio::time::Sleep::reset(self, deadline);
    }
}

/// What time it is, and how to wait for later.
pub trait Clock: Send + Sync + 'static {
    /// Now, to the nanosecond.
    fn now(&self) -> Instant;
    /// A timer that fires at `deadline`.
    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>>;
}

/// Where jitter comes from.
pub trait Chance: Send + Sync + 'static {
    /// Uniform over all 64-bit values.
    fn next(&self) -> u64;
}

/// tokio's clock: the machine's, or the paused one of a test runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    #[inline]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(tokio::time::sleep_until(deadline))
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) from a seed.
#[derive(Debug)]
pub struct SplitMix(AtomicU64);

impl SplitMix {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A seed of the operating system's, by way of the standard library's hash keys.
    #[must_use]
    pub fn from_system() -> Self {
        Self::new(system_seed())
    }
}

impl Chance for SplitMix {
    fn next(&self) -> u64 {
        let state = self
            .0
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// 64 bits that differ between processes and calls.
pub(crate) fn system_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    if let Ok(since) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        hasher.write_u128(since.as_nanos());
    }
    hasher.finish()
}

/// Uniform in `[low, high]`, to the nanosecond.
pub(crate) fn uniform(chance: &dyn Chance, low: Duration, high: Duration) -> Duration {
    let width = high.saturating_sub(low).as_nanos() as u64;
    let offset = (u128::from(chance.next()) * (u128::from(width) + 1)) >> 64;
    low + Duration::from_nanos(offset as u64)
}

/// What a link needs of the world besides bytes: injected whole, replaced whole in a simulation.
#[derive(Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub chance: Arc<dyn Chance>,
    /// Connections.
    pub dial: Arc<dyn crate::transport::Dial>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(TokioClock),
            chance: Arc::new(SplitMix::from_system()),
            dial: Arc::new(crate::transport::SystemDial),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings")
    }
}
