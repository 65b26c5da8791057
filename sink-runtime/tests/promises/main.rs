//! PROMISES.md, line by line: a module per section, each test named as a sentence that ends with its number.
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod support;

mod buffer;
mod close;
mod composites;
mod connect;
mod delivery;
mod foreign;
mod members;
mod receive;
mod reconnect;
mod runtimes;
mod security;
mod send;
mod together;
mod within;
