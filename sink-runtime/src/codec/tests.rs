use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    order: Option<Box<Order>>,
}

fn decode(bytes: Vec<u8>) -> Result<Order, DecodeError> {
    let chunk = Bytes::from(bytes);
    decode_serde(Codec::Postcard, Payload::new(&chunk))
}

#[test]
fn what_nests_as_deep_as_the_sender_says_ends_in_an_error_not_in_the_stack() {
    // Two types that hold each other: id, one part, an order in it, and again.
    let levels = crate::rounds(5_000_000);
    let bytes: Vec<u8> = [7, 1, 1].repeat(levels);
    let worker = std::thread::Builder::new().stack_size(2 * 1_024 * 1_024);
    let decoded = worker.spawn(move || decode(bytes)).unwrap().join().unwrap();
    let error = decoded.unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn a_little_nesting_is_none_too_deep() {
    let mut order = Order {
        id: 0,
        parts: vec![Part { order: None }],
    };
    for id in 1..50 {
        let order_below = Some(Box::new(order));
        let parts = vec![Part { order: order_below }, Part { order: None }];
        order = Order { id, parts };
    }
    let mut bytes = Vec::new();
    encode_serde(&order, Codec::Postcard, &mut bytes).unwrap();
    assert_eq!(decode(bytes.clone()).unwrap(), order);
    bytes.push(0);
    let error = decode(bytes.clone()).unwrap_err().to_string();
    assert!(error.contains("1 bytes left over"), "{error}");
    bytes.truncate(bytes.len() - 2);
    let error = decode(bytes).unwrap_err().to_string();
    assert!(!error.contains("nested"), "{error}");
}

#[cfg(feature = "json")]
mod json {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::{Chance, SplitMix};

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        encode_serde(value, Codec::Json, &mut out).map(|()| out)
    }

    fn decode<T: DeserializeOwned>(bytes: Vec<u8>) -> Result<T, DecodeError> {
        decode_serde(Codec::Json, Payload::new(&Bytes::from(bytes)))
    }

    #[test]
    fn every_float_comes_back_to_the_bit() {
        let dice = SplitMix::new(7);
        let mut floats = vec![
            0.0,
            -0.0,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            0.1 + 0.2,
            9_007_199_254_740_993.0,
        ];
        floats.extend(
            (0..crate::rounds(100_000))
                .map(|_| f64::from_bits(dice.next()))
                .filter(|float| float.is_finite()),
        );
        let back: Vec<f64> = decode(encode(&floats).unwrap()).unwrap();
        for (sent, came) in floats.iter().zip(&back) {
            assert_eq!(sent.to_bits(), came.to_bits(), "{sent:e} became {came:e}");
        }
        assert_eq!(floats.len(), back.len());
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Everything {
        one: f64,
        small: f32,
        maybe: Option<f64>,
        list: Vec<f64>,
        pair: (u8, f64),
        wrapped: Wrapped,
        map: BTreeMap<String, f64>,
        kind: Kind,
        text: String,
        letter: char,
        big: i128,
        unit: (),
        flag: bool,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Wrapped(f64);

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    enum Kind {
        #[default]
        Nothing,
        Value(f64),
        Values(f64, f64),
        Named {
            value: f64,
        },
    }

    #[test]
    fn a_number_that_json_has_no_way_to_write_is_refused_wherever_it_stands() {
        let places: [fn(&mut Everything, f64); 11] = [
            |all, bad| all.one = bad,
            |all, bad| all.small = bad as f32,
            |all, bad| all.maybe = Some(bad),
            |all, bad| all.list = vec![1.0, bad],
            |all, bad| all.pair.1 = bad,
            |all, bad| all.wrapped.0 = bad,
            |all, bad| all.map.extend([("key".to_owned(), bad)]),
            |all, bad| all.kind = Kind::Value(bad),
            |all, bad| all.kind = Kind::Values(1.0, bad),
            |all, bad| all.kind = Kind::Named { value: bad },
            |all, bad| (all.maybe, all.list) = (None, vec![bad; 3]),
        ];
        for (number, place) in places.iter().enumerate() {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut message = Everything::default();
                place(&mut message, bad);
                let error = encode(&message).expect_err("it would be null").to_string();
                assert!(
                    error.contains("JSON") && error.contains(&bad.to_string()),
                    "{number}: {error}"
                );
            }
            let mut message = Everything {
                letter: 'ß',
                big: -1 << 100,
                ..Everything::default()
            };
            place(&mut message, 2.5);
            let text = encode(&message).unwrap();
            assert_eq!(
                text,
                serde_json::to_vec(&message).unwrap(),
                "all else is as it was"
            );
            assert_eq!(decode::<Everything>(text).unwrap(), message);
        }
    }

    #[test]
    fn json_that_is_there_already_passes_as_it_stands() {
        let raw = serde_json::value::RawValue::from_string("{\"a\": 1e2}".to_owned()).unwrap();
        assert_eq!(encode(&raw).unwrap(), b"{\"a\": 1e2}");
    }
}
