//! Mistakes in `#[message(…)]` are reported at their place.

use sink_runtime::Message;

#[derive(Message)]
#[message(serde, accept = ["0x0123456789abcdef"])]
pub struct A;

#[derive(Message)]
#[message(serde, accepts = ["0x0123"])]
pub struct B;

#[derive(Message)]
#[message(serde, crate = sink_runtime)]
pub struct C;

#[derive(Message)]
pub union D {
    a: u32,
    b: f32,
}

#[derive(Message)]
pub struct E<'a> {
    text: &'a str,
}

#[derive(Message)]
pub struct F<T> {
    payload: T,
}
