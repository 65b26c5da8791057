//! The connection to a node, as a client: subscribes to logs, and comes back whenever it is cut off.
//! This is about what comes in; where events go is the sink's business.

use std::collections::VecDeque;
use std::time::Duration;

use alloy_primitives::B256;
use futures_util::{SinkExt, StreamExt};
use sinks::polygon::frame::{self, Answer, Item};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// First and longest wait between two attempts; each is waited for between half and whole.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// An attempt to connect and subscribe lasts at most so long.
const ATTEMPT: Duration = Duration::from_secs(5);
/// A connection is asked whether it is there after so long a silence, and given up after three of them.
const SILENCE: Duration = Duration::from_secs(15);
/// No frame of a node is larger: providers cut batches at a few megabytes.
const MAX_FRAME_BYTES: usize = 16 << 20;

/// A node to listen to. Nothing is connected before the first [`next`](Self::next).
#[derive(Debug)]
pub(crate) struct Node {
    url: String,
    topics: Vec<B256>,
    link: Option<Link>,
    read: VecDeque<Item>,
    failures: u32,
    /// Connections made so far.
    pub(crate) connections: u64,
}

/// A URL that no attempt can make work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not ws://host:port")]
pub(crate) struct BadUrl(String);

type Link = WebSocketStream<MaybeTlsStream<TcpStream>>;

// === impl Node ===

impl Node {
    /// A node at `url`, to be asked for logs with one of `topics` as their first.
    pub(crate) fn new(url: &str, topics: &[B256]) -> Result<Self, BadUrl> {
        if !url.starts_with("ws://") {
            return Err(BadUrl(url.to_owned()));
        }
        let topics = topics.to_vec();
        Ok(Self {
            url: url.to_owned(),
            topics,
            link: None,
            read: VecDeque::new(),
            failures: 0,
            connections: 0,
        })
    }

    /// The next thing the node says, connecting as often as it takes. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.read.pop_front() {
                return item;
            }
            let Some(link) = &mut self.link else {
                self.connect().await;
                continue;
            };
            match read(link).await {
                Ok(text) => self.take(&text),
                Err(error) => self.cut_off(&error),
            }
        }
    }

    /// Says goodbye, and waits for the node to say it too.
    pub(crate) async fn close(mut self) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let goodbye = async {
            link.close(None).await?;
            while link.next().await.is_some_and(|said| said.is_ok()) {}
            Ok::<_, tungstenite::Error>(())
        };
        let _ = timeout(ATTEMPT, goodbye).await;
    }

    fn take(&mut self, text: &str) {
        for item in frame::items(text) {
            match item {
                Item::Answer(Answer { result: Ok(_), .. }) => self.failures = 0,
                Item::Answer(Answer {
                    result: Err(refusal),
                    ..
                }) => {
                    self.failures = self.failures.max(16);
                    self.cut_off(&format_args!("subscription refused: {refusal}"));
                }
                item => self.read.push_back(item),
            }
        }
    }

    async fn connect(&mut self) {
        if self.failures > 0 {
            sleep(self.backoff()).await;
        }
        let attempt = async {
            let limits = WebSocketConfig::default()
                .max_message_size(Some(MAX_FRAME_BYTES))
                .max_frame_size(Some(MAX_FRAME_BYTES));
            let (mut link, _) =
                tokio_tungstenite::connect_async_with_config(&self.url, Some(limits), true).await?;
            link.send(Message::text(frame::subscribe(1, &self.topics)))
                .await?;
            Ok::<_, tungstenite::Error>(link)
        };
        match timeout(ATTEMPT, attempt).await {
            Ok(Ok(link)) => {
                self.link = Some(link);
                self.connections += 1;
            }
            Ok(Err(error)) => self.cut_off(&error),
            Err(_) => self.cut_off(&format_args!("no answer within {ATTEMPT:?}")),
        }
    }

    fn cut_off(&mut self, cause: &dyn std::fmt::Display) {
        self.link = None;
        // Said once per outage, not once per attempt.
        if self.failures == 0 || self.failures == 16 {
            eprintln!("node {}: {cause}; trying again", self.url);
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// Doubles per failure; spread by the clock's last digits, so that many clients do not come at once.
    fn backoff(&self) -> Duration {
        let (first, longest) = BACKOFF;
        let whole = longest.min(first * 2u32.saturating_pow(self.failures.min(16) - 1));
        let spread = f64::from(clock_nanos() % 1_000) / 1_000.0;
        whole.mul_f64(0.5 + spread / 2.0)
    }
}

/// The next text frame of a connection that is asked for a sign of life when it is silent.
async fn read(link: &mut Link) -> Result<tungstenite::Utf8Bytes, tungstenite::Error> {
    let mut last_sign = Instant::now();
    loop {
        match timeout(SILENCE, link.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => return Ok(text),
            Ok(Some(Ok(Message::Close(_))) | None) => {
                return Err(tungstenite::Error::ConnectionClosed);
            }
            Ok(Some(Ok(_))) => last_sign = Instant::now(),
            Ok(Some(Err(error))) => return Err(error),
            Err(_) if last_sign.elapsed() > 3 * SILENCE => {
                return Err(tungstenite::Error::ConnectionClosed);
            }
            Err(_) => link.send(Message::Ping(Vec::new().into())).await?,
        }
    }
}

fn clock_nanos() -> u32 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos())
}

#[cfg(test)]
mod tests;
