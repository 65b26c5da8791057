//! An event as a row of a CSV file: every field, exact; amounts in units, hashes and addresses in 0x-hex.

use sinks::PoolEvent;
use sinks::pool_event::{Change, PoolLog};

/// The columns. A kind of event leaves empty what it does not have; `recipient` is also the `to` of a V2 swap.
pub(crate) const HEADER: [&str; 25] = [
    "sequence",
    "sent_at_ns",
    "block",
    "transaction_index",
    "log_index",
    "transaction",
    "removed",
    "pool",
    "kind",
    "sender",
    "recipient",
    "owner",
    "amount0",
    "amount1",
    "sqrt_price_x96",
    "liquidity",
    "tick",
    "tick_lower",
    "tick_upper",
    "reserve0",
    "reserve1",
    "amount0_in",
    "amount1_in",
    "amount0_out",
    "amount1_out",
];

/// The row of `log`, which came in `event` as number `sequence`.
pub(crate) fn row(sequence: u64, event: &PoolEvent, log: &PoolLog) -> [String; HEADER.len()] {
    let mut row = std::array::from_fn(|_| String::new());
    let mut set = |column: &str, value: &dyn ToString| {
        let at = HEADER
            .iter()
            .position(|name| *name == column)
            .expect("`set` names columns of HEADER");
        row[at] = value.to_string();
    };
    set("sequence", &sequence);
    set("sent_at_ns", &event.sent_at_ns);
    set("block", &log.block);
    set("transaction_index", &log.transaction_index);
    set("log_index", &log.log_index);
    set("transaction", &log.transaction);
    set("removed", &log.removed);
    set("pool", &log.pool);
    set("kind", &format_args!("{:?}", log.change.kind()));
    match &log.change {
        Change::V3Swap {
            sender,
            recipient,
            amount0,
            amount1,
            sqrt_price_x96,
            liquidity,
            tick,
        } => {
            set("sender", sender);
            set("recipient", recipient);
            set("amount0", amount0);
            set("amount1", amount1);
            set("sqrt_price_x96", sqrt_price_x96);
            set("liquidity", liquidity);
            set("tick", tick);
        }
        Change::V3Mint {
            sender,
            owner,
            tick_lower,
            tick_upper,
            liquidity,
            amount0,
            amount1,
        } => {
            set("sender", sender);
            set("owner", owner);
            set("tick_lower", tick_lower);
            set("tick_upper", tick_upper);
            set("liquidity", liquidity);
            set("amount0", amount0);
            set("amount1", amount1);
        }
        Change::V3Burn {
            owner,
            tick_lower,
            tick_upper,
            liquidity,
            amount0,
            amount1,
        } => {
            set("owner", owner);
            set("tick_lower", tick_lower);
            set("tick_upper", tick_upper);
            set("liquidity", liquidity);
            set("amount0", amount0);
            set("amount1", amount1);
        }
        Change::V3Collect {
            owner,
            recipient,
            tick_lower,
            tick_upper,
            amount0,
            amount1,
        } => {
            set("owner", owner);
            set("recipient", recipient);
            set("tick_lower", tick_lower);
            set("tick_upper", tick_upper);
            set("amount0", amount0);
            set("amount1", amount1);
        }
        Change::V2Sync { reserve0, reserve1 } => {
            set("reserve0", reserve0);
            set("reserve1", reserve1);
        }
        Change::V2Swap {
            sender,
            to,
            amount0_in,
            amount1_in,
            amount0_out,
            amount1_out,
        } => {
            set("sender", sender);
            set("recipient", to);
            set("amount0_in", amount0_in);
            set("amount1_in", amount1_in);
            set("amount0_out", amount0_out);
            set("amount1_out", amount1_out);
        }
    }
    row
}
