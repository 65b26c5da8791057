//! Tables for people, and the same rows as lines of JSON for the report (`SINKS_BENCH_JSON=path`).

use std::io::Write;

use super::rounds::Outcome;
use super::stats::Spread;

/// A bound on one figure.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// Prints the question a bench asks.
pub fn question(text: &str) {
    println!("\n== {text}");
}

/// Prints one table of floods and notes its rows.
pub fn floods(bench: &str, case: &str, outcomes: &[Outcome]) {
    println!("\n{case}");
    println!(
        "{:<46} {:>9} {:>20} {:>22} {:>10} {:>9}",
        "path", "M/s", "times the first", "CPU of the first", "CPU ns", "alloc/msg"
    );
    for one in outcomes {
        println!(
            "{:<46} {:>9.2} {:>20} {:>22} {:>10.0} {:>9.4}",
            one.name,
            one.rate.median,
            one.ratio.show(2),
            one.cpu.show(3),
            one.cpu_nanos.median,
            one.allocations
        );
        note(bench, case, &one.name, "million_per_second", one.rate);
        note(bench, case, &one.name, "ratio", one.ratio);
        note(bench, case, &one.name, "cpu_ratio", one.cpu);
        note(bench, case, &one.name, "cpu_nanos", one.cpu_nanos);
        note(bench, case, &one.name, "allocations", flat(one.allocations));
    }
}

/// Prints how a figure stands to its target.
pub fn verdict(bench: &str, what: &str, value: Spread, digits: usize, target: Target) {
    let (sign, bound) = match target {
        Target::AtLeast(bound) => ("≥", bound),
        Target::AtMost(bound) => ("≤", bound),
    };
    let met = target.is_met(value.median);
    println!(
        "{} {what}: {} (target {sign} {bound})",
        if met { "met   " } else { "missed" },
        value.show(digits)
    );
    line(&format!(
        "{{\"bench\":{},\"verdict\":{},\"median\":{},\"low\":{},\"high\":{},\"sign\":{},\"bound\":{bound},\"met\":{met}}}",
        text(bench),
        text(what),
        value.median,
        value.low,
        value.high,
        text(sign)
    ));
}

/// Notes one figure for the report.
pub fn note(bench: &str, case: &str, path: &str, figure: &str, value: Spread) {
    line(&format!(
        "{{\"bench\":{},\"case\":{},\"path\":{},\"figure\":{},\"median\":{},\"low\":{},\"high\":{}}}",
        text(bench),
        text(case),
        text(path),
        text(figure),
        value.median,
        value.low,
        value.high
    ));
}

/// Says who takes part and how, or why somebody does not.
pub fn who(bench: &str, name: &str, about: &Result<String, String>) {
    let (word, why) = match about {
        Ok(about) => ("present", about),
        Err(why) => ("absent", why),
    };
    println!("{word:<8} {name}: {why}");
    line(&format!(
        "{{\"bench\":{},\"who\":{},\"present\":{},\"about\":{}}}",
        text(bench),
        text(name),
        about.is_ok(),
        text(why)
    ));
}

/// A figure without spread.
pub fn flat(value: f64) -> Spread {
    Spread {
        low: value,
        median: value,
        high: value,
    }
}

fn text(text: &str) -> String {
    format!("{text:?}")
}

fn line(line: &str) {
    let Some(path) = std::env::var_os("SINKS_BENCH_JSON") else {
        return;
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("the file that SINKS_BENCH_JSON names");
    writeln!(file, "{line}").expect("room for a line");
}
