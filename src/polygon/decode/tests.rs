use alloy_primitives::{Bytes, I256, U256, aliases::U160, hex};

use super::*;

const POOL: Address = Address::new(hex!("45dda9cb7c25131df268515131f647d726f50608"));
const V2_POOL: Address = Address::new(hex!("4a35582a710e1f4b2030a3f826da20bfb6703c09"));
const WORD: usize = 32;

fn word<N>(number: N) -> B256
where
    U256: alloy_primitives::ruint::UintTryFrom<N>,
{
    U256::from(number).into()
}

fn negative(number: i64) -> B256 {
    B256::from(I256::try_from(number).unwrap().into_raw())
}

fn a_log(address: Address, topics: &[B256], words: &[B256]) -> Log {
    Log {
        address,
        topics: topics.to_vec(),
        data: Bytes::from(words.concat()),
        block_number: 7,
        transaction_hash: B256::repeat_byte(9),
        transaction_index: 1,
        log_index: 2,
        removed: false,
        block_timestamp: None,
    }
}

fn swap() -> Log {
    let most = U256::from(1) << 127;
    let price = (U256::from(1) << 159) | U256::from(1);
    let words = [
        negative(-5),
        word(most),
        word(price),
        word(u128::MAX),
        negative(-887_272),
    ];
    a_log(
        POOL,
        &[v3::Swap::SIGNATURE_HASH, word(1u8), word(2u8)],
        &words,
    )
}

fn refused(log: &Log) -> Refused {
    decode(log, &Pools::known()).expect_err("must be refused")
}

#[test]
fn signatures_are_the_published_ones() {
    let published = [
        hex!("c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"),
        hex!("7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"),
        hex!("0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"),
        hex!("70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0"),
        hex!("1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"),
        hex!("d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"),
    ];
    assert_eq!(SIGNATURES, published.map(B256::new));
}

#[test]
fn a_swap_keeps_every_bit_and_sign() {
    let log = decode(&swap(), &Pools::known()).unwrap();
    let Change::V3Swap {
        amount0,
        amount1,
        sqrt_price_x96,
        liquidity,
        tick,
        ..
    } = log.change
    else {
        panic!("{:?}", log.change)
    };
    assert_eq!(amount0, I256::try_from(-5).unwrap());
    assert_eq!(amount1, I256::from_raw(U256::from(1) << 127));
    assert_eq!(sqrt_price_x96, (U160::from(1) << 159) | U160::from(1));
    assert_eq!((liquidity, tick), (u128::MAX, -887_272));
    assert_eq!((log.block, log.transaction_index, log.log_index), (7, 1, 2));
}

#[test]
fn the_lowest_amount_keeps_its_sign() {
    let mut log = swap();
    let mut data = log.data.to_vec();
    data[..WORD].copy_from_slice(B256::from(I256::MIN.into_raw()).as_slice());
    log.data = data.into();
    let Change::V3Swap { amount0, .. } = decode(&log, &Pools::known()).unwrap().change else {
        panic!()
    };
    assert_eq!(amount0, I256::MIN);
}

#[test]
fn a_log_that_was_taken_back_is_carried_on() {
    let log = Log {
        removed: true,
        ..swap()
    };
    assert!(decode(&log, &Pools::known()).unwrap().removed);
}

#[test]
fn a_look_alike_is_refused_whatever_it_says() {
    let address = Address::repeat_byte(0xbe);
    assert_eq!(
        refused(&Log { address, ..swap() }),
        Refused::LookAlike { address }
    );
}

#[test]
fn a_strangers_other_logs_are_not_look_alikes() {
    let address = Address::repeat_byte(0xbe);
    let transfer = a_log(address, &[B256::repeat_byte(0xdd)], &[]);
    assert_eq!(refused(&transfer), Refused::UnknownContract { address });
    assert_eq!(
        refused(&a_log(address, &[], &[])),
        Refused::UnknownContract { address }
    );
}

#[test]
fn a_pool_is_read_by_its_own_protocol_only() {
    let log = Log {
        address: V2_POOL,
        ..swap()
    };
    let topic = Some(v3::Swap::SIGNATURE_HASH);
    assert_eq!(
        refused(&log),
        Refused::UnknownTopic {
            pool: V2_POOL,
            topic
        }
    );
    assert_eq!(
        refused(&a_log(POOL, &[], &[])),
        Refused::UnknownTopic {
            pool: POOL,
            topic: None
        }
    );
}

#[test]
fn data_of_another_length_is_refused_shorter_and_longer() {
    for len in [0, 1, 31, 32, 4 * WORD, 5 * WORD - 1, 5 * WORD + 1, 6 * WORD] {
        let data = Bytes::from(vec![0; len]);
        assert_eq!(
            refused(&Log { data, ..swap() }),
            Refused::DataLength {
                got: len,
                want: 5 * WORD
            }
        );
    }
}

#[test]
fn another_number_of_topics_is_refused() {
    for got in [1, 2, 4] {
        let topics = vec![v3::Swap::SIGNATURE_HASH; got];
        assert_eq!(
            refused(&Log { topics, ..swap() }),
            Refused::TopicCount { got, want: 3 }
        );
    }
}

#[test]
fn values_out_of_their_types_range_are_refused() {
    // sqrtPriceX96 of 161 bits, liquidity of 129, a tick of 25 with a positive sign; and an address of 161.
    for (at, value) in [
        (2, U256::from(1) << 160),
        (3, U256::from(1) << 128),
        (4, U256::from(1) << 23),
    ] {
        let mut data = swap().data.to_vec();
        data[at * WORD..(at + 1) * WORD].copy_from_slice(B256::from(value).as_slice());
        assert_eq!(
            refused(&Log {
                data: data.into(),
                ..swap()
            }),
            Refused::Value,
            "word {at}"
        );
    }
    let topics = vec![
        v3::Swap::SIGNATURE_HASH,
        word(U256::from(1) << 160),
        word(2u8),
    ];
    assert_eq!(refused(&Log { topics, ..swap() }), Refused::Value);
}

#[test]
fn positions_have_signed_ticks_and_whole_amounts() {
    let topics = [
        v3::Mint::SIGNATURE_HASH,
        word(1u8),
        negative(-887_270),
        negative(-1),
    ];
    let words = [word(2u8), word(u128::MAX), word(U256::MAX), word(3u8)];
    let log = decode(&a_log(POOL, &topics, &words), &Pools::known()).unwrap();
    let Change::V3Mint {
        tick_lower,
        tick_upper,
        liquidity,
        amount0,
        amount1,
        owner,
        sender,
    } = log.change
    else {
        panic!("{:?}", log.change)
    };
    assert_eq!(
        (tick_lower, tick_upper, liquidity),
        (-887_270, -1, u128::MAX)
    );
    assert_eq!((amount0, amount1), (U256::MAX, U256::from(3)));
    assert_eq!((owner[19], sender[19]), (1, 2));
}

#[test]
fn v2_syncs_and_swaps_are_read() {
    let most = (U256::from(1) << 112) - U256::from(1);
    let sync = a_log(
        V2_POOL,
        &[v2::Sync::SIGNATURE_HASH],
        &[word(most), word(1u8)],
    );
    let Change::V2Sync { reserve0, .. } = decode(&sync, &Pools::known()).unwrap().change else {
        panic!()
    };
    assert_eq!(U256::from(reserve0), most);
    let over = a_log(
        V2_POOL,
        &[v2::Sync::SIGNATURE_HASH],
        &[word(most + U256::from(1)), word(1u8)],
    );
    assert_eq!(refused(&over), Refused::Value);

    let words = [1u8, 2, 3, 4].map(word);
    let swap = a_log(
        V2_POOL,
        &[v2::Swap::SIGNATURE_HASH, word(5u8), word(6u8)],
        &words,
    );
    let Change::V2Swap {
        sender,
        to,
        amount0_in,
        amount1_in,
        amount0_out,
        amount1_out,
    } = decode(&swap, &Pools::known()).unwrap().change
    else {
        panic!()
    };
    assert_eq!(
        [amount0_in, amount1_in, amount0_out, amount1_out],
        [1, 2, 3, 4].map(U256::from)
    );
    assert_eq!((sender[19], to[19]), (5, 6));
}
