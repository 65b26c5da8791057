//! One event log as a node's JSON-RPC writes it. What the words of its data mean is for `decode`.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One entry of an `eth_subscription` notification of `logs`, or of an `eth_getLogs` answer.
///
/// Fields that a node adds beyond these are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The contract that emitted it.
    pub address: Address,
    /// Up to four; the first is the event's signature.
    pub topics: Vec<B256>,
    /// What is not indexed: words of 32 bytes, big-endian.
    pub data: Bytes,
    /// The block's number.
    #[serde(with = "quantity")]
    pub block_number: u64,
    /// The transaction's hash.
    pub transaction_hash: B256,
    /// The transaction's place in the block.
    #[serde(with = "quantity")]
    pub transaction_index: u64,
    /// The log's place in the block.
    #[serde(with = "quantity")]
    pub log_index: u64,
    /// Taken back by a reorganisation.
    #[serde(default)]
    pub removed: bool,
    /// The block's time in seconds since the Unix epoch, where the node or the recording tells it.
    #[serde(
        default,
        with = "optional_quantity",
        skip_serializing_if = "Option::is_none"
    )]
    pub block_timestamp: Option<u64>,
}

/// JSON-RPC writes numbers as `"0x1f"`.
mod quantity {
    use super::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{text}` is not a number in 0x-hex"))
        })
    }

    pub(super) fn parse(text: &str) -> Option<u64> {
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    }
}

mod optional_quantity {
    use super::{Deserializer, Serializer, quantity};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => quantity::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        quantity::deserialize(deserializer).map(Some)
    }
}
