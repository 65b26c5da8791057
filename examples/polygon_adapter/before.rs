//! The same adapter as one writes it by hand, before there are sinks: it connects eagerly, frames, retries and gives up itself.
//!
//! Read it beside `adapter.rs`: everything above `// === the adapter ===` here is what the library takes over, and it
//! still has no numbers, acks, retention or gaps. What the example is about otherwise is the same files.
//!
//! `cargo run --example polygon_adapter_before` prints the same table. It needs its relay first:
//! with `--role adapter` and no relay at 127.0.0.1:9100 it exits.

mod account;
mod args;
mod feed;
mod input;
mod intake;
mod latency;
mod node;
mod progress;
mod report;
mod rows;
mod stop;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sinks::PoolEvent;
use sinks::polygon::decode::{SIGNATURES, decode};
use sinks::polygon::expect::Comparison;
use sinks::polygon::frame::Item;
use sinks::polygon::pools::Pools;
use sinks::pool_event::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::sleep;

use account::{Account, Next, now_ns};
use args::{Args, Role};
use feed::Feed;
use input::Input;
use intake::Intake;
use node::Node;
use progress::Progress;
use report::Report;
use stop::Stop;

// === the plumbing ===

/// Where the relay is, in the code of whoever talks to it.
const RELAY: &str = "127.0.0.1:9100";
const CONNECT_ATTEMPTS: u32 = 5;
const SEND_ATTEMPTS: u32 = 3;
const RETRY_DELAY: Duration = Duration::from_millis(200);
const MAX_FRAME_BYTES: u32 = 1 << 20;
/// A consumer that is further behind loses messages.
const BROADCAST_MESSAGES: usize = 65_536;
/// The first byte of a connection says which end it is.
const PRODUCER: u8 = b'P';
const CONSUMER: u8 = b'C';

/// A connection to the relay that is there, or the program is not.
struct Wire {
    address: String,
    stream: TcpStream,
}

impl Wire {
    async fn connect(address: &str) -> io::Result<Self> {
        let stream = dial(address, PRODUCER).await?;
        Ok(Self {
            address: address.to_owned(),
            stream,
        })
    }

    /// Writes a frame; after an error it connects again and hopes that the relay did not have it already.
    async fn send(&mut self, event: &PoolEvent) -> io::Result<()> {
        let payload = postcard::to_stdvec(event).map_err(io::Error::other)?;
        let mut frame = u32::try_from(payload.len())
            .map_err(io::Error::other)?
            .to_be_bytes()
            .to_vec();
        frame.extend(payload);
        let mut attempt = 0;
        while let Err(error) = self.stream.write_all(&frame).await {
            attempt += 1;
            if attempt == SEND_ATTEMPTS {
                return Err(error);
            }
            eprintln!("relay: {error}; connecting again");
            self.stream = dial(&self.address, PRODUCER).await?;
        }
        Ok(())
    }
}

async fn dial(address: &str, end: u8) -> io::Result<TcpStream> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match TcpStream::connect(address).await {
            Ok(mut stream) => {
                stream.set_nodelay(true)?;
                stream.write_all(&[end]).await?;
                return Ok(stream);
            }
            Err(error) if attempt == CONNECT_ATTEMPTS => {
                return Err(io::Error::other(format!(
                    "relay at {address}: {error}, {attempt} attempts"
                )));
            }
            Err(_) => sleep(RETRY_DELAY * attempt).await,
        }
    }
}

async fn read_frame(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::other(format!("frame of {length} bytes")));
    }
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Hands every producer's frames to every consumer that is there at that moment.
async fn relay(listener: TcpListener) -> io::Result<()> {
    let (frames, _) = broadcast::channel::<Vec<u8>>(BROADCAST_MESSAGES);
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let frames = frames.clone();
        match stream.read_u8().await {
            Ok(PRODUCER) => drop(tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Ok(frame) = read_frame(&mut stream).await {
                    let _ = frames.send(frame);
                }
            })),
            // Subscribed before the next connection is accepted: what that one sends is not missed.
            Ok(CONSUMER) => drop(tokio::spawn(forward(stream, frames.subscribe()))),
            _ => {}
        }
    }
}

async fn forward(
    mut stream: TcpStream,
    mut frames: broadcast::Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        match frames.recv().await {
            Ok(frame) => {
                stream
                    .write_u32(u32::try_from(frame.len()).map_err(io::Error::other)?)
                    .await?;
                stream.write_all(&frame).await?;
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => {
                eprintln!("relay: a consumer lost {lost}")
            }
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

// === the adapter ===

async fn adapter(relay: String, mut node: Node, pools: Pools, stop: Stop) -> io::Result<Intake> {
    let mut wire = Wire::connect(&relay).await?;
    let mut intake = Intake::default();
    loop {
        let item = tokio::select! {
            item = node.next() => item,
            () = stop.wished() => break,
        };
        match item {
            Item::Log(log) => match decode(&log, &pools) {
                Ok(log) => {
                    wire.send(&PoolEvent {
                        sent_at_ns: now_ns(),
                        body: Body::Log(log),
                    })
                    .await?;
                    intake.sent += 1;
                }
                Err(why) => intake.refused(&why),
            },
            Item::EndOfRecording => break,
            Item::Malformed(why) => intake.malformed(&why),
            Item::Answer(_) | Item::Other => intake.other(),
        }
    }
    wire.send(&PoolEvent {
        sent_at_ns: now_ns(),
        body: Body::End { logs: intake.sent },
    })
    .await?;
    wire.stream.shutdown().await?;
    intake.connections = node.connections;
    node.close().await;
    Ok(intake)
}

// === the consumer ===

async fn consumer(stream: TcpStream, mut account: Account) -> Account {
    let mut stream = BufReader::new(stream);
    for sequence in 1.. {
        let event = match read_frame(&mut stream).await {
            Ok(frame) => postcard::from_bytes::<PoolEvent>(&frame),
            Err(error) => {
                account.trouble(format!("relay: {error}"));
                break;
            }
        };
        match event {
            Ok(event) if account.take(&event, sequence) == Next::End => break,
            Ok(_) => {}
            Err(error) => account.trouble(format!("not an event: {error}")),
        }
    }
    account
}

// === all of it ===

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<bool, Box<dyn Error>> {
    let stop = stop::on_signal();
    match args.role {
        None => together(&args, stop).await,
        Some(Role::Adapter) => {
            let url = args
                .feed
                .as_deref()
                .ok_or("an adapter of its own needs --feed ws://host:port")?;
            let intake = adapter(
                RELAY.to_owned(),
                Node::new(url, &SIGNATURES)?,
                args.known_pools(),
                stop,
            )
            .await?;
            println!("sent {}", intake.sent);
            Ok(true)
        }
        Some(_) => Err("by hand, only the adapter runs on its own".into()),
    }
}

async fn together(args: &Args, stop: Stop) -> Result<bool, Box<dyn Error>> {
    let comparison = args.expect.as_deref().map(Comparison::open).transpose()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let relay_address = listener.local_addr()?.to_string();
    tokio::spawn(relay(listener));

    // The consumers first: what a relay without retention is given before they are there is gone.
    let mut consumers = Vec::new();
    for (name, out) in [("consumer 1", args.out.as_deref()), ("consumer 2", None)] {
        let account = Account::new(name)
            .with_comparison(comparison.clone())
            .with_out(out)?;
        consumers.push(tokio::spawn(consumer(
            dial(&relay_address, CONSUMER).await?,
            account,
        )));
    }

    let (input, url) = match &args.feed {
        Some(url) => (format!("Node {url}"), url.clone()),
        None => play(args).await?,
    };
    let node = Node::new(&url, &SIGNATURES)?;
    let intake = tokio::spawn(adapter(
        relay_address,
        node,
        args.known_pools(),
        stop.clone(),
    ))
    .await??;

    let mut accounts = Vec::new();
    for consumer in consumers {
        let mut account = consumer.await?;
        account.finish()?;
        accounts.push(account);
    }
    let pools = args.known_pools();
    let interrupted = stop.is_wished();
    let report = Report {
        input: &input,
        intake: Some(&intake),
        accounts: &accounts,
        pools: &pools,
        interrupted,
    };
    println!("{report}");
    Ok(report.is_complete())
}

/// Plays the recording to whoever subscribes; says what it is and where.
async fn play(args: &Args) -> Result<(String, String), Box<dyn Error>> {
    let input = Input::open(args)?;
    let feed = Feed::bind(&args.listen, input.recording, args.speed).await?;
    let url = feed.url()?;
    tokio::spawn(async move {
        let progress = Progress::of(feed.len());
        let played = feed.play(&progress).await;
        progress.done();
        played
    });
    Ok((input.name, url))
}
