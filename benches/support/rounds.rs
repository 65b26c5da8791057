//! Contenders in turn, round after round, so that what disturbs the machine disturbs them alike.

use std::time::Duration;

use super::stats::Spread;

/// What one contender did in one round.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Messages in it.
    pub messages: u64,
    /// From the first send until the reader had the last byte.
    pub wall: Duration,
    /// CPU time of the sending side: all threads but the readers.
    pub cpu: Duration,
    /// Allocations of the whole process.
    pub allocations: u64,
}

/// One path under test.
pub struct Contender<'a> {
    pub name: &'a str,
    pub run: Box<dyn FnMut() -> Measure + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What one contender did in all rounds; the ratios are to the first contender of the same round.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub name: String,
    /// Messages a second, in millions.
    pub rate: Spread,
    /// How many times the baseline's rate.
    pub ratio: Spread,
    /// How much of the baseline's CPU time per message.
    pub cpu: Spread,
    /// CPU nanoseconds per message.
    pub cpu_nanos: Spread,
    /// Allocations per message.
    pub allocations: f64,
    /// Seconds per message, round by round.
    walls: Vec<f64>,
}

impl Outcome {
    /// How many times the rate of another contender of the same rounds, which need not be the first.
    pub fn times(&self, other: &Self) -> Spread {
        let pairs = self.walls.iter().zip(&other.walls);
        Spread::of(pairs.map(|(ours, theirs)| theirs / ours).collect())
    }
}

/// Runs all contenders in turn for `rounds`, after one unmeasured round; `SINKS_BENCH_ONLY=name` runs one, for a profiler.
pub fn interleave(rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<Outcome> {
    let mut samples = vec![Vec::new(); contenders.len()];
    let only = std::env::var("SINKS_BENCH_ONLY").ok();
    for round in 0..=rounds {
        for (contender, sample) in contenders.iter_mut().zip(&mut samples) {
            if only.as_ref().is_some_and(|only| contender.name != only) {
                continue;
            }
            let measure = (contender.run)();
            if round > 0 {
                sample.push(measure);
            }
        }
    }
    contenders
        .iter()
        .zip(&samples)
        .map(|(contender, sample)| outcome(contender.name, sample, &samples[0]))
        .collect()
}

fn outcome(name: &str, sample: &[Measure], base: &[Measure]) -> Outcome {
    let per_message =
        |time: Duration, measure: &Measure| time.as_secs_f64() / measure.messages as f64;
    let wall = |measure: &Measure| per_message(measure.wall, measure);
    let cpu = |measure: &Measure| per_message(measure.cpu, measure);
    let pairs = || sample.iter().zip(base);
    Outcome {
        name: name.to_owned(),
        rate: Spread::of(sample.iter().map(|one| 1e-6 / wall(one)).collect()),
        ratio: Spread::of(pairs().map(|(one, base)| wall(base) / wall(one)).collect()),
        cpu: Spread::of(pairs().map(|(one, base)| cpu(one) / cpu(base)).collect()),
        cpu_nanos: Spread::of(sample.iter().map(|one| 1e9 * cpu(one)).collect()),
        allocations: sample.iter().map(|one| one.allocations).sum::<u64>() as f64
            / sample.iter().map(|one| one.messages).sum::<u64>() as f64,
        walls: sample.iter().map(wall).collect(),
    }
}
