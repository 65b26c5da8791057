use alloy_primitives::{Address, B256, I256};

use super::*;

const HEADER: &str = "block_number,block_timestamp,tx_type,transaction_hash,pool_tx_index,pool_log_index,proxy_log_index,sender,receipt,amount0,amount1,total_liquidity,total_liquidity_delta,sqrtPriceX96,current_tick,position_id,tick_lower,tick_upper,liquidity";
const ONES: &str = "0x1111111111111111111111111111111111111111";

fn swap() -> PoolLog {
    PoolLog {
        pool: Address::ZERO,
        block: 5,
        transaction: B256::repeat_byte(0xab),
        transaction_index: 1,
        log_index: 3,
        removed: false,
        change: Change::V3Swap {
            sender: Address::repeat_byte(0x11),
            recipient: Address::repeat_byte(0x11),
            amount0: I256::try_from(-7).unwrap(),
            amount1: I256::try_from(8).unwrap(),
            sqrt_price_x96: U160::from(9),
            liquidity: 10,
            tick: -11,
        },
    }
}

fn row() -> String {
    let hash = B256::repeat_byte(0xab);
    format!("5,t,SWAP,{hash},1,3,,{ONES},{ONES},-7,8,10,0,9,-11.0,,,,")
}

fn compared(row: &str, logs: &[PoolLog]) -> Comparison {
    let mut comparison = Comparison::parse(&format!("{HEADER}\n{row}\n")).unwrap();
    logs.iter().for_each(|log| comparison.compare(log));
    comparison
}

#[test]
fn equal_rows_are_exact_and_each_field_is_counted() {
    let comparison = compared(&row(), &[swap()]);
    assert!(comparison.is_exact(), "{:?}", comparison.tally.examples);
    assert_eq!((comparison.tally.rows, comparison.tally.fields()), (1, 14));
}

#[test]
fn every_compared_column_is_noticed_when_it_differs() {
    let cells: Vec<_> = HEADER.split(',').collect();
    for (at, name) in cells.iter().enumerate() {
        if ["block_number", "pool_log_index"].contains(name) || NOT_COMPARED.contains(name) {
            continue;
        }
        let row = row();
        let mut cells: Vec<_> = row.split(',').collect();
        cells[at] = "-12.5";
        let comparison = compared(&cells.join(","), &[swap()]);
        assert_eq!(comparison.tally.rows_mismatched, 1, "{name}");
        assert_eq!(comparison.tally.columns[name].mismatched, 1, "{name}");
    }
}

#[test]
fn a_tick_is_whole_or_wrong() {
    for (tick, mismatched) in [
        ("-11", 0),
        ("-11.0", 0),
        ("-11.5", 1),
        ("11.0", 1),
        ("", 1),
        ("NaN", 1),
    ] {
        let comparison = compared(&row().replace("-11.0", tick), &[swap()]);
        assert_eq!(
            comparison.tally.columns["current_tick"].mismatched, mismatched,
            "{tick:?}"
        );
    }
}

#[test]
fn missing_unexpected_and_repeated_rows_are_not_exact() {
    assert_eq!(
        (
            compared(&row(), &[]).missing(),
            compared(&row(), &[]).is_exact()
        ),
        (1, false)
    );
    let stranger = PoolLog {
        log_index: 4,
        ..swap()
    };
    let comparison = compared(&row(), &[swap(), stranger]);
    assert_eq!(
        (comparison.tally.unexpected, comparison.is_exact()),
        (1, false)
    );
    let comparison = compared(&row(), &[swap(), swap()]);
    assert_eq!(
        (comparison.tally.repeated, comparison.is_exact()),
        (1, false)
    );
}

#[test]
fn a_file_of_another_form_is_refused() {
    assert_eq!(Comparison::parse("a,b\n1,2\n").unwrap_err().0, 1);
    let (line, what) = Comparison::parse(&format!("{HEADER}\n{0}\n{0}\n", row())).unwrap_err();
    assert_eq!(
        (line, what.as_str()),
        (3, "block 5 log 3 for the second time")
    );
}
