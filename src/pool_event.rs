//! The one message of this application: what happened in a liquidity pool, with every bit it had on chain.

use alloy_primitives::{
    Address, B256, I256, U256,
    aliases::{U112, U160},
};
use serde::{Deserialize, Serialize};

/// What the adapter sends and every consumer receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sink_runtime::Message)]
pub struct PoolEvent {
    /// When the adapter handed it to its sink: nanoseconds since the Unix epoch.
    pub sent_at_ns: u64,
    /// What there is to say.
    pub body: Body,
}

/// What a [`PoolEvent`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "all but the last message are logs; a box would cost each an allocation"
)]
pub enum Body {
    /// Something happened in a known pool.
    Log(PoolLog),
    /// The recording is over after this many `Log`s; nothing follows. A live feed never says so.
    End {
        /// How many `Log`s were sent before.
        logs: u64,
    },
}

/// One decoded log of a known pool, and where on the chain it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLog {
    /// The pool that emitted it.
    pub pool: Address,
    /// The block's number.
    pub block: u64,
    /// The transaction's hash.
    pub transaction: B256,
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// The log's place in the block; with `block` and `removed` it names the log.
    pub log_index: u64,
    /// A reorganisation took the log back: what it said has not happened.
    pub removed: bool,
    /// What the pool said.
    pub change: Change,
}

/// What a pool said, in the widths of its contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the fields carry the names and units of the contracts"
)]
pub enum Change {
    /// Uniswap V3: one token for the other. Amounts are the pool's gain (+) and loss (−).
    V3Swap {
        sender: Address,
        recipient: Address,
        amount0: I256,
        amount1: I256,
        sqrt_price_x96: U160,
        liquidity: u128,
        tick: i32,
    },
    /// Uniswap V3: liquidity added between two ticks.
    V3Mint {
        sender: Address,
        owner: Address,
        tick_lower: i32,
        tick_upper: i32,
        liquidity: u128,
        amount0: U256,
        amount1: U256,
    },
    /// Uniswap V3: liquidity taken from between two ticks.
    V3Burn {
        owner: Address,
        tick_lower: i32,
        tick_upper: i32,
        liquidity: u128,
        amount0: U256,
        amount1: U256,
    },
    /// Uniswap V3: what was owed to a position, paid out.
    V3Collect {
        owner: Address,
        recipient: Address,
        tick_lower: i32,
        tick_upper: i32,
        amount0: u128,
        amount1: u128,
    },
    /// Uniswap V2: the reserves after a change.
    V2Sync { reserve0: U112, reserve1: U112 },
    /// Uniswap V2: one token for the other.
    V2Swap {
        sender: Address,
        to: Address,
        amount0_in: U256,
        amount1_in: U256,
        amount0_out: U256,
        amount1_out: U256,
    },
}

/// The kinds of [`Change`], for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "one for each variant of `Change`")]
pub enum Kind {
    V3Swap,
    V3Mint,
    V3Burn,
    V3Collect,
    V2Sync,
    V2Swap,
}

// === impl Change ===

impl Change {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::V3Swap { .. } => Kind::V3Swap,
            Self::V3Mint { .. } => Kind::V3Mint,
            Self::V3Burn { .. } => Kind::V3Burn,
            Self::V3Collect { .. } => Kind::V3Collect,
            Self::V2Sync { .. } => Kind::V2Sync,
            Self::V2Swap { .. } => Kind::V2Swap,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// Every kind, in the order reports name them.
    pub const ALL: [Self; 6] = [
        Self::V3Swap,
        Self::V3Mint,
        Self::V3Burn,
        Self::V3Collect,
        Self::V2Sync,
        Self::V2Swap,
    ];
}

#[cfg(test)]
mod tests;
