//! The table at the end: what came, what it says, and whether it is all of it. Text in, text out.

use std::fmt::{self, Write};
use std::time::Duration;

use sinks::polygon::expect::{Comparison, NOT_COMPARED};
use sinks::polygon::pools::Pools;
use sinks::polygon::state::Standing;
use sinks::pool_event::Kind;

use crate::account::Account;
use crate::intake::Intake;

/// Everything there is to report.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// What was played or listened to.
    pub(crate) input: &'a str,
    /// The adapter's count; nothing if it is another process.
    pub(crate) intake: Option<&'a Intake>,
    /// The consumers' books.
    pub(crate) accounts: &'a [Account],
    /// Names and decimals of the pools.
    pub(crate) pools: &'a Pools,
    /// Somebody stopped it before its end.
    pub(crate) interrupted: bool,
}

// === impl Report ===

impl Report<'_> {
    /// Whether every consumer has all that was sent, once, as the published decode has it.
    pub(crate) fn is_complete(&self) -> bool {
        let sent = self.intake.map(|intake| (intake.sent, intake.unsent));
        self.accounts.iter().all(|account| {
            account.is_complete()
                && sent.is_none_or(|(sent, unsent)| account.sent == Some(sent) && unsent == 0)
        })
    }

    fn verdict(&self) -> &'static str {
        match (self.interrupted, self.is_complete()) {
            (false, true) => "complete: everything sent was received, once",
            (false, false) => "INCOMPLETE",
            (true, true) => "stopped early; everything sent until then was received, once",
            (true, false) => "stopped early, INCOMPLETE",
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.input)?;
        if let Some(account) = self.accounts.first() {
            events(f, account, self.pools)?;
            prices(f, account, self.pools)?;
        }
        if let Some(intake) = self.intake {
            adapter(f, intake)?;
        }
        delivery(f, self.accounts)?;
        for account in self.accounts {
            if let Some(comparison) = &account.comparison {
                published(f, &account.name, comparison)?;
            }
        }
        if let Some(comparison) = self
            .accounts
            .first()
            .and_then(|account| account.comparison.as_ref())
        {
            fields(f, comparison)?;
        }
        for account in self.accounts {
            for trouble in &account.troubles {
                writeln!(f, "\n{}: {trouble}", account.name)?;
            }
        }
        write!(f, "\nResult: {}", self.verdict())
    }
}

// === sections ===

fn events(f: &mut fmt::Formatter<'_>, account: &Account, pools: &Pools) -> fmt::Result {
    let mut header = vec!["Events".to_owned()];
    header.extend(Kind::ALL.map(|kind| format!("{kind:?}")));
    header.push("all".to_owned());
    let mut table = Table::new(header);
    for pool in account.pools.keys() {
        let counts = Kind::ALL.map(|kind| account.kinds.get(&(*pool, kind)).copied().unwrap_or(0));
        let mut row = vec![
            pools
                .get(pool)
                .map_or_else(|| pool.to_string(), |pool| pool.name()),
        ];
        row.extend(counts.map(|count| {
            if count == 0 {
                "·".to_owned()
            } else {
                grouped(count)
            }
        }));
        row.push(grouped(counts.iter().sum()));
        table.row(row);
    }
    write!(f, "\n{table}")?;
    if account.removed > 0 {
        writeln!(
            f,
            "of these taken back by a reorganisation: {}",
            grouped(account.removed)
        )?;
    }
    Ok(())
}

fn prices(f: &mut fmt::Formatter<'_>, account: &Account, pools: &Pools) -> fmt::Result {
    let mut table = Table::new(
        ["Last price", "", "tick", "liquidity in range"]
            .map(str::to_owned)
            .to_vec(),
    );
    for (address, state) in &account.pools {
        let (Some(pool), Some(standing)) = (pools.get(address), state.now()) else {
            continue;
        };
        let price = format!("{} {}", decimal(pool.price(standing.price())), pool.unit());
        let (tick, liquidity) = match standing {
            Standing::V3 {
                tick, liquidity, ..
            } => (tick.to_string(), liquidity.to_string()),
            Standing::V2 { .. } => ("·".to_owned(), "·".to_owned()),
        };
        table.row(vec![pool.name(), price, tick, liquidity]);
    }
    write!(f, "\n{table}")
}

fn adapter(f: &mut fmt::Formatter<'_>, intake: &Intake) -> fmt::Result {
    writeln!(
        f,
        "\nAdapter: sent {}, connections to the node {}",
        grouped(intake.sent),
        intake.connections
    )?;
    for (cause, count) in intake.left() {
        writeln!(f, "  left out, {cause}: {}", grouped(count))?;
    }
    if let Some(because) = &intake.unsent_because {
        writeln!(
            f,
            "  given back by the sink: {}, first because {because}",
            grouped(intake.unsent)
        )?;
    }
    Ok(())
}

fn delivery(f: &mut fmt::Formatter<'_>, accounts: &[Account]) -> fmt::Result {
    let header = [
        "Delivery",
        "sent",
        "received",
        "lost",
        "missing",
        "duplicated",
        "latency p50",
        "p99",
    ];
    let mut table = Table::new(header.map(str::to_owned).to_vec());
    for account in accounts {
        table.row(vec![
            account.name.clone(),
            account.sent.map_or("?".to_owned(), grouped),
            grouped(account.received),
            grouped(account.lost),
            grouped(account.missing()),
            grouped(account.duplicated),
            duration(account.latency.percentile(50)),
            duration(account.latency.percentile(99)),
        ]);
    }
    write!(f, "\n{table}")?;
    for account in accounts
        .iter()
        .filter(|account| account.duplicates_removed > 0)
    {
        writeln!(
            f,
            "{}: {} came again and were not handed up",
            account.name,
            grouped(account.duplicates_removed)
        )?;
    }
    Ok(())
}

fn published(f: &mut fmt::Formatter<'_>, name: &str, comparison: &Comparison) -> fmt::Result {
    let tally = &comparison.tally;
    writeln!(
        f,
        "\n{name} against the published decode: {} rows, {} mismatched; {} fields, {} mismatched; {} rows missing, {} unexpected, {} repeated",
        grouped(tally.rows),
        grouped(tally.rows_mismatched),
        grouped(tally.fields()),
        grouped(tally.mismatched_fields()),
        grouped(comparison.missing() as u64),
        grouped(tally.unexpected),
        grouped(tally.repeated),
    )?;
    tally
        .examples
        .iter()
        .try_for_each(|example| writeln!(f, "  {example}"))
}

fn fields(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let columns = comparison.tally.columns.iter();
    let columns: Vec<_> = columns
        .map(|(name, column)| format!("{name} {}", grouped(column.compared)))
        .collect();
    writeln!(f, "  compared: {}", columns.join(", "))?;
    writeln!(
        f,
        "  not in the logs, so not compared: {}",
        NOT_COMPARED.join(", ")
    )
}

// === text ===

/// Rows in columns as wide as their widest cell; the first column to the left, the others to the right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(header: Vec<String>) -> Self {
        Self { rows: vec![header] }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |at: usize| {
            self.rows
                .iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.rows[0].len()).map(wide).collect();
        for row in &self.rows {
            let mut line = format!("{:<width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(line, "  {cell:>width$}")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `4158` → `4,158`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Enough digits to read a price: two behind the point above one, six significant ones below.
fn decimal(number: f64) -> String {
    if number >= 1e15 || !number.is_finite() {
        return format!("{number:e}");
    }
    if number >= 1.0 {
        let cents = (number * 100.0).round();
        return format!(
            "{}.{:02}",
            grouped((cents / 100.0) as u64),
            (cents % 100.0) as u64
        );
    }
    let zeros = if number > 0.0 {
        (-number.log10()).ceil() as usize
    } else {
        0
    };
    format!("{number:.*}", 5 + zeros)
}

fn duration(duration: Option<Duration>) -> String {
    let Some(duration) = duration else {
        return "·".to_owned();
    };
    match duration.as_nanos() {
        nanos @ 0..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        nanos @ 1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        nanos => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 4_158, 1_234_567].map(grouped),
            ["0", "999", "1,000", "4,158", "1,234,567"]
        );
    }

    #[test]
    fn prices_keep_their_digits() {
        assert_eq!(decimal(3_786.118), "3,786.12");
        assert_eq!(decimal(1.0), "1.00");
        assert_eq!(decimal(0.000_265_123), "0.000265123");
    }

    #[test]
    fn durations_have_units() {
        let micros = |micros| duration(Some(Duration::from_micros(micros)));
        assert_eq!(
            [micros(42), micros(1_500), micros(2_250_000)],
            ["42.0 µs", "1.5 ms", "2.25 s"]
        );
        assert_eq!(duration(None), "·");
    }
}
