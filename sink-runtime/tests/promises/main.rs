//! PROMISES.md, line by line: a module per section, each test named as a sentence that ends with its number.

mod support;

mod buffer;
mod close;
mod connect;
mod delivery;
mod receive;
mod reconnect;
mod runtimes;
mod security;
mod send;
