use alloy_primitives::{Address, B256, I256, U256};

use super::*;

fn log(block: u64, change: Change) -> PoolLog {
    let (pool, transaction) = (Address::ZERO, B256::ZERO);
    PoolLog {
        pool,
        block,
        transaction,
        transaction_index: 0,
        log_index: 0,
        removed: false,
        change,
    }
}

fn swap(price: u64, tick: i32, liquidity: u128) -> Change {
    Change::V3Swap {
        sender: Address::ZERO,
        recipient: Address::ZERO,
        amount0: I256::ONE,
        amount1: I256::MINUS_ONE,
        sqrt_price_x96: U160::from(price) << 96,
        liquidity,
        tick,
    }
}

fn burn(tick_lower: i32, tick_upper: i32, liquidity: u128) -> Change {
    let (owner, amount0, amount1) = (Address::ZERO, U256::ZERO, U256::ZERO);
    Change::V3Burn {
        owner,
        tick_lower,
        tick_upper,
        liquidity,
        amount0,
        amount1,
    }
}

fn liquidity(state: &PoolState) -> u128 {
    match state.now() {
        Some(Standing::V3 { liquidity, .. }) => liquidity,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_known_before_the_first_swap() {
    let mut state = PoolState::default();
    state.follow(&log(1, burn(0, 10, 5)));
    assert_eq!(state.now(), None);
}

#[test]
fn liquidity_counts_in_its_range_only() {
    let mut state = PoolState::default();
    state.follow(&log(1, swap(2, 10, 100)));
    state.follow(&log(2, burn(0, 10, 5)));
    assert_eq!(liquidity(&state), 100, "the upper tick is outside");
    state.follow(&log(3, burn(10, 20, 5)));
    assert_eq!(liquidity(&state), 95, "the lower tick is inside");
    assert_eq!(state.now().map(|standing| standing.price()), Some(4.0));
}

#[test]
fn what_a_reorganisation_takes_back_is_undone() {
    let mut state = PoolState::default();
    state.follow(&log(1, swap(2, 10, 100)));
    let before = state.now();
    let (second, third) = (log(2, swap(3, 20, 200)), log(3, swap(4, 30, 300)));
    state.follow(&second);
    state.follow(&third);
    let back = |log: &PoolLog| PoolLog {
        removed: true,
        ..log.clone()
    };
    for order in [[&third, &second], [&second, &third]] {
        let mut state = state.clone();
        order.into_iter().for_each(|log| state.follow(&back(log)));
        assert_eq!(state.now(), before);
    }
}
