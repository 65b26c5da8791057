//! Recorded logs from a file, whole in memory. Knows file formats; what the logs mean and when to play them is for others.
//!
//! | file | what is in it |
//! |---|---|
//! | `*.csv` | one log per row, columns by name; without an `address` column the pool's address is in the file's name |
//! | `*.json` | a JSON-RPC answer: `eth_getLogs`, `eth_getFilterLogs` or `eth_getTransactionReceipt` |
//! | `*.jsonl` | one log per line |
//! | `*.frames` | one WebSocket text frame per line, played back as it stands, well-formed or not |
//!
//! Each may be gzipped (`*.csv.gz`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes};
use serde::Deserialize;

use super::log::Log;

/// What a node said once, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Everything it said.
    pub entries: Vec<Entry>,
}

/// One thing a node said.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A log, to be sent to those who subscribed to it.
    Log(Log),
    /// A frame, to be sent as it stands.
    Frame(String),
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file's name says nothing of its form.
    #[error("{path}: ends in none of .csv .json .jsonl .frames (each may be followed by .gz)")]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// A line that is not what the format says.
    #[error("{path}:{line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

// === impl Recording ===

impl Recording {
    /// Reads the file at `path`, in the form that its name tells.
    ///
    /// # Errors
    /// [`RecordingError`] names the file, and the line if it is one line's fault.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let text = read(path).map_err(|source| RecordingError::File {
            path: path.to_owned(),
            source,
        })?;
        let entries = match form(path) {
            Some("csv") => csv_rows(&text, address_in_name(path)),
            Some("json") => json_answer(&text),
            Some("jsonl") => json_lines(&text),
            Some("frames") => Ok(text
                .lines()
                .map(|line| Entry::Frame(line.to_owned()))
                .collect()),
            _ => {
                return Err(RecordingError::Form {
                    path: path.to_owned(),
                });
            }
        };
        let entries = entries.map_err(|Fault { line, what }| RecordingError::Line {
            path: path.to_owned(),
            line,
            what,
        })?;
        Ok(Self { entries })
    }

    /// Reads a JSON-RPC answer, as in a `*.json` file.
    ///
    /// # Errors
    /// [`RecordingError::Line`], with `name` for the file.
    pub fn from_json(name: &str, text: &str) -> Result<Self, RecordingError> {
        let entries = json_answer(text).map_err(|Fault { line, what }| RecordingError::Line {
            path: name.into(),
            line,
            what,
        })?;
        Ok(Self { entries })
    }

    /// Its logs, without the raw frames.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Log(log) => Some(log),
            Entry::Frame(_) => None,
        })
    }
}

/// A line's fault, before the file's name is known.
struct Fault {
    line: u64,
    what: String,
}

// === files ===

/// The text of a file, unpacked if its name ends in `.gz`.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text)?;
    } else {
        file.read_to_string(&mut text)?;
    }
    Ok(text)
}

fn form(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.trim_end_matches(".gz")
        .rsplit_once('.')
        .map(|(_, extension)| extension)
}

/// The address in `polygon-0x45dd…0608-2022-01-05.raw.csv.gz`.
fn address_in_name(path: &Path) -> Option<Address> {
    let name = path.file_name()?.to_str()?;
    name.match_indices("0x")
        .find_map(|(at, _)| name.get(at..at + 42)?.parse().ok())
}

// === JSON ===

fn json_answer(text: &str) -> Result<Vec<Entry>, Fault> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Logs { result: Vec<Log> },
        Receipt { result: Receipt },
        Bare(Vec<Log>),
    }
    #[derive(Deserialize)]
    struct Receipt {
        logs: Vec<Log>,
    }
    match serde_json::from_str(text) {
        Ok(
            Answer::Logs { result: logs }
            | Answer::Receipt {
                result: Receipt { logs },
            }
            | Answer::Bare(logs),
        ) => Ok(logs.into_iter().map(Entry::Log).collect()),
        Err(error) => Err(Fault {
            line: error.line() as u64,
            what: format!("not an answer with logs: {error}"),
        }),
    }
}

fn json_lines(text: &str) -> Result<Vec<Entry>, Fault> {
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(text, line)| {
            serde_json::from_str(text)
                .map(Entry::Log)
                .map_err(|error| Fault {
                    line,
                    what: error.to_string(),
                })
        })
        .collect()
}

// === CSV ===

/// Where the columns are. Recorders name them differently; the first name that is there counts.
struct Columns {
    address: Option<usize>,
    topics: usize,
    data: usize,
    block: usize,
    transaction: usize,
    transaction_index: usize,
    log_index: usize,
    time: Option<usize>,
}

fn csv_rows(text: &str, pool: Option<Address>) -> Result<Vec<Entry>, Fault> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| fault(&error))?;
    let columns = Columns::find(header).map_err(|what| Fault { line: 1, what })?;
    if columns.address.is_none() && pool.is_none() {
        let what = "no column `address`, and no address in the file's name".to_owned();
        return Err(Fault { line: 1, what });
    }
    reader
        .records()
        .map(|row| {
            let row = row.map_err(|error| fault(&error))?;
            let line = row.position().map_or(0, csv::Position::line);
            columns
                .log(&row, pool)
                .map(Entry::Log)
                .map_err(|what| Fault { line, what })
        })
        .collect()
}

fn fault(error: &csv::Error) -> Fault {
    Fault {
        line: error.position().map_or(0, csv::Position::line),
        what: error.to_string(),
    }
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let find = |names: &[&str]| header.iter().position(|column| names.contains(&column));
        let need = |names: &[&str]| find(names).ok_or_else(|| format!("no column `{}`", names[0]));
        Ok(Self {
            address: find(&["address"]),
            topics: need(&["topics", "pool_topics"])?,
            data: need(&["data", "pool_data"])?,
            block: need(&["block_number"])?,
            transaction: need(&["transaction_hash"])?,
            transaction_index: need(&["transaction_index", "pool_tx_index"])?,
            log_index: need(&["log_index", "pool_log_index"])?,
            time: find(&["block_timestamp"]),
        })
    }

    fn log(&self, row: &csv::StringRecord, pool: Option<Address>) -> Result<Log, String> {
        Ok(Log {
            address: match (self.address, pool) {
                (Some(column), _) => value(row, column, "an address")?,
                (None, Some(pool)) => pool,
                (None, None) => return Err("no address".to_owned()),
            },
            topics: topics(&row[self.topics])?,
            data: value::<Bytes>(row, self.data, "0x-hex")?,
            block_number: value(row, self.block, "a block number")?,
            transaction_hash: value(row, self.transaction, "a hash")?,
            transaction_index: value(row, self.transaction_index, "an index")?,
            log_index: value(row, self.log_index, "an index")?,
            removed: false,
            block_timestamp: self.time.map(|column| seconds(&row[column])).transpose()?,
        })
    }
}

fn value<T: std::str::FromStr>(
    row: &csv::StringRecord,
    column: usize,
    what: &str,
) -> Result<T, String> {
    row[column]
        .parse()
        .map_err(|_| format!("`{}` in column {} is not {what}", &row[column], column + 1))
}

/// Topics come as `['0x…', '0x…']` or as `0x…,0x…`.
fn topics(text: &str) -> Result<Vec<B256>, String> {
    let list = text.trim_start_matches('[').trim_end_matches(']');
    let topics = list
        .split(',')
        .map(|topic| topic.trim().trim_matches('\''))
        .filter(|topic| !topic.is_empty());
    topics
        .map(|topic| {
            topic
                .parse()
                .map_err(|_| format!("`{topic}` is not a topic"))
        })
        .collect()
}

/// Seconds since the Unix epoch of `2022-01-05 00:00:02+00:00`.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time such as 2022-01-05 00:00:02+00:00");
    let text_utc = text
        .strip_suffix("+00:00")
        .or_else(|| text.strip_suffix(" UTC"))
        .unwrap_or(text);
    let mut parts = text_utc.split(['-', ' ', ':', 'T']).map(str::parse::<u64>);
    let mut next = || parts.next().and_then(Result::ok).ok_or_else(wrong);
    let (year, month, day, hour, minute, second) =
        (next()?, next()?, next()?, next()?, next()?, next()?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(wrong());
    }
    Ok(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01, by the civil calendar: years counted from March, so that the leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests;
