//! A log → a [`PoolLog`], or the reason why not. Nothing is rounded, clipped or guessed.
//!
//! Three things must agree before a word is read: the contract is a pool we know, its protocol emits this signature,
//! and topics and data have exactly the length of the event.

use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolEvent, abi::AbiDecoderConfig};

use super::log::Log;
use super::pools::{Pools, Protocol};
use crate::pool_event::{Change, PoolLog};

mod v2 {
    alloy_sol_types::sol! {
        event Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, uint256 amount1Out, address indexed to);
        event Sync(uint112 reserve0, uint112 reserve1);
    }
}

mod v3 {
    alloy_sol_types::sol! {
        event Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1, uint160 sqrtPriceX96, uint128 liquidity, int24 tick);
        event Mint(address sender, address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount, uint256 amount0, uint256 amount1);
        event Burn(address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount, uint256 amount0, uint256 amount1);
        event Collect(address indexed owner, address recipient, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount0, uint128 amount1);
    }
}

/// Every signature that [`decode`] reads: what to subscribe to.
pub const SIGNATURES: [B256; 6] = [
    v3::Swap::SIGNATURE_HASH,
    v3::Mint::SIGNATURE_HASH,
    v3::Burn::SIGNATURE_HASH,
    v3::Collect::SIGNATURE_HASH,
    v2::Sync::SIGNATURE_HASH,
    v2::Swap::SIGNATURE_HASH,
];

/// Why a log is no pool event of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else's contract, with a signature like ours.
    #[error("look-alike: {address} is not a known pool")]
    LookAlike {
        /// The contract.
        address: Address,
    },
    /// Somebody else's contract, with another signature.
    #[error("{address} is not a known pool")]
    UnknownContract {
        /// The contract.
        address: Address,
    },
    /// A known pool, saying something that this application does not read.
    #[error("{pool} says {topic:?}, which is not read here")]
    UnknownTopic {
        /// The pool.
        pool: Address,
        /// Its first topic, if it has one.
        topic: Option<B256>,
    },
    /// Not the event's number of topics.
    #[error("{got} topics where the event has {want}")]
    TopicCount {
        /// Topics of the log.
        got: usize,
        /// Topics of the event.
        want: usize,
    },
    /// Not the event's length of data.
    #[error("{got} bytes of data where the event has {want}")]
    DataLength {
        /// Bytes of the log.
        got: usize,
        /// Bytes of the event.
        want: usize,
    },
    /// A word holds more than its type allows: dirty upper bits.
    #[error("a value out of the range of its type")]
    Value,
}

/// Reads `log` as an event of one of `pools`.
///
/// # Errors
/// [`Refused`] names the first of the checks above that failed.
pub fn decode(log: &Log, pools: &Pools) -> Result<PoolLog, Refused> {
    let Some(pool) = pools.get(&log.address) else {
        return Err(stranger(log));
    };
    let change = match pool.protocol {
        Protocol::UniswapV3 => v3(log)?,
        Protocol::UniswapV2 => v2(log)?,
    };
    Ok(PoolLog {
        pool: log.address,
        block: log.block_number,
        transaction: log.transaction_hash,
        transaction_index: log.transaction_index,
        log_index: log.log_index,
        removed: log.removed,
        change,
    })
}

fn stranger(log: &Log) -> Refused {
    let address = log.address;
    match log.topics.first() {
        Some(topic) if SIGNATURES.contains(topic) => Refused::LookAlike { address },
        _ => Refused::UnknownContract { address },
    }
}

fn v3(log: &Log) -> Result<Change, Refused> {
    match log.topics.first() {
        Some(&v3::Swap::SIGNATURE_HASH) => {
            let v3::Swap {
                sender,
                recipient,
                amount0,
                amount1,
                sqrtPriceX96: sqrt_price_x96,
                liquidity,
                tick,
            } = event(log, 3, 5)?;
            let tick = tick.as_i32();
            Ok(Change::V3Swap {
                sender,
                recipient,
                amount0,
                amount1,
                sqrt_price_x96,
                liquidity,
                tick,
            })
        }
        Some(&v3::Mint::SIGNATURE_HASH) => {
            let v3::Mint {
                sender,
                owner,
                tickLower,
                tickUpper,
                amount: liquidity,
                amount0,
                amount1,
            } = event(log, 4, 4)?;
            let (tick_lower, tick_upper) = (tickLower.as_i32(), tickUpper.as_i32());
            Ok(Change::V3Mint {
                sender,
                owner,
                tick_lower,
                tick_upper,
                liquidity,
                amount0,
                amount1,
            })
        }
        Some(&v3::Burn::SIGNATURE_HASH) => {
            let v3::Burn {
                owner,
                tickLower,
                tickUpper,
                amount: liquidity,
                amount0,
                amount1,
            } = event(log, 4, 3)?;
            let (tick_lower, tick_upper) = (tickLower.as_i32(), tickUpper.as_i32());
            Ok(Change::V3Burn {
                owner,
                tick_lower,
                tick_upper,
                liquidity,
                amount0,
                amount1,
            })
        }
        Some(&v3::Collect::SIGNATURE_HASH) => {
            let v3::Collect {
                owner,
                recipient,
                tickLower,
                tickUpper,
                amount0,
                amount1,
            } = event(log, 4, 3)?;
            let (tick_lower, tick_upper) = (tickLower.as_i32(), tickUpper.as_i32());
            Ok(Change::V3Collect {
                owner,
                recipient,
                tick_lower,
                tick_upper,
                amount0,
                amount1,
            })
        }
        topic => Err(Refused::UnknownTopic {
            pool: log.address,
            topic: topic.copied(),
        }),
    }
}

fn v2(log: &Log) -> Result<Change, Refused> {
    match log.topics.first() {
        Some(&v2::Sync::SIGNATURE_HASH) => {
            let v2::Sync { reserve0, reserve1 } = event(log, 1, 2)?;
            Ok(Change::V2Sync { reserve0, reserve1 })
        }
        Some(&v2::Swap::SIGNATURE_HASH) => {
            let v2::Swap {
                sender,
                amount0In,
                amount1In,
                amount0Out,
                amount1Out,
                to,
            } = event(log, 3, 4)?;
            let (amount0_in, amount1_in) = (amount0In, amount1In);
            let (amount0_out, amount1_out) = (amount0Out, amount1Out);
            Ok(Change::V2Swap {
                sender,
                to,
                amount0_in,
                amount1_in,
                amount0_out,
                amount1_out,
            })
        }
        topic => Err(Refused::UnknownTopic {
            pool: log.address,
            topic: topic.copied(),
        }),
    }
}

/// The events read here have no dynamic types, so their length is fixed; the ABI decoder alone would accept a longer one.
fn event<E: SolEvent>(log: &Log, topics: usize, words: usize) -> Result<E, Refused> {
    if log.topics.len() != topics {
        return Err(Refused::TopicCount {
            got: log.topics.len(),
            want: topics,
        });
    }
    if log.data.len() != words * 32 {
        return Err(Refused::DataLength {
            got: log.data.len(),
            want: words * 32,
        });
    }
    let strict = AbiDecoderConfig::new().validate(true);
    E::decode_raw_log_with_config(log.topics.iter().copied(), &log.data, strict)
        .map_err(|_| Refused::Value)
}

#[cfg(test)]
mod tests;
