//! A consumer: takes what its source hands up and keeps the books, until the end marker.

use std::time::Duration;

use sink_runtime::{Source, SourceError};
use sinks::{PoolEvent, Sources};

use crate::account::{Account, Next};
use crate::stop::Stop;

/// How long the end marker may take to come once a stop is wished for.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Receives from the relay until the end marker, or a while after a stop was wished for.
pub(crate) async fn run(mut account: Account, stop: Stop) -> Account {
    let mut source = Sources::market_data_relay();
    let stopped = async {
        stop.wished().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = receive(&mut source, &mut account) => {}
        () = stopped => {}
    }
    let ledger = source.ledger();
    account.duplicates_removed = ledger.duplicates;
    account
}

async fn receive(source: &mut Source<PoolEvent>, account: &mut Account) {
    while let Some(next) = source.recv().await {
        match next {
            Ok(delivery) => {
                account.lost += delivery.gap().map_or(0, |gap| gap.lost());
                if account.take(&delivery, delivery.sequence()) == Next::End {
                    return;
                }
            }
            Err(SourceError::Gap(gap)) => account.lost += gap.lost(),
            Err(error @ (SourceError::Decode { .. } | SourceError::Mismatch { .. })) => {
                account.trouble(error.to_string())
            }
            Err(error) => return account.trouble(error.to_string()),
        }
    }
}
