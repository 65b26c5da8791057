//! Where a pool stands after what it said: price, tick and liquidity, followed from its events alone.

use std::collections::VecDeque;

use alloy_primitives::aliases::{U112, U160};

use crate::pool_event::{Change, PoolLog};

/// How many events back a reorganisation can be undone; Polygon's deepest known reorganisation was 157 blocks.
const UNDO_EVENTS: usize = 1_024;

/// A pool, followed event by event in the order of the chain.
#[derive(Clone, Debug, Default)]
pub struct PoolState {
    now: Option<Standing>,
    undo: VecDeque<Undo>,
}

/// What is known of a pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Uniswap V3, since its first swap that we saw.
    V3 {
        /// √(token1 / token0) · 2^96, in units.
        sqrt_price_x96: U160,
        /// The tick of that price.
        tick: i32,
        /// Liquidity in range.
        liquidity: u128,
    },
    /// Uniswap V2.
    V2 {
        /// Units of token0.
        reserve0: U112,
        /// Units of token1.
        reserve1: U112,
    },
}

#[derive(Clone, Debug)]
struct Undo {
    block: u64,
    log_index: u64,
    before: Option<Standing>,
}

// === impl PoolState ===

impl PoolState {
    /// Takes the next event; one that was `removed` undoes itself and what came after it.
    pub fn follow(&mut self, log: &PoolLog) {
        if log.removed {
            self.undo(log);
            return;
        }
        if self.undo.len() == UNDO_EVENTS {
            self.undo.pop_front();
        }
        self.undo.push_back(Undo {
            block: log.block,
            log_index: log.log_index,
            before: self.now,
        });
        self.now = after(self.now, &log.change);
    }

    /// What is known now; nothing before the first event that tells it.
    pub fn now(&self) -> Option<Standing> {
        self.now
    }

    fn undo(&mut self, log: &PoolLog) {
        let same = |undo: &Undo| (undo.block, undo.log_index) == (log.block, log.log_index);
        if let Some(at) = self.undo.iter().rposition(same) {
            self.now = self.undo[at].before;
            self.undo.truncate(at);
        }
    }
}

// === impl Standing ===

impl Standing {
    /// Units of token1 per unit of token0, as a person's number: 15 digits, not for accounts.
    pub fn price(&self) -> f64 {
        match *self {
            Self::V3 { sqrt_price_x96, .. } => (f64::from(sqrt_price_x96) / 2f64.powi(96)).powi(2),
            Self::V2 { reserve0, reserve1 } => f64::from(reserve1) / f64::from(reserve0),
        }
    }
}

fn after(before: Option<Standing>, change: &Change) -> Option<Standing> {
    match *change {
        Change::V3Swap {
            sqrt_price_x96,
            tick,
            liquidity,
            ..
        } => Some(Standing::V3 {
            sqrt_price_x96,
            tick,
            liquidity,
        }),
        Change::V3Mint {
            tick_lower,
            tick_upper,
            liquidity,
            ..
        } => in_range(before, tick_lower..tick_upper, |now| {
            now.saturating_add(liquidity)
        }),
        Change::V3Burn {
            tick_lower,
            tick_upper,
            liquidity,
            ..
        } => in_range(before, tick_lower..tick_upper, |now| {
            now.saturating_sub(liquidity)
        }),
        Change::V2Sync { reserve0, reserve1 } => Some(Standing::V2 { reserve0, reserve1 }),
        Change::V3Collect { .. } | Change::V2Swap { .. } => before,
    }
}

/// Liquidity counts while the current tick is in its range.
fn in_range(
    before: Option<Standing>,
    range: std::ops::Range<i32>,
    change: impl Fn(u128) -> u128,
) -> Option<Standing> {
    match before {
        Some(Standing::V3 {
            sqrt_price_x96,
            tick,
            liquidity,
        }) if range.contains(&tick) => Some(Standing::V3 {
            sqrt_price_x96,
            tick,
            liquidity: change(liquidity),
        }),
        other => other,
    }
}

#[cfg(test)]
mod tests;
