//! The command line of the example.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use sinks::polygon::pools::{Pool, Pools};

/// Polygon DEX events from a node to consumers, through a relay.
///
/// Without arguments everything runs in this process on a small hand-made sample, ends by itself and prints a table.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Args {
    /// Run one part as a process of its own
    #[arg(long, value_enum)]
    pub(crate) role: Option<Role>,
    /// Recording to play: .csv, .json, .jsonl or .frames, also gzipped
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Published decode of the recording, to compare with field by field; exit status 1 unless all agree
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,
    /// How much faster than it happened: max, or a factor such as 1, 10, 100
    #[arg(long, default_value = "max")]
    pub(crate) speed: Speed,
    /// Write every event that the (first) consumer received
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) out: Option<PathBuf>,
    /// Node to subscribe to instead of playing a recording: ws://host:port
    #[arg(long, value_name = "URL")]
    pub(crate) feed: Option<String>,
    /// Where the feed listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// One more pool: ADDRESS=v3:USDC/6*:WETH/18, the token of the price marked with *
    #[arg(long = "pool", value_name = "POOL")]
    pub(crate) pools: Vec<Pool>,
}

/// The parts of the example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Plays a recording as a node would, over a WebSocket
    Feed,
    /// Carries messages from producers to consumers
    Relay,
    /// Node → events → sink
    Adapter,
    /// Source → report
    Consumer,
}

/// How a recording is paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// As fast as it is taken.
    Max,
    /// This many times as fast as it happened.
    Times(f64),
}

// === impl Args ===

impl Args {
    /// The pools to listen to.
    pub(crate) fn known_pools(&self) -> Pools {
        let mut pools = Pools::known();
        self.pools.iter().cloned().for_each(|pool| pools.add(pool));
        pools
    }
}

// === impl Speed ===

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err("neither `max` nor a positive number".to_owned()),
        }
    }
}
