use super::*;

fn events() -> Vec<PoolEvent> {
    let (a, b) = (Address::repeat_byte(0xff), Address::with_last_byte(1));
    let changes = [
        Change::V3Swap {
            sender: a,
            recipient: b,
            amount0: I256::MIN,
            amount1: I256::MAX,
            sqrt_price_x96: U160::MAX,
            liquidity: u128::MAX,
            tick: -887_272,
        },
        Change::V3Mint {
            sender: a,
            owner: b,
            tick_lower: i32::MIN,
            tick_upper: i32::MAX,
            liquidity: u128::MAX,
            amount0: U256::MAX,
            amount1: U256::from(1) << 64,
        },
        Change::V3Burn {
            owner: a,
            tick_lower: -1,
            tick_upper: 0,
            liquidity: 1 << 64,
            amount0: U256::ZERO,
            amount1: U256::MAX,
        },
        Change::V3Collect {
            owner: a,
            recipient: b,
            tick_lower: -1,
            tick_upper: 1,
            amount0: u128::MAX,
            amount1: 0,
        },
        Change::V2Sync {
            reserve0: U112::MAX,
            reserve1: U112::from(1) << 111,
        },
        Change::V2Swap {
            sender: a,
            to: b,
            amount0_in: U256::MAX,
            amount1_in: U256::ZERO,
            amount0_out: U256::from(1) << 255,
            amount1_out: U256::from(1),
        },
    ];
    let log = |change| PoolLog {
        pool: a,
        block: u64::MAX,
        transaction: B256::repeat_byte(0x80),
        transaction_index: 0,
        log_index: u64::MAX,
        removed: true,
        change,
    };
    let bodies = changes.map(|change| Body::Log(log(change)));
    let bodies = bodies.into_iter().chain([Body::End { logs: u64::MAX }]);
    bodies
        .map(|body| PoolEvent {
            sent_at_ns: u64::MAX,
            body,
        })
        .collect()
}

#[test]
fn every_bit_survives_the_wire() {
    for event in events() {
        let bytes = postcard::to_stdvec(&event).unwrap();
        assert_eq!(postcard::from_bytes::<PoolEvent>(&bytes).unwrap(), event);
    }
}

#[test]
fn every_bit_survives_json() {
    for event in events() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<PoolEvent>(&text).unwrap(), event);
    }
}

#[test]
fn every_kind_has_its_place_in_reports() {
    let kinds = events().into_iter().filter_map(|event| match event.body {
        Body::Log(log) => Some(log.change.kind()),
        Body::End { .. } => None,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), Kind::ALL);
}
