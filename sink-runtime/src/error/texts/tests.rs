use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{
    ConnectError, DecodeError, EncodeError, Outcome, RegistryError, SendErrorKind, SourceError,
};
use crate::frame::{FrameError, Kind};
use crate::receipt::{DropCause, Level, Lost};

const WAITED: Duration = Duration::from_millis(1500);

fn name() -> Arc<str> {
    "a".into()
}

fn system() -> Arc<io::Error> {
    Arc::new(io::Error::other("no such thing"))
}

/// Holds the text of an error, and of its causes one after another, against what is expected.
#[track_caller]
fn says(error: &dyn Error, expected: &[&str]) {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    assert_eq!(texts, expected);
}

fn unreadable() -> Arc<RegistryError> {
    Arc::new(RegistryError::Read {
        registry: "services.toml".into(),
        source: system(),
    })
}

fn refused() -> Arc<ConnectError> {
    Arc::new(ConnectError::Refused {
        service: name(),
        endpoint: "tcp://h:1".into(),
        reason: "not here".into(),
    })
}

#[test]
fn a_send_error_says_what_happened_and_why() {
    let full = |last| SendErrorKind::Full {
        service: name(),
        held_messages: 3,
        buffer_size: 4,
        held_bytes: 50,
        buffer_bytes: 60,
        waited: WAITED,
        last,
    };
    says(
        &full(None),
        &[
            "`a`: buffer full for 1.5s (3 of 4 messages, 50 of 60 bytes; see buffer_size, buffer_bytes, when_full)",
        ],
    );
    says(
        &full(Some(refused())),
        &[
            "`a`: buffer full for 1.5s (3 of 4 messages, 50 of 60 bytes; see buffer_size, buffer_bytes, when_full); last attempt: `a`: tcp://h:1 refused: not here",
        ],
    );
    let service = name();
    says(
        &SendErrorKind::TooLarge {
            service,
            bytes: 9,
            limit: 8,
            key: "max_frame_bytes",
        },
        &["`a`: message of 9 bytes is larger than 8 (max_frame_bytes)"],
    );
    let source = Arc::new(EncodeError::new("json", "too deep"));
    let service = name();
    says(
        &SendErrorKind::Encode { service, source },
        &["`a`: message does not encode", "json: too deep"],
    );
    says(
        &SendErrorKind::Unconfirmed {
            service: name(),
            wanted: Level::Acked,
            waited: WAITED,
            last: Some(refused()),
            outcome: Outcome::Unknown,
        },
        &[
            "`a`: not acked within 1.5s (confirm, send_timeout_ms); last attempt: `a`: tcp://h:1 refused: not here",
        ],
    );
    says(
        &SendErrorKind::Lost {
            service: name(),
            wanted: Level::Acked,
            why: "the connection was lost",
            last: Some(refused()),
            outcome: Outcome::Unknown,
        },
        &[
            "`a`: the connection was lost before the message was acked (confirm); last attempt: `a`: tcp://h:1 refused: not here",
        ],
    );
    says(
        &SendErrorKind::Dropped { service: name() },
        &[
            "`a`: dropped while it waited to be written (when_full, max_age_ms, or the receiver's max_frame_bytes)",
        ],
    );
    says(
        &SendErrorKind::Connect {
            service: name(),
            source: refused(),
        },
        &["`a`: cannot be reached", "`a`: tcp://h:1 refused: not here"],
    );
    says(
        &SendErrorKind::Closed { service: name() },
        &["`a`: sink is closed (connect() opens it again)"],
    );
    says(
        &SendErrorKind::NoRuntime { service: name() },
        &[
            "`a`: no tokio runtime drives this link: none has yet, or it has ended (send or connect from inside a runtime, and keep it running)",
        ],
    );
    says(
        &SendErrorKind::Registry {
            source: unreadable(),
        },
        &["cannot read registry services.toml", "no such thing"],
    );
    says(
        &SendErrorKind::Partial {
            service: name(),
            failed: 1,
            branches: 2,
            first: "it broke".into(),
        },
        &["`a`: 1 of 2 branches did not take the message: it broke"],
    );
    says(
        &SendErrorKind::Other {
            service: name(),
            text: "it broke".into(),
        },
        &["`a`: it broke"],
    );
}

#[test]
fn a_connect_error_says_what_happened_and_why() {
    let endpoint = || Arc::<str>::from("tcp://h:1");
    says(
        &ConnectError::NotThereYet {
            service: name(),
            endpoint: endpoint(),
            attempt: 2,
            source: system(),
        },
        &[
            "`a`: nobody listens on tcp://h:1 yet (attempt 2)",
            "no such thing",
        ],
    );
    let failed = ConnectError::Io {
        service: name(),
        endpoint: endpoint(),
        attempt: 2,
        source: system(),
    };
    // Whoever looks for the system's error finds it as it was stored.
    let cause = failed.source().expect("the system's error");
    assert!(cause.is::<Arc<io::Error>>());
    says(
        &failed,
        &[
            "`a`: cannot connect to tcp://h:1 (attempt 2)",
            "no such thing",
        ],
    );
    says(
        &ConnectError::TimedOut {
            service: name(),
            endpoint: endpoint(),
            waited: WAITED,
        },
        &["`a`: tcp://h:1 did not answer within 1.5s (connect_timeout_ms)"],
    );
    says(
        &ConnectError::Protocol {
            service: name(),
            endpoint: endpoint(),
            reason: "odd".into(),
        },
        &["`a`: tcp://h:1 does not speak the sink protocol: odd"],
    );
    says(
        &ConnectError::Lost {
            service: name(),
            endpoint: endpoint(),
            reason: "odd".into(),
        },
        &["`a`: connection to tcp://h:1 lost: odd"],
    );
    says(
        &ConnectError::GaveUp {
            service: name(),
            attempts: 7,
            last: refused(),
        },
        &[
            "`a`: gave up after 7 attempts (max_attempts)",
            "`a`: tcp://h:1 refused: not here",
        ],
    );
    says(
        &ConnectError::Closed { service: name() },
        &["`a`: sink is closed"],
    );
    says(
        &ConnectError::NoRuntime { service: name() },
        &["`a`: no tokio runtime to connect on"],
    );
    says(
        &ConnectError::Registry {
            source: unreadable(),
        },
        &["cannot read registry services.toml", "no such thing"],
    );
    says(
        &ConnectError::Other {
            service: name(),
            text: "it broke".into(),
        },
        &["`a`: it broke"],
    );
}

#[test]
fn a_source_error_says_what_happened_and_why() {
    says(
        &SourceError::Decode {
            service: name(),
            message: "app::Tick",
            sequence: 5,
            raw: bytes::Bytes::new(),
            source: Arc::new(DecodeError::new("json", "too deep")),
        },
        &[
            "`a`: message 5 does not decode as `app::Tick`",
            "json: too deep",
        ],
    );
    says(
        &SourceError::Mismatch {
            service: name(),
            reason: "odd".into(),
        },
        &["`a`: producer sends another type: odd"],
    );
    says(
        &SourceError::Peer {
            service: name(),
            peer: "peer 127.0.0.1:9".into(),
            reason: "left within a message, which is lost".into(),
        },
        &["`a`: peer 127.0.0.1:9 left within a message, which is lost"],
    );
    says(
        &SourceError::Bind {
            service: name(),
            endpoint: "tcp://h:1".into(),
            source: system(),
        },
        &["`a`: cannot listen on tcp://h:1", "no such thing"],
    );
    says(
        &SourceError::Connect {
            service: name(),
            source: refused(),
        },
        &["`a`: cannot subscribe", "`a`: tcp://h:1 refused: not here"],
    );
    says(
        &SourceError::Registry {
            source: unreadable(),
        },
        &["cannot read registry services.toml", "no such thing"],
    );
    says(
        &SourceError::NoRuntime { service: name() },
        &["`a`: no tokio runtime to receive on"],
    );
    let gap = crate::Gap {
        from: 1,
        to: 3,
        cause: crate::GapCause::Lost,
        producer: None,
    };
    says(&SourceError::Gap(gap), &[&gap.to_string()]);
}

#[test]
fn a_registry_error_says_what_is_wrong() {
    let registry = || Arc::<str>::from("services.toml");
    let unknown = |help| RegistryError::UnknownService {
        service: name(),
        registry: registry(),
        help,
    };
    says(
        &unknown(None),
        &["no service `a` in services.toml; add `[services.a]` there"],
    );
    says(
        &unknown(Some("b".into())),
        &["no service `a` in services.toml; did you mean `b`?"],
    );
    let huge = RegistryError::UnknownService {
        service: "\u{1b}n".repeat(50_000).into(),
        registry: registry(),
        help: None,
    };
    let said = huge.to_string();
    assert!(
        said.starts_with("no service `\\u{1b}n") && said.len() < 600 && !said.contains('\u{1b}'),
        "{said}"
    );
    says(
        &RegistryError::MessageMismatch {
            service: name(),
            registry: registry(),
            registered: "X".into(),
            expected: "Y".into(),
        },
        &[
            "`a` carries `X` in services.toml, the program expects `Y`; change `message` there, or the type that the program uses",
        ],
    );
    says(
        &RegistryError::Invalid {
            registry: registry(),
            count: 2,
            text: "error: it".into(),
        },
        &["2 mistakes in services.toml:\nerror: it"],
    );
    says(
        &RegistryError::Several {
            registry: registry(),
            all: Arc::from([unknown(Some("b".into())), unknown(Some("c".into()))]),
        },
        &["services.toml does not fit the program in 2 places:\n\
           - no service `a` in services.toml; did you mean `b`?\n\
           - no service `a` in services.toml; did you mean `c`?"],
    );
    says(
        &RegistryError::TimedOut { waited: WAITED },
        &["registry did not answer within 1.5s"],
    );
    says(
        &RegistryError::NotAtLeastOnce { service: name() },
        &["`a` does not promise at-least-once delivery (set delivery = \"at_least_once\")"],
    );
    says(
        &RegistryError::Unsupported {
            service: name(),
            text: "it broke".into(),
        },
        &["`a`: it broke"],
    );
}

#[test]
fn what_was_lost_is_said_with_its_number() {
    let (service, sequence) = (name(), 4);
    says(
        &Lost::Unknown { service, sequence },
        &["`a`: what became of message 4 is unknown"],
    );
    says(
        &Lost::Dropped {
            service: name(),
            sequence,
            cause: DropCause::Optional,
        },
        &["`a`: message 4 was dropped (optional branch full)"],
    );
    says(
        &Lost::Unreachable {
            service: name(),
            wanted: Level::Stored,
            highest: Level::Written,
        },
        &[
            "`a`: this sink reaches `written` at most, `stored` was asked for (set `delivery` or `confirm`)",
        ],
    );
    says(
        &Lost::TimedOut {
            service: name(),
            sequence,
            waited: WAITED,
            last: Some("`a`: nobody listens on b yet".into()),
        },
        &[
            "`a`: message 4 was not confirmed within 1.5s; last attempt: `a`: nobody listens on b yet",
        ],
    );
}

#[test]
fn bytes_that_are_no_frame_are_named() {
    let (length, limit) = (9, 8);
    says(
        &FrameError::TooLong { length, limit },
        &["frame of 9 bytes, at most 8 are accepted (max_frame_bytes)"],
    );
    says(&FrameError::Malformed("ack"), &["malformed ack frame"]);
    says(
        &FrameError::NotOurs(*b"GET\x01"),
        &["not the sink protocol (first bytes [47, 45, 54, 01])"],
    );
    says(
        &FrameError::ForeignTooLong {
            length: 9,
            limit,
            swapped: None,
        },
        &["length of 9 bytes, at most 8 are accepted (max_frame_bytes)"],
    );
    says(
        &FrameError::ForeignTooLong {
            length: 9,
            limit,
            swapped: Some(5),
        },
        &[
            "length of 9 bytes, at most 8 are accepted (max_frame_bytes); in the other byte order it is 5 (framing)",
        ],
    );
    says(
        &FrameError::LineTooLong { limit },
        &["line of more than 8 bytes (max_frame_bytes)"],
    );
    says(
        &FrameError::Preamble,
        &["what came first is not the preamble (preamble)"],
    );
    says(
        &FrameError::Version { theirs: 7 },
        &["protocol version 7, this side speaks 1"],
    );
    says(
        &FrameError::Unexpected(Kind::Ack),
        &["unexpected Ack frame"],
    );
}
