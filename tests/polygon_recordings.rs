//! The decoder against real recordings. They are not part of this repository: `SINKS_DATA` names the folder that holds
//! `polygon_dex`; without it each test says so and passes.
#![allow(
    clippy::unwrap_used,
    reason = "in a test, anything unexpected is a failure"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256, aliases::U160};
use sinks::polygon::decode::{Refused, decode};
use sinks::polygon::expect::{Comparison, NOT_COMPARED};
use sinks::polygon::log::Log;
use sinks::polygon::pools::{Pool, Pools};
use sinks::polygon::recording::Recording;
use sinks::pool_event::{Change, Kind, PoolLog};

const DAY: &str = "polygon-0x45dda9cb7c25131df268515131f647d726f50608-2022-01-05";

/// The folder of the recordings, or nothing and a word about it.
fn recordings() -> Option<PathBuf> {
    let Some(data) = std::env::var_os("SINKS_DATA") else {
        println!("skipped: SINKS_DATA does not name the folder of the recordings");
        return None;
    };
    Some(PathBuf::from(data).join("polygon_dex"))
}

fn decoded(logs: &[&Log], pools: &Pools) -> (Vec<PoolLog>, Vec<Refused>) {
    let mut refused = Vec::new();
    let taken = logs
        .iter()
        .filter_map(|log| decode(log, pools).map_err(|why| refused.push(why)).ok())
        .collect();
    (taken, refused)
}

fn per_kind(logs: &[PoolLog]) -> BTreeMap<Kind, usize> {
    let mut kinds = BTreeMap::new();
    for log in logs {
        *kinds.entry(log.change.kind()).or_default() += 1;
    }
    kinds
}

#[test]
fn a_day_of_a_pool_decodes_as_published() {
    let Some(folder) = recordings() else { return };
    let recording = Recording::open(&folder.join(format!("{DAY}.raw.csv.gz"))).unwrap();
    let (logs, refused) = decoded(&recording.logs().collect::<Vec<_>>(), &Pools::known());
    assert_eq!(refused, []);
    assert_eq!(
        per_kind(&logs),
        BTreeMap::from([
            (Kind::V3Swap, 3972),
            (Kind::V3Mint, 64),
            (Kind::V3Burn, 62),
            (Kind::V3Collect, 60)
        ])
    );

    let mut published = Comparison::open(&folder.join(format!("{DAY}.tick.csv.gz"))).unwrap();
    logs.iter().for_each(|log| published.compare(log));
    assert_eq!(published.tally.examples, Vec::<String>::new());
    assert!(published.is_exact());
    assert_eq!(published.tally.rows, 4158);
    // Every column but those that no log of the pool carries, in every row; `receipt` and the rest as the kind has them.
    for column in [
        "tx_type",
        "transaction_hash",
        "sender",
        "receipt",
        "amount0",
        "amount1",
        "sqrtPriceX96",
    ] {
        assert_eq!(published.tally.columns[column].compared, 4158, "{column}");
    }
    let compared = published.tally.columns.len();
    assert_eq!(
        compared + NOT_COMPARED.len() + "block_number pool_log_index".split(' ').count(),
        19
    );
}

#[test]
fn one_wrong_bit_is_a_mismatch() {
    let Some(folder) = recordings() else { return };
    let recording = Recording::open(&folder.join(format!("{DAY}.raw.csv.gz"))).unwrap();
    let (mut logs, _) = decoded(&recording.logs().collect::<Vec<_>>(), &Pools::known());
    let Change::V3Swap { sqrt_price_x96, .. } = &mut logs[2000].change else {
        panic!("row 2000 is a swap")
    };
    *sqrt_price_x96 ^= U160::from(1);
    let mut published = Comparison::open(&folder.join(format!("{DAY}.tick.csv.gz"))).unwrap();
    logs.iter().for_each(|log| published.compare(log));
    assert_eq!(
        (
            published.tally.rows_mismatched,
            published.tally.mismatched_fields()
        ),
        (1, 1)
    );
    assert!(!published.is_exact());
}

#[test]
fn look_alikes_in_a_block_are_refused() {
    let Some(folder) = recordings() else { return };
    let recording = Recording::open(&folder.join("logs_block_13572468.csv")).unwrap();
    let logs: Vec<_> = recording.logs().collect();
    assert_eq!(logs.len(), 21);
    let (taken, refused) = decoded(&logs, &Pools::known());
    assert_eq!(refused.len(), 19);
    assert_eq!(
        per_kind(&taken),
        BTreeMap::from([(Kind::V2Sync, 1), (Kind::V2Swap, 1)])
    );
    assert_eq!((taken[0].log_index, taken[1].log_index), (19, 20));
    let Change::V2Swap {
        amount0_in,
        amount1_out,
        ..
    } = taken[1].change
    else {
        panic!("log 20 is a swap")
    };
    assert_eq!(amount0_in, U256::from(500_000_000_000_000_000u64));
    assert!(amount1_out > U256::from(u64::MAX));
}

#[test]
fn a_receipt_holds_one_swap_among_strangers() {
    let Some(folder) = recordings() else { return };
    let recording =
        Recording::open(&folder.join("eth_getTransactionReceipt_0xcc6321f6.json")).unwrap();
    let logs: Vec<_> = recording.logs().collect();
    let (taken, refused) = decoded(&logs, &Pools::known());
    assert_eq!((taken.len(), refused.len()), (0, 8));
    assert!(
        refused
            .iter()
            .any(|why| matches!(why, Refused::LookAlike { .. })),
        "its swap is of a pool not known here"
    );

    let mut pools = Pools::none();
    pools.add(
        "0xb1f30b7df529845ab92dfd39e3eefeadc37f9fcc=v3:WMATIC/18:TOKEN/18"
            .parse::<Pool>()
            .unwrap(),
    );
    let (taken, _) = decoded(&logs, &pools);
    assert_eq!(per_kind(&taken), BTreeMap::from([(Kind::V3Swap, 1)]));
    assert_eq!(taken[0].log_index, 3);
    assert_ne!(taken[0].transaction, B256::ZERO);
}

#[test]
fn token_transfers_are_nobodys_pool() {
    let Some(folder) = recordings() else { return };
    let recording = Recording::open(&folder.join("eth_getFilterLogs_block_0xcf1974.json")).unwrap();
    let logs: Vec<_> = recording.logs().collect();
    assert_eq!(logs.len(), 14);
    let (taken, refused) = decoded(&logs, &Pools::known());
    assert!(taken.is_empty());
    assert!(refused.iter().all(
        |why| matches!(why, Refused::UnknownContract { address } if *address != Address::ZERO)
    ));
}
