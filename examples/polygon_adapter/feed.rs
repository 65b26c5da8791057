//! A node that plays a recording: JSON-RPC over a real WebSocket, `eth_subscribe` to logs, filter honoured.
//! It plays its recording once; a subscriber that comes back is carried on where it was left.

use std::io;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use sinks::polygon::frame;
use sinks::polygon::log::Log;
use sinks::polygon::recording::{Entry, Recording};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::args::Speed;
use crate::progress::Progress;

/// A client that says nothing for so long is hung up on, so that the next one gets its turn.
const HELLO: Duration = Duration::from_secs(10);
/// How long the last frames may take to be read before the feed goes.
const FAREWELL: Duration = Duration::from_secs(10);
/// Entries written before they are flushed at full speed, and between two looks at what the client says.
const BATCH: usize = 64;

/// The name of the one subscription; nodes pick random ones.
const SUBSCRIPTION: &str = "0x5eed";

type ToClient = SplitSink<WebSocketStream<TcpStream>, Message>;
type FromClient = SplitStream<WebSocketStream<TcpStream>>;

/// A node with a recording to play.
#[derive(Debug)]
pub(crate) struct Feed {
    listener: TcpListener,
    recording: Recording,
    speed: Speed,
    next: usize,
    clock: Option<Clock>,
    played: Played,
}

/// What a feed did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Played {
    /// Notifications and raw frames sent.
    pub(crate) sent: u64,
    /// Logs that the subscriber did not ask for.
    pub(crate) filtered: u64,
    /// Subscriptions served.
    pub(crate) subscribers: u64,
}

/// When the recording began, there and here.
#[derive(Clone, Copy, Debug)]
struct Clock {
    there: u64,
    here: Instant,
}

/// How a subscriber was left.
#[derive(Debug)]
enum Left {
    /// With everything.
    Done,
    /// Before the end.
    Early,
}

/// What a subscriber asked for.
#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    address: Option<OneOrMany<Address>>,
    #[serde(default)]
    topics: Vec<Option<OneOrMany<B256>>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

#[derive(Deserialize)]
struct Request {
    id: u64,
    method: String,
    #[serde(default)]
    params: serde_json::Value,
}

// === impl Feed ===

impl Feed {
    /// Listens at `address`; port 0 takes a free one.
    pub(crate) async fn bind(
        address: &str,
        recording: Recording,
        speed: Speed,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            recording,
            speed,
            next: 0,
            clock: None,
            played: Played::default(),
        })
    }

    /// What a client connects to.
    pub(crate) fn url(&self) -> io::Result<String> {
        Ok(format!("ws://{}", self.listener.local_addr()?))
    }

    /// How much there is to play.
    pub(crate) fn len(&self) -> usize {
        self.recording.entries.len()
    }

    /// Waits for a subscriber and plays the recording to it, and to those after it if it leaves early. One at a time.
    pub(crate) async fn play(mut self, progress: &Progress) -> io::Result<Played> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            // A client that fails costs itself; the next one is served.
            if let Ok(Left::Done) = self.serve(stream, progress).await {
                return Ok(self.played);
            }
        }
    }

    async fn serve(
        &mut self,
        stream: TcpStream,
        progress: &Progress,
    ) -> Result<Left, tungstenite::Error> {
        stream.set_nodelay(true)?;
        let subscribed = timeout(HELLO, async {
            let mut client = tokio_tungstenite::accept_async(stream).await?;
            let filter = subscription(&mut client).await?;
            Ok::<_, tungstenite::Error>(filter.map(|filter| (client, filter)))
        });
        let Ok(Some((client, filter))) = subscribed.await.unwrap_or(Ok(None)) else {
            return Ok(Left::Early);
        };
        self.played.subscribers += 1;
        let (mut to_client, mut from_client) = client.split();
        while self.next < self.recording.entries.len() {
            tokio::select! {
                biased;
                said = from_client.next() => if is_over(said)? {
                    // What it was given counts as played, so it must have it.
                    timeout(FAREWELL, to_client.flush()).await.unwrap_or(Ok(()))?;
                    return Ok(Left::Early);
                },
                played = self.play_batch(&mut to_client, &filter) => {
                    played?;
                    progress.at(self.next);
                }
            }
        }
        farewell(to_client, from_client).await?;
        Ok(Left::Done)
    }

    /// Plays entries that are due, or waits until the next one is. Cancel-safe: `next` moves only past what the client was given.
    async fn play_batch(
        &mut self,
        client: &mut ToClient,
        filter: &Filter,
    ) -> Result<(), tungstenite::Error> {
        for _ in 0..BATCH {
            let Some(entry) = self.recording.entries.get(self.next) else {
                break;
            };
            if let Some(due) = due(&mut self.clock, self.speed, entry)
                && due > Instant::now()
            {
                client.flush().await?;
                sleep_until(due).await;
                return Ok(());
            }
            match entry {
                Entry::Log(log) if !filter.wants(log) => self.played.filtered += 1,
                Entry::Log(log) => {
                    client
                        .feed(Message::text(frame::notification(SUBSCRIPTION, log)))
                        .await?;
                    self.played.sent += 1;
                }
                Entry::Frame(text) => {
                    client.feed(Message::text(text.as_str())).await?;
                    self.played.sent += 1;
                }
            }
            self.next += 1;
        }
        client.flush().await
    }
}

/// When `entry` is due, if it is paced and tells its time.
fn due(clock: &mut Option<Clock>, speed: Speed, entry: &Entry) -> Option<Instant> {
    let (
        Speed::Times(times),
        Entry::Log(Log {
            block_timestamp: Some(at),
            ..
        }),
    ) = (speed, entry)
    else {
        return None;
    };
    let clock = clock.get_or_insert_with(|| Clock {
        there: *at,
        here: Instant::now(),
    });
    let since = Duration::from_secs(at.saturating_sub(clock.there));
    Some(clock.here + since.div_f64(times))
}

/// Answers requests until one subscribes to logs; `None` if the client goes before that.
async fn subscription(
    client: &mut WebSocketStream<TcpStream>,
) -> Result<Option<Filter>, tungstenite::Error> {
    while let Some(message) = client.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        let Ok(request) = serde_json::from_str::<Request>(&text) else {
            client
                .send(Message::text(refusal(
                    None,
                    -32700,
                    "not a JSON-RPC request",
                )))
                .await?;
            continue;
        };
        if request.method != "eth_subscribe" {
            client
                .send(Message::text(refusal(
                    Some(request.id),
                    -32601,
                    "a feed knows eth_subscribe only",
                )))
                .await?;
            continue;
        }
        match logs_filter(request.params) {
            Some(filter) => {
                let answer = serde_json::json!({ "jsonrpc": "2.0", "id": request.id, "result": SUBSCRIPTION });
                client.send(Message::text(answer.to_string())).await?;
                return Ok(Some(filter));
            }
            None => {
                let answer = refusal(
                    Some(request.id),
                    -32602,
                    "a feed has `logs`, with a filter by address and topics",
                );
                client.send(Message::text(answer)).await?;
            }
        }
    }
    Ok(None)
}

fn logs_filter(params: serde_json::Value) -> Option<Filter> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Params {
        Filtered((String, Filter)),
        All((String,)),
    }
    match serde_json::from_value(params).ok()? {
        Params::Filtered((what, filter)) if what == "logs" => Some(filter),
        Params::All((what,)) if what == "logs" => Some(Filter::default()),
        _ => None,
    }
}

fn refusal(id: Option<u64>, code: i32, message: &str) -> String {
    serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        .to_string()
}

/// Whether what the client said ends it. Pings are answered by the socket itself.
fn is_over(said: Option<Result<Message, tungstenite::Error>>) -> Result<bool, tungstenite::Error> {
    match said.transpose()? {
        None | Some(Message::Close(_)) => Ok(true),
        Some(Message::Text(text)) => Ok(text.contains("eth_unsubscribe")),
        Some(_) => Ok(false),
    }
}

/// Says that the recording is over, and stays until the client has read so far.
async fn farewell(
    mut to_client: ToClient,
    mut from_client: FromClient,
) -> Result<(), tungstenite::Error> {
    to_client
        .send(Message::text(frame::end_of_recording(SUBSCRIPTION)))
        .await?;
    // Reading to the end of the stream answers the client's goodbye.
    let gone = async {
        while from_client.next().await.transpose()?.is_some() {}
        Ok(())
    };
    timeout(FAREWELL, gone).await.unwrap_or(Ok(()))
}

// === impl Filter ===

impl Filter {
    fn wants(&self, log: &Log) -> bool {
        let address = self
            .address
            .as_ref()
            .is_none_or(|address| address.has(&log.address));
        let mut topics = self.topics.iter().enumerate();
        address
            && topics.all(|(at, wanted)| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| log.topics.get(at).is_some_and(|topic| wanted.has(topic)))
            })
    }
}

impl<T: PartialEq> OneOrMany<T> {
    fn has(&self, value: &T) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(many) => many.contains(value),
        }
    }
}

#[cfg(test)]
mod tests;
