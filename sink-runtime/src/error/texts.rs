//! What each error says, and what caused it. Written out: a derive costs every crate that depends on this one a second and a half of
//! building it (docs/BUILD_COST.md).

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::{ConnectError, DecodeError, EncodeError, RegistryError, SendErrorKind, SourceError};

/// Prints `; last attempt: …` where there was one.
struct Last<'a>(&'a Option<Arc<ConnectError>>);

impl Display for Last<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(error) => write!(f, "; last attempt: {error}"),
            None => Ok(()),
        }
    }
}

/// Prints how full a buffer is by bytes, where they count, and which keys to see.
struct Bytes {
    held: u64,
    most: u64,
}

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.most {
            0 => f.write_str("; see buffer_size, when_full)"),
            most => write!(
                f,
                ", {} of {most} bytes; see buffer_size, buffer_bytes, when_full)",
                self.held
            ),
        }
    }
}

// === impl SendErrorKind ===

impl Display for SendErrorKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full {
                service,
                held_messages,
                buffer_size,
                held_bytes,
                buffer_bytes,
                waited,
                last,
            } => write!(
                f,
                "`{service}`: buffer full for {waited:?} ({held_messages} of {buffer_size} messages{}{}",
                Bytes {
                    held: *held_bytes,
                    most: *buffer_bytes
                },
                Last(last)
            ),
            Self::TooLarge {
                service,
                bytes,
                limit,
                key,
            } => write!(
                f,
                "`{service}`: message of {bytes} bytes is larger than {limit} ({key})"
            ),
            Self::Encode { service, .. } => write!(f, "`{service}`: message does not encode"),
            Self::Unconfirmed {
                service,
                wanted,
                waited,
                last,
                ..
            } => write!(
                f,
                "`{service}`: not {wanted} within {waited:?} (confirm, send_timeout_ms){}",
                Last(last)
            ),
            Self::Lost {
                service,
                wanted,
                why,
                last,
                ..
            } => write!(
                f,
                "`{service}`: {why} before the message was {wanted} (confirm){}",
                Last(last)
            ),
            Self::Dropped { service } => write!(
                f,
                "`{service}`: dropped while it waited to be written (when_full, max_age_ms, or the receiver's max_frame_bytes)"
            ),
            Self::Connect { service, .. } => write!(f, "`{service}`: cannot be reached"),
            Self::Closed { service } => {
                write!(f, "`{service}`: sink is closed (connect() opens it again)")
            }
            Self::NoRuntime { service } => write!(
                f,
                "`{service}`: no tokio runtime drives this link: none has yet, or it has ended (send or connect from inside a runtime, and keep it running)"
            ),
            Self::Registry { source } => source.fmt(f),
            Self::Partial {
                service,
                failed,
                branches,
                first,
            } => write!(
                f,
                "`{service}`: {failed} of {branches} branches did not take the message: {first}"
            ),
            Self::Other { service, text } => write!(f, "`{service}`: {text}"),
        }
    }
}

impl Error for SendErrorKind {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode { source, .. } => Some(source),
            Self::Connect { source, .. } => Some(source),
            Self::Registry { source } => source.source(),
            _ => None,
        }
    }
}

// === impl ConnectError ===

impl Display for ConnectError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThereYet {
                service,
                endpoint,
                attempt,
                ..
            } => write!(
                f,
                "`{service}`: nobody listens on {endpoint} yet (attempt {attempt})"
            ),
            Self::Io {
                service,
                endpoint,
                attempt,
                ..
            } => write!(
                f,
                "`{service}`: cannot connect to {endpoint} (attempt {attempt})"
            ),
            Self::TimedOut {
                service,
                endpoint,
                waited,
            } => write!(
                f,
                "`{service}`: {endpoint} did not answer within {waited:?} (connect_timeout_ms)"
            ),
            Self::Refused {
                service,
                endpoint,
                reason,
            } => write!(f, "`{service}`: {endpoint} refused: {reason}"),
            Self::Protocol {
                service,
                endpoint,
                reason,
            } => write!(
                f,
                "`{service}`: {endpoint} does not speak the sink protocol: {reason}"
            ),
            Self::Lost {
                service,
                endpoint,
                reason,
            } => write!(f, "`{service}`: connection to {endpoint} lost: {reason}"),
            Self::GaveUp {
                service, attempts, ..
            } => write!(
                f,
                "`{service}`: gave up after {attempts} attempts (max_attempts)"
            ),
            Self::Closed { service } => write!(f, "`{service}`: sink is closed"),
            Self::NoRuntime { service } => {
                write!(f, "`{service}`: no tokio runtime to connect on")
            }
            Self::Registry { source } => source.fmt(f),
            Self::Other { service, text } => write!(f, "`{service}`: {text}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotThereYet { source, .. } | Self::Io { source, .. } => Some(source),
            Self::GaveUp { last, .. } => Some(last),
            Self::Registry { source } => source.source(),
            _ => None,
        }
    }
}

// === impl SourceError ===

impl Display for SourceError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(gap) => write!(f, "{gap}"),
            Self::Decode {
                service,
                message,
                sequence,
                ..
            } => write!(
                f,
                "`{service}`: message {sequence} does not decode as `{message}`"
            ),
            Self::Mismatch { service, reason } => {
                write!(f, "`{service}`: producer sends another type: {reason}")
            }
            Self::Bind {
                service, endpoint, ..
            } => write!(f, "`{service}`: cannot listen on {endpoint}"),
            Self::Peer {
                service,
                peer,
                reason,
            } => write!(f, "`{service}`: {peer} {reason}"),
            Self::Connect { service, .. } => write!(f, "`{service}`: cannot subscribe"),
            Self::Registry { source } => source.fmt(f),
            Self::NoRuntime { service } => {
                write!(f, "`{service}`: no tokio runtime to receive on")
            }
        }
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Decode { source, .. } => Some(source),
            Self::Bind { source, .. } => Some(source),
            Self::Connect { source, .. } => Some(source),
            Self::Registry { source } => source.source(),
            _ => None,
        }
    }
}

// === impl RegistryError ===

impl Display for RegistryError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownService {
                service,
                registry,
                help,
            } => {
                // Whatever a program asks for by name, a person has to read.
                let service = sink_schema::shortened(service);
                match help {
                    Some(near) => write!(
                        f,
                        "no service `{service}` in {registry}; did you mean `{near}`?"
                    ),
                    None => write!(
                        f,
                        "no service `{service}` in {registry}; add `[services.{service}]` there"
                    ),
                }
            }
            Self::MessageMismatch {
                service,
                registry,
                registered,
                expected,
            } => write!(
                f,
                "`{service}` carries `{registered}` in {registry}, the program expects `{expected}`; change `message` there, or the \
                 type that the program uses"
            ),
            Self::Invalid {
                registry,
                count,
                text,
            } => {
                let mistakes = if *count == 1 { "mistake" } else { "mistakes" };
                write!(f, "{count} {mistakes} in {registry}:\n{text}")
            }
            Self::Several { registry, all } => {
                write!(
                    f,
                    "{registry} does not fit the program in {} places:",
                    all.len()
                )?;
                all.iter().try_for_each(|error| write!(f, "\n- {error}"))
            }
            Self::Read { registry, .. } => write!(f, "cannot read registry {registry}"),
            Self::TimedOut { waited } => {
                write!(f, "registry did not answer within {waited:?}")
            }
            Self::NotAtLeastOnce { service } => write!(
                f,
                "`{service}` does not promise at-least-once delivery (set delivery = \"at_least_once\")"
            ),
            Self::Unsupported { service, text } => write!(f, "`{service}`: {text}"),
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

// === impl EncodeError and DecodeError ===

impl Display for EncodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.codec, self.text)
    }
}

impl Error for EncodeError {}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.codec, self.text)
    }
}

impl Error for DecodeError {}

#[cfg(test)]
mod tests;
