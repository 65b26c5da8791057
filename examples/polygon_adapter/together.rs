//! Everything in one process: feed, relay, adapter and two consumers, from the first event to the table.

use std::error::Error;
use std::time::Duration;

use sink_relay::Relay;
use sinks::Sinks;
use sinks::polygon::decode::SIGNATURES;
use sinks::polygon::expect::Comparison;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::account::Account;
use crate::args::Args;
use crate::feed::Feed;
use crate::input::Input;
use crate::node::Node;
use crate::progress::Progress;
use crate::report::Report;
use crate::stop::Stop;
use crate::{REGISTRY, adapter, consumer};

/// How long the consumers may take for what is on its way once the adapter is done.
const LAST_MESSAGES: Duration = Duration::from_secs(30);

/// Runs it and prints the table; answers whether every consumer has everything.
pub(crate) async fn run(args: &Args, stop: Stop) -> Result<bool, Box<dyn Error>> {
    Sinks::check()?;
    let comparison = args.expect.as_deref().map(Comparison::open).transpose()?;
    let pools = args.known_pools();
    let (input, url) = match &args.feed {
        Some(url) => (format!("Node {url}"), url.clone()),
        None => play(args).await?,
    };
    let node = Node::new(&url, &SIGNATURES)?;

    let relay = Relay::from_registry(REGISTRY)?.start().await?;
    let mut consumers = Vec::new();
    for (name, out) in [("consumer 1", args.out.as_deref()), ("consumer 2", None)] {
        let account = Account::new(name)
            .with_comparison(comparison.clone())
            .with_out(out)?;
        consumers.push(tokio::spawn(consumer::run(account, stop.clone())));
    }
    // Spawned, as the consumers are: the main future is not one of the runtime's workers, and each message would pay for it.
    let intake = tokio::spawn(adapter::run(node, pools.clone(), stop.clone())).await?;
    let accounts = timeout(LAST_MESSAGES, books(consumers))
        .await
        .map_err(|_| {
            format!("no end marker at the consumers within {LAST_MESSAGES:?} of the adapter's end")
        })??;
    relay.shut_down().await;

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

async fn books(consumers: Vec<JoinHandle<Account>>) -> Result<Vec<Account>, Box<dyn Error>> {
    let mut accounts = Vec::new();
    for consumer in consumers {
        let mut account = consumer.await?;
        account.finish()?;
        accounts.push(account);
    }
    Ok(accounts)
}
