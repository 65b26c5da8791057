//! A connection from a program that does not speak our protocol: no hello, no acks, no heartbeats. Who the producer is nobody
//! says, so each connection is one, and its messages are counted as they come.

use std::sync::Arc;
use std::time::Duration;

use crate::error::SourceError;
use crate::foreign::{Framing, Inward};
use crate::frame::{Assembler, ProducerId};
use crate::life::frame_time;
use crate::transport::Wire;

use super::super::inbox::{Connection, Item};
use super::super::stream::{self, End, Intake, Limits};
use super::{Ends, Hall, Place};

/// Reads one connection until it ends.
pub(super) async fn serve(hall: Arc<Hall>, wire: Arc<dyn Wire>) {
    let settings = Arc::clone(&hall.settings);
    let peer = wire
        .peer()
        .map_or_else(|| "a peer".to_owned(), |peer| format!("peer {peer}"));
    let most = settings.max_connections as usize;
    let Some(_welcomed) = Place::take(&hall, most, |hall| &hall.welcomed) else {
        tracing::warn!(
            service = &*settings.service,
            peer,
            most,
            "connection dropped (max_connections)"
        );
        return;
    };
    let preamble = match settings.preamble.resolve() {
        Ok(preamble) => preamble,
        Err(error) => return hall.complain(&peer, &format!("was sent away: {error}")),
    };
    let id = hall.inbox.number();
    let producer = ProducerId {
        id: u128::from(id),
        epoch: 0,
    };
    // What we would say of ourselves it would not understand.
    let connection = Connection::new(id, producer, 1, false, false, None, Arc::default());
    let _ends = Ends(Arc::clone(&connection));
    if !hall.inbox.admits(&connection) {
        return;
    }
    let longest = settings.max_frame_bytes as usize;
    let intake = Intake {
        assembler: Assembler::new(settings.frame_limit()),
        foreign: Some(Inward::new(settings.framing, longest, preamble)),
    };
    let limits = Limits {
        heartbeat: settings.heartbeat(),
        peer_heartbeat: Duration::ZERO,
        frame_time: frame_time(settings.frame_limit()),
    };
    let clock = &*settings.surroundings.clock;
    match stream::read_all(
        &hall.inbox,
        &connection,
        &*wire,
        clock,
        intake,
        &limits,
        |_| {},
    )
    .await
    {
        End::Nonsense(error) => hall.complain(&peer, &format!("sent what is no message: {error}")),
        End::Torn(time) => {
            let time = format!("began a message that was not whole within {time:?} (framing)");
            hall.complain(&peer, &time);
        }
        End::Midway => hall.complain(&peer, ended_midway(settings.framing)),
        End::Closed(_) | End::Silent => {}
    }
}

fn ended_midway(framing: Framing) -> &'static str {
    match framing {
        Framing::Lines => "left within a line: a message ends with a line break (framing)",
        _ => "left within a message, which is lost",
    }
}

impl Hall {
    /// A foreign peer lost us a message: unlike one of ours it will not send it again, and no number tells.
    fn complain(&self, peer: &str, reason: &str) {
        let service = &self.settings.service;
        tracing::warn!(service = &**service, peer, reason, "connection ended");
        self.inbox.push(Item::Error(SourceError::Peer {
            service: Arc::clone(service),
            peer: Arc::from(peer),
            reason: Arc::from(reason),
        }));
    }
}
