//! One part as a process of its own. They find each other by the registry and by the feed's address, in any order.

use std::error::Error;

use sink_relay::Relay;
use sinks::Sinks;
use sinks::polygon::decode::SIGNATURES;
use sinks::polygon::expect::Comparison;

use crate::account::Account;
use crate::args::{Args, Role};
use crate::feed::Feed;
use crate::input::Input;
use crate::node::Node;
use crate::progress::Progress;
use crate::report::Report;
use crate::stop::Stop;
use crate::{REGISTRY, adapter, consumer};

/// Runs `role` to its end; answers whether it has all it should have.
pub(crate) async fn run(role: Role, args: &Args, stop: Stop) -> Result<bool, Box<dyn Error>> {
    match role {
        Role::Feed => feed(args, stop).await,
        Role::Relay => relay(stop).await,
        Role::Adapter => adapter(args, stop).await,
        Role::Consumer => consumer(args, stop).await,
    }
}

async fn feed(args: &Args, stop: Stop) -> Result<bool, Box<dyn Error>> {
    let Input { name, recording } = Input::open(args)?;
    let feed = Feed::bind(&args.listen, recording, args.speed).await?;
    println!("feed: {name} at {}", feed.url()?);
    let progress = Progress::of(feed.len());
    let played = tokio::select! {
        played = feed.play(&progress) => played?,
        () = stop.wished() => return Ok(false),
    };
    progress.done();
    println!(
        "feed: sent {}, filtered {}, subscribers {}",
        played.sent, played.filtered, played.subscribers
    );
    Ok(true)
}

async fn relay(stop: Stop) -> Result<bool, Box<dyn Error>> {
    let relay = Relay::from_registry(REGISTRY)?.start().await?;
    for local in relay.local_endpoints() {
        println!(
            "relay: serving {} at {}",
            local.services.join(", "),
            local.endpoint
        );
    }
    relay.serve(stop.wished()).await;
    println!("relay: done");
    Ok(true)
}

async fn adapter(args: &Args, stop: Stop) -> Result<bool, Box<dyn Error>> {
    Sinks::check()?;
    let url = args
        .feed
        .as_deref()
        .ok_or("an adapter of its own needs --feed ws://host:port")?;
    let node = Node::new(url, &SIGNATURES)?;
    let intake = tokio::spawn(adapter::run(node, args.known_pools(), stop)).await?;
    println!(
        "adapter: sent {}, unsent {}, connections {}",
        intake.sent, intake.unsent, intake.connections
    );
    for (cause, count) in intake.left() {
        println!("adapter: left out, {cause}: {count}");
    }
    if let Some(because) = &intake.unsent_because {
        println!("adapter: unsent because {because}");
    }
    Ok(intake.unsent == 0)
}

async fn consumer(args: &Args, stop: Stop) -> Result<bool, Box<dyn Error>> {
    Sinks::check()?;
    let comparison = args.expect.as_deref().map(Comparison::open).transpose()?;
    let account = Account::new("consumer")
        .with_comparison(comparison)
        .with_out(args.out.as_deref())?;
    let mut account = tokio::spawn(consumer::run(account, stop.clone())).await?;
    account.finish()?;
    let accounts = [account];
    let (pools, interrupted) = (args.known_pools(), stop.is_wished());
    let input = "One consumer of the relay";
    let report = Report {
        input,
        intake: None,
        accounts: &accounts,
        pools: &pools,
        interrupted,
    };
    println!("{report}");
    let [account] = &accounts;
    let sent = account
        .sent
        .map_or("unknown".to_owned(), |sent| sent.to_string());
    println!(
        "consumer: sent {sent}, received {}, lost {}, missing {}, duplicated {}",
        account.received,
        account.lost,
        account.missing(),
        account.duplicated
    );
    Ok(report.is_complete())
}
