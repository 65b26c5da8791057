//! One text frame of a node's JSON-RPC over WebSocket, sorted: logs, the end of a recording, an answer, or something else.
//! It knows JSON-RPC and nothing of pools. A frame may be one object or a batch.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::log::Log;

/// The notification with which a feed that replays a recording says that it is over. Real nodes know no such method.
pub const END_OF_RECORDING: &str = "recording_end";

/// What one JSON-RPC object of a frame is to the adapter.
#[derive(Debug)]
pub enum Item {
    /// A log of our subscription.
    Log(Box<Log>),
    /// The recording is over.
    EndOfRecording,
    /// The answer to a request of ours.
    Answer(Answer),
    /// Well-formed JSON-RPC that is none of these: other subscriptions, other methods.
    Other,
    /// Not what it claims to be; what stands there instead.
    Malformed(Malformed),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's number.
    pub id: u64,
    /// The result as JSON text, or the node's error as it wrote it.
    pub result: Result<String, String>,
}

/// Why a frame, or an object in it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Cut off in the middle.
    #[error("truncated JSON")]
    Truncated,
    /// No JSON, or none that is an object or a batch of objects.
    #[error("not JSON-RPC")]
    NotJsonRpc,
    /// An `eth_subscription` whose result should be a log and is not one.
    #[error("a log with a field that cannot be read")]
    Log,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

/// Sorts a frame's objects; a frame that is not JSON yields one [`Item::Malformed`].
pub fn items(text: &str) -> Vec<Item> {
    if text.trim_start().starts_with('[') {
        return match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(objects) => objects
                .into_iter()
                .map(|object| item(object.get()))
                .collect(),
            Err(error) => vec![Item::Malformed(cause(&error))],
        };
    }
    vec![item(text)]
}

/// The request for every log whose first topic is one of `topics`.
pub fn subscribe(id: u64, topics: &[alloy_primitives::B256]) -> String {
    let filter = serde_json::json!({ "topics": [topics] });
    serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "eth_subscribe", "params": ["logs", filter] }).to_string()
}

/// The notification that carries `log` to `subscription`, in the shape of a live node.
pub fn notification(subscription: &str, log: &Log) -> String {
    #[derive(Serialize)]
    struct Notification<'a> {
        jsonrpc: &'a str,
        method: &'a str,
        params: Result_<'a>,
    }
    #[derive(Serialize)]
    struct Result_<'a> {
        subscription: &'a str,
        result: &'a Log,
    }
    let params = Result_ {
        subscription,
        result: log,
    };
    serde_json::to_string(&Notification {
        jsonrpc: "2.0",
        method: "eth_subscription",
        params,
    })
    .expect("a log is strings and numbers: JSON can say it")
}

/// The notification that ends a recording.
pub fn end_of_recording(subscription: &str) -> String {
    serde_json::json!({ "jsonrpc": "2.0", "method": END_OF_RECORDING, "params": { "subscription": subscription, "result": null } })
        .to_string()
}

fn item(text: &str) -> Item {
    let envelope = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope,
        Err(error) => return Item::Malformed(cause(&error)),
    };
    match (envelope.method.as_deref(), envelope.id) {
        (Some("eth_subscription"), _) => log(envelope.params),
        (Some(END_OF_RECORDING), _) => Item::EndOfRecording,
        (Some(_), _) => Item::Other,
        (None, Some(id)) => answer(id, envelope.result, envelope.error),
        (None, None) => Item::Malformed(Malformed::NotJsonRpc),
    }
}

fn log(params: Option<&RawValue>) -> Item {
    let Some(params) =
        params.and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok())
    else {
        return Item::Malformed(Malformed::Log);
    };
    match serde_json::from_str(params.result.get()) {
        Ok(log) => Item::Log(Box::new(log)),
        Err(_) if is_another_subscription(params.result) => Item::Other,
        Err(_) => Item::Malformed(Malformed::Log),
    }
}

/// New heads and pending transactions come under the same method; neither has `topics`.
fn is_another_subscription(result: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Marker<'a> {
        #[serde(borrow)]
        topics: Option<&'a RawValue>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    match serde_json::from_str::<Marker<'_>>(result.get()) {
        Ok(marker) => marker.topics.is_none() && marker.data.is_none(),
        Err(_) => result.get().starts_with('"'),
    }
}

fn answer(id: u64, result: Option<&RawValue>, error: Option<&RawValue>) -> Item {
    let result = match (result, error) {
        (_, Some(error)) => Err(error.get().to_owned()),
        (Some(result), None) => Ok(result.get().to_owned()),
        (None, None) => return Item::Malformed(Malformed::NotJsonRpc),
    };
    Item::Answer(Answer { id, result })
}

fn cause(error: &serde_json::Error) -> Malformed {
    if error.is_eof() {
        Malformed::Truncated
    } else {
        Malformed::NotJsonRpc
    }
}

#[cfg(test)]
mod tests;
