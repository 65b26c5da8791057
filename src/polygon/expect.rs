//! Field by field against somebody else's decode of the same logs: a CSV in the form of demeter-fetch's `tick.csv`.
//!
//! Nothing is compared loosely. Numbers are compared as the decimal text that stands there; ticks, which that decoder
//! writes as floats (`193919.0`), must be whole. Columns that a log does not carry are named in [`NOT_COMPARED`].
//!
//! That decoder repeats the last swap's price and tick in the rows between swaps, and adds to the last swap's liquidity what
//! the row itself changes in range, without adding up rows in a row. This is its rule, so it is the one compared here; how
//! a pool really stands is followed by [`state`](super::state).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use alloy_primitives::aliases::U160;

use super::recording::{RecordingError, read};
use crate::pool_event::{Change, PoolLog};

/// Columns of the published decode that no log of the pool carries: the block's time, and the position manager's own log.
pub const NOT_COMPARED: [&str; 3] = ["block_timestamp", "position_id", "proxy_log_index"];

/// How many mismatches are kept word for word; the others are counted.
const EXAMPLES: usize = 10;

/// The published decode, and how what we received compares.
#[derive(Clone, Debug)]
pub struct Comparison {
    header: HashMap<String, usize>,
    rows: HashMap<(u64, u64), Row>,
    last_swap: Option<LastSwap>,
    /// The counts so far.
    pub tally: Tally,
}

#[derive(Clone, Debug)]
struct Row {
    cells: csv::StringRecord,
    seen: bool,
}

/// What the rows after a swap repeat of it.
#[derive(Clone, Copy, Debug)]
struct LastSwap {
    sqrt_price_x96: U160,
    tick: i32,
    liquidity: u128,
}

/// How it went so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rows compared, each once.
    pub rows: u64,
    /// Rows of these with a field that differs.
    pub rows_mismatched: u64,
    /// Events that the published decode does not have.
    pub unexpected: u64,
    /// Events that came again after their row was compared.
    pub repeated: u64,
    /// Fields compared and fields that differ, per column.
    pub columns: BTreeMap<&'static str, Column>,
    /// The first mismatches, word for word.
    pub examples: Vec<String>,
}

/// One column's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Fields compared.
    pub compared: u64,
    /// Fields that differ.
    pub mismatched: u64,
}

/// What a field must say.
#[derive(Debug)]
enum Want {
    /// Exactly this text.
    Text(String),
    /// This whole number, written as a float.
    Tick(i32),
    /// Nothing.
    Empty,
}

// === impl Comparison ===

impl Comparison {
    /// Reads the published decode.
    ///
    /// # Errors
    /// [`RecordingError`] names the file and the line.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let text = read(path).map_err(|source| RecordingError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|(line, what)| RecordingError::Line {
            path: PathBuf::from(path),
            line,
            what,
        })
    }

    /// Reads the text of a published decode; a fault is told by its line.
    fn parse(text: &str) -> Result<Self, (u64, String)> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| (1, error.to_string()))?;
        let header: HashMap<_, _> = header
            .iter()
            .enumerate()
            .map(|(at, name)| (name.to_owned(), at))
            .collect();
        let column = |name: &str| {
            header
                .get(name)
                .copied()
                .ok_or_else(|| (1, format!("no column `{name}`")))
        };
        let (block, log_index) = (column("block_number")?, column("pool_log_index")?);
        let mut rows = HashMap::new();
        for (cells, line) in reader.into_records().zip(2..) {
            let cells = cells.map_err(|error| (line, error.to_string()))?;
            let number = |at: usize| {
                cells[at]
                    .parse::<u64>()
                    .map_err(|_| (line, format!("`{}` is not a number", &cells[at])))
            };
            let key = (number(block)?, number(log_index)?);
            if rows.insert(key, Row { cells, seen: false }).is_some() {
                return Err((
                    line,
                    format!("block {} log {} for the second time", key.0, key.1),
                ));
            }
        }
        Ok(Self {
            header,
            rows,
            last_swap: None,
            tally: Tally::default(),
        })
    }

    /// Compares the next event; call it in the order of the chain.
    pub fn compare(&mut self, log: &PoolLog) {
        if let Change::V3Swap {
            sqrt_price_x96,
            tick,
            liquidity,
            ..
        } = log.change
        {
            self.last_swap = Some(LastSwap {
                sqrt_price_x96,
                tick,
                liquidity,
            });
        }
        let Some(row) = self.rows.get_mut(&(log.block, log.log_index)) else {
            self.tally.unexpected += 1;
            return;
        };
        if std::mem::replace(&mut row.seen, true) {
            self.tally.repeated += 1;
            return;
        }
        let before = self.tally.mismatched_fields();
        for (name, want) in wants(log, self.last_swap) {
            let cell = self.header.get(name).and_then(|at| row.cells.get(*at));
            self.tally
                .count(name, cell, &want, (log.block, log.log_index));
        }
        self.tally.rows += 1;
        self.tally.rows_mismatched += u64::from(self.tally.mismatched_fields() > before);
    }

    /// Rows of the published decode that nothing was compared with.
    pub fn missing(&self) -> usize {
        self.rows.values().filter(|row| !row.seen).count()
    }

    /// Whether every row was compared once, and every field agreed.
    pub fn is_exact(&self) -> bool {
        let Tally {
            rows_mismatched,
            unexpected,
            repeated,
            ..
        } = self.tally;
        (rows_mismatched, unexpected, repeated, self.missing()) == (0, 0, 0, 0)
    }
}

// === impl Tally ===

impl Tally {
    /// Fields compared.
    pub fn fields(&self) -> u64 {
        self.columns.values().map(|column| column.compared).sum()
    }

    /// Fields that differ.
    pub fn mismatched_fields(&self) -> u64 {
        self.columns.values().map(|column| column.mismatched).sum()
    }

    fn count(&mut self, name: &'static str, cell: Option<&str>, want: &Want, key: (u64, u64)) {
        let column = self.columns.entry(name).or_default();
        column.compared += 1;
        if cell.is_some_and(|cell| want.is(cell)) {
            return;
        }
        column.mismatched += 1;
        if self.examples.len() < EXAMPLES {
            let cell = cell.unwrap_or("no such column");
            self.examples.push(format!(
                "block {} log {}: {name} is {cell:?}, decoded {want:?}",
                key.0, key.1
            ));
        }
    }
}

// === impl Want ===

impl Want {
    fn is(&self, cell: &str) -> bool {
        match self {
            Self::Text(text) => cell == text,
            Self::Tick(tick) => cell.parse::<f64>() == Ok(f64::from(*tick)),
            Self::Empty => cell.is_empty(),
        }
    }

    fn number(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    fn hex(value: impl std::fmt::LowerHex) -> Self {
        Self::Text(format!("{value:#x}"))
    }
}

/// What each column must say for `log`. Before the first swap there is no price, tick or liquidity to compare.
fn wants(log: &PoolLog, last_swap: Option<LastSwap>) -> Vec<(&'static str, Want)> {
    let mut wants = vec![
        ("transaction_hash", Want::hex(log.transaction)),
        ("pool_tx_index", Want::number(log.transaction_index)),
    ];
    wants.extend(of_change(&log.change));
    if let Some(LastSwap {
        sqrt_price_x96,
        tick,
        liquidity,
    }) = last_swap
    {
        let (delta, sum) = in_range(&log.change, tick, liquidity);
        wants.push(("sqrtPriceX96", Want::number(sqrt_price_x96)));
        wants.push(("current_tick", Want::Tick(tick)));
        wants.push(("total_liquidity_delta", delta));
        wants.push(("total_liquidity", sum));
    }
    wants
}

fn of_change(change: &Change) -> Vec<(&'static str, Want)> {
    let text = |text: &str| Want::Text(text.to_owned());
    match change {
        Change::V3Swap {
            sender,
            recipient,
            amount0,
            amount1,
            ..
        } => vec![
            ("tx_type", text("SWAP")),
            ("sender", Want::hex(sender)),
            ("receipt", Want::hex(recipient)),
            ("amount0", Want::number(amount0)),
            ("amount1", Want::number(amount1)),
            ("tick_lower", Want::Empty),
            ("tick_upper", Want::Empty),
            ("liquidity", Want::Empty),
        ],
        Change::V3Mint {
            owner,
            tick_lower,
            tick_upper,
            liquidity,
            amount0,
            amount1,
            ..
        } => vec![
            ("tx_type", text("MINT")),
            ("sender", Want::hex(owner)),
            ("receipt", Want::Empty),
            ("amount0", Want::number(amount0)),
            ("amount1", Want::number(amount1)),
            ("tick_lower", Want::Tick(*tick_lower)),
            ("tick_upper", Want::Tick(*tick_upper)),
            ("liquidity", Want::number(liquidity)),
        ],
        Change::V3Burn {
            owner,
            tick_lower,
            tick_upper,
            liquidity,
            amount0,
            amount1,
        } => vec![
            ("tx_type", text("BURN")),
            ("sender", Want::hex(owner)),
            ("receipt", Want::Empty),
            ("amount0", Want::number(amount0)),
            ("amount1", Want::number(amount1)),
            ("tick_lower", Want::Tick(*tick_lower)),
            ("tick_upper", Want::Tick(*tick_upper)),
            ("liquidity", Want::number(liquidity)),
        ],
        Change::V3Collect {
            owner,
            recipient,
            tick_lower,
            tick_upper,
            amount0,
            amount1,
        } => vec![
            ("tx_type", text("COLLECT")),
            ("sender", Want::hex(owner)),
            ("receipt", Want::hex(recipient)),
            ("amount0", Want::number(amount0)),
            ("amount1", Want::number(amount1)),
            ("tick_lower", Want::Tick(*tick_lower)),
            ("tick_upper", Want::Tick(*tick_upper)),
            ("liquidity", Want::Empty),
        ],
        Change::V2Sync { .. } => vec![("tx_type", text("SYNC"))],
        Change::V2Swap { .. } => vec![("tx_type", text("SWAP"))],
    }
}

/// What `change` does to the liquidity in range at `tick`, and the sum of both: a position counts while the tick is in it.
fn in_range(change: &Change, tick: i32, liquidity: u128) -> (Want, Want) {
    let (sign, moved, sum) = match change {
        Change::V3Mint {
            tick_lower,
            tick_upper,
            liquidity: added,
            ..
        } if (*tick_lower..*tick_upper).contains(&tick) => {
            ("", *added, liquidity.checked_add(*added))
        }
        Change::V3Burn {
            tick_lower,
            tick_upper,
            liquidity: taken,
            ..
        } if (*tick_lower..*tick_upper).contains(&tick) => {
            ("-", *taken, liquidity.checked_sub(*taken))
        }
        _ => ("", 0, Some(liquidity)),
    };
    let delta = if moved == 0 {
        Want::number(0)
    } else {
        Want::Text(format!("{sign}{moved}"))
    };
    (
        delta,
        Want::Text(sum.map_or("out of range".to_owned(), |sum| sum.to_string())),
    )
}

#[cfg(test)]
mod tests;
