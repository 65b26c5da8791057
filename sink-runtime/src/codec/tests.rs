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
    let levels = 5_000_000;
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
