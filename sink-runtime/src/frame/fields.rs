//! What hellos, welcomes and announcements consist of: tagged fields, of which unknown ones are passed over.

use std::sync::Arc;

use bytes::Buf;

pub(super) mod tag {
    pub(in crate::frame) const SERVICE: u16 = 1;
    pub(in crate::frame) const ROLE: u16 = 2;
    pub(in crate::frame) const DELIVERY: u16 = 3;
    pub(in crate::frame) const PRODUCER: u16 = 4;
    pub(in crate::frame) const FIRST: u16 = 5;
    pub(in crate::frame) const CODEC: u16 = 6;
    pub(in crate::frame) const MAX_FRAME: u16 = 7;
    pub(in crate::frame) const HEARTBEAT: u16 = 8;
    pub(in crate::frame) const FINGERPRINT: u16 = 9;
    pub(in crate::frame) const ACCEPTS: u16 = 10;
    pub(in crate::frame) const MESSAGE: u16 = 11;
    pub(in crate::frame) const SHAPE: u16 = 12;
    pub(in crate::frame) const START: u16 = 13;
    pub(in crate::frame) const CONSUMER: u16 = 14;
    pub(in crate::frame) const ACKED: u16 = 15;
    pub(in crate::frame) const RELAY_EPOCH: u16 = 16;
    pub(in crate::frame) const NEXT_OFFSET: u16 = 17;
    pub(in crate::frame) const BEGIN: u16 = 18;
}

pub(super) fn put(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
}

pub(super) fn put_text(out: &mut Vec<u8>, tag: u16, text: &str, most: usize) {
    let end = text.floor_char_boundary(most.min(text.len()));
    put(out, tag, &text.as_bytes()[..end]);
}

/// Longest name in a hello.
pub(super) const MAX_NAME: usize = 1024;
/// Longest shape text in a hello; longer ones are cut, the fingerprint still tells.
pub(super) const MAX_SHAPE: usize = 16 * 1024;
/// Most older fingerprints in a hello.
pub(super) const MAX_ACCEPTS: usize = 64;

/// Where it says more than `first` does.
pub(super) fn put_begin(out: &mut Vec<u8>, begin: u64, first: u64) {
    if begin != 0 && begin < first {
        put(out, tag::BEGIN, &begin.to_le_bytes());
    }
}

/// As it was read: one that says no more than `first` does is none.
pub(super) fn read_begin(begin: u64, first: u64) -> u64 {
    if begin < first { begin } else { 0 }
}

/// The lowest sequence that a receiver who never heard of the producer accounts for.
pub(super) fn begins(begin: u64, first: u64) -> u64 {
    let first = first.max(1);
    if begin == 0 { first } else { begin.min(first) }
}

pub(super) fn each_tag<'a>(
    mut body: &'a [u8],
    mut see: impl FnMut(u16, &'a [u8]) -> Option<()>,
) -> Option<()> {
    while !body.is_empty() {
        if body.len() < 4 {
            return None;
        }
        let tag = body.get_u16_le();
        let length = usize::from(body.get_u16_le());
        let (value, rest) = body.split_at_checked(length)?;
        see(tag, value)?;
        body = rest;
    }
    Some(())
}

pub(super) fn byte(value: &[u8]) -> Option<u8> {
    value.first().copied()
}

pub(super) fn int(value: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(value.try_into().ok()?))
}

pub(super) fn long(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.try_into().ok()?))
}

pub(super) fn text(value: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(value).ok().map(Arc::from)
}
