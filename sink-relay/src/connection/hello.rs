//! Who comes, and whether they may stay.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sink_runtime::frame::{Assembler, FrameError, Hello, Kind, PeerRole, RefuseCode, escape};
use sink_runtime::transport::Wire;

use crate::service::{Refusal, Service};

/// Why there is no hello.
#[derive(Debug)]
pub(super) enum Failure {
    /// What came is none.
    Frame(FrameError),
    /// The peer went without a word.
    Gone,
}

/// Reads the hello; what lies behind it stays in the assembler.
pub(super) async fn read(wire: &dyn Wire, assembler: &mut Assembler) -> Result<Hello, Failure> {
    let frame = poll_fn(|cx| poll_frame(wire, assembler, cx)).await?;
    if frame.get(4) != Some(&(Kind::Hello as u8)) {
        return Err(Failure::Frame(FrameError::Malformed("hello")));
    }
    Hello::decode(&frame).map_err(Failure::Frame)
}

fn poll_frame(
    wire: &dyn Wire,
    assembler: &mut Assembler,
    cx: &mut Context<'_>,
) -> Poll<Result<Bytes, Failure>> {
    loop {
        match assembler.take_one() {
            Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
            Ok(None) => {}
            Err(error) => return Poll::Ready(Err(Failure::Frame(error))),
        }
        match wire.try_read(assembler.room()) {
            Ok(0) => return Poll::Ready(Err(Failure::Gone)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready!(wire.poll_readable(cx)).is_err() {
                    return Poll::Ready(Err(Failure::Gone));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Poll::Ready(Err(Failure::Gone)),
        }
    }
}

/// Whether a hello fits its service.
pub(super) fn check(hello: &Hello, service: &Service) -> Result<(), Refusal> {
    if let Some(codec) = service.settings.codec
        && !hello.codec.is_empty()
        && *hello.codec != *codec
    {
        let theirs = escape(hello.codec.as_bytes());
        let reason = format!(
            "`{}` carries {codec}, the peer speaks {theirs} (codec)",
            service.name
        );
        return Err(Refusal {
            code: RefuseCode::TypeMismatch,
            reason,
        });
    }
    if hello.role == PeerRole::Consumer && hello.consumer.is_some() {
        let reason = format!(
            "`{}`: this relay keeps no cursors for named consumers yet (remove `consumer`)",
            service.name
        );
        return Err(Refusal {
            code: RefuseCode::Unsupported,
            reason,
        });
    }
    if hello.role == PeerRole::Producer && hello.producer.id == 0 {
        let reason = format!("`{}`: a producer has an id", service.name);
        return Err(Refusal {
            code: RefuseCode::Malformed,
            reason,
        });
    }
    Ok(())
}
