//! What the benches share: interleaved rounds, blocking readers, hand-written baselines and tables. It decides nothing:
//! each file beside it asks one question and names its target.

#![allow(dead_code, unreachable_pub)]

pub mod baseline;
pub mod flood;
pub mod null;
pub mod reader;
pub mod rounds;
pub mod service;
pub mod stats;
pub mod table;

use std::time::Duration;

/// The size that the targets speak of.
pub const BYTES: usize = 256;
/// What every message carries; static, so that making a message allocates nothing, and where an allocator puts what is large, 16
/// bytes behind a page's beginning. At an address left to chance the kernel's copy of 64 KiB took twice as long at some (335 bytes
/// behind a page's beginning; behind 2,449 it did not), and another program's constants decided.
pub static PAYLOAD: &[u8] = PAGES.0.split_at(16).1;
static PAGES: Pages = Pages([0x5a; 16 + 64 * 1024]);
#[repr(align(4096))]
struct Pages([u8; 16 + 64 * 1024]);

/// The allocator of every bench counts, so that allocations per message stand in each table.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Allocations so far, in the whole process.
pub fn allocations() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as u64
}

/// How much of the full campaign to run: `SINKS_BENCH_SCALE=10` runs ten times the rounds.
pub fn scale() -> f64 {
    std::env::var("SINKS_BENCH_SCALE")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0)
}

/// `rounds` of a short run, scaled; never fewer than three.
pub fn rounds(of_a_short_run: usize) -> usize {
    ((of_a_short_run as f64 * scale()) as usize).max(3)
}

/// Nanoseconds since this process first asked.
pub fn nanos() -> u64 {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN
        .get_or_init(std::time::Instant::now)
        .elapsed()
        .as_nanos() as u64
}

/// CPU time of this thread so far.
pub fn thread_cpu() -> Duration {
    cpu(rustix::time::ClockId::ThreadCPUTime)
}

/// CPU time of this process so far, all threads.
pub fn process_cpu() -> Duration {
    cpu(rustix::time::ClockId::ProcessCPUTime)
}

fn cpu(clock: rustix::time::ClockId) -> Duration {
    // Under valgrind there is no vDSO to ask, and nobody looks at the time.
    if std::env::var_os("SINKS_BENCH_CALLGRIND").is_some() {
        return Duration::ZERO;
    }
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A runtime on this thread alone.
pub fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A runtime of `workers` threads.
pub fn multi_thread(workers: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime")
}
