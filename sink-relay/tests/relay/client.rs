//! Raw clients: frames over a wire, nothing of the runtime's links.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sink_runtime::frame::{
    self, Assembler, Bye, Chunk, Hello, Kind, PeerRole, Producer, ProducerId, Refuse, RelayGap,
    Start, Welcome,
};
use sink_runtime::transport::{Dial, Endpoint, SystemDial, Target, Wire};
use tokio::time::timeout;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) wire: Arc<dyn Wire>,
    assembler: Assembler,
    frames: std::collections::VecDeque<Bytes>,
}

/// What a consumer reads, chunk heads resolved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Producer(Producer),
    Message {
        offset: u64,
        producer: u32,
        sequence: u64,
        payload: Vec<u8>,
    },
    Gap(RelayGap),
    Heartbeat(u64),
    Ack(u64),
    Bye(Bye),
    Closed,
}

pub(crate) struct Consumer {
    pub(crate) client: Client,
    pub(crate) welcome: Welcome,
    open: Option<(Chunk, u32)>,
}

pub(crate) struct Sender {
    pub(crate) client: Client,
    pub(crate) welcome: Welcome,
}

pub(crate) fn producer(id: u128) -> Hello {
    Hello {
        service: "ticks".into(),
        role: PeerRole::Producer,
        acks: true,
        producer: ProducerId { id, epoch: 1 },
        first: 1,
        codec: "raw".into(),
        max_frame_bytes: 1 << 20,
        fingerprint: 77,
        message: "Tick".into(),
        shape: "Tick{price:u64}".into(),
        ..Hello::default()
    }
}

pub(crate) fn consumer(start: Start) -> Hello {
    Hello {
        service: "ticks".into(),
        role: PeerRole::Consumer,
        codec: "raw".into(),
        start,
        ..Hello::default()
    }
}

/// Data frames with sequences `from..=to`, the sequence as text for a payload.
pub(crate) fn data(from: u64, to: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for sequence in from..=to {
        frame_of(&mut out, sequence, format!("{sequence}").as_bytes());
    }
    out
}

pub(crate) fn frame_of(out: &mut Vec<u8>, sequence: u64, payload: &[u8]) {
    let start = out.len();
    frame::begin_data(out, 0, sequence);
    out.extend_from_slice(payload);
    frame::finish(out, start, 0);
}

impl Client {
    pub(crate) async fn dial(endpoint: &Endpoint) -> Self {
        let wire = SystemDial
            .dial(&Target::new(endpoint.clone()))
            .await
            .unwrap();
        Self {
            wire,
            assembler: Assembler::new(64 << 20),
            frames: std::collections::VecDeque::new(),
        }
    }

    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.wire.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout(PATIENCE, poll_fn(|cx| self.wire.poll_writable(cx)))
                        .await
                        .expect("relay reads")?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) async fn hello(&self, hello: &Hello) {
        let mut out = Vec::new();
        hello.encode(&mut out);
        self.write(&out).await.unwrap();
    }

    /// The next whole frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            if let Some((bytes, _)) = self.assembler.take().unwrap() {
                let mut at = 0;
                while at < bytes.len() {
                    let total = frame::head(&bytes[at..], usize::MAX)
                        .unwrap()
                        .unwrap()
                        .total;
                    self.frames.push_back(bytes.slice(at..at + total));
                    at += total;
                }
                continue;
            }
            match self.wire.try_read(self.assembler.room()) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout(PATIENCE, poll_fn(|cx| self.wire.poll_readable(cx)))
                        .await
                        .expect("relay writes")
                        .unwrap();
                }
                Err(_) => return None,
            }
        }
    }

    pub(crate) async fn welcome(&mut self) -> Welcome {
        let frame = self.frame().await.expect("an answer");
        if frame[4] == Kind::Refuse as u8 {
            panic!("refused: {:?}", Refuse::decode(&frame));
        }
        Welcome::decode(&frame).unwrap()
    }

    pub(crate) async fn refusal(&mut self) -> Refuse {
        let frame = self.frame().await.expect("an answer");
        assert_eq!(frame[4], Kind::Refuse as u8);
        Refuse::decode(&frame).unwrap()
    }
}

impl Sender {
    pub(crate) async fn connect(endpoint: &Endpoint, hello: &Hello) -> Self {
        let mut client = Client::dial(endpoint).await;
        client.hello(hello).await;
        let welcome = client.welcome().await;
        Self { client, welcome }
    }

    pub(crate) async fn send(&self, from: u64, to: u64) {
        self.client.write(&data(from, to)).await.unwrap();
    }

    /// Waits until everything up to `sequence` is acked.
    pub(crate) async fn acked(&mut self, sequence: u64) {
        loop {
            let frame = self.client.frame().await.expect("an ack");
            assert_eq!(frame[4], Kind::Ack as u8, "{:?}", Bye::decode(&frame));
            let acked = frame::number(&frame).unwrap();
            assert!(acked <= sequence, "acked {acked}, sent {sequence}");
            if acked == sequence {
                return;
            }
        }
    }

    pub(crate) async fn send_acked(&mut self, from: u64, to: u64) {
        self.send(from, to).await;
        self.acked(to).await;
    }
}

impl Consumer {
    pub(crate) async fn connect(endpoint: &Endpoint, hello: &Hello) -> Self {
        let mut client = Client::dial(endpoint).await;
        client.hello(hello).await;
        let welcome = client.welcome().await;
        Self {
            client,
            welcome,
            open: None,
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let Some(frame) = self.client.frame().await else {
                return Event::Closed;
            };
            match Kind::from_u8(frame[4]).unwrap() {
                Kind::Chunk => {
                    assert!(self.open.is_none(), "a chunk inside a chunk");
                    self.open = Some((Chunk::decode(&frame).unwrap(), 0));
                }
                Kind::Data => {
                    let (chunk, read) = self.open.as_mut().expect("data inside a chunk");
                    let data = frame::data(&frame).unwrap();
                    let offset = chunk.first_offset + u64::from(*read);
                    let (producer, payload) = (chunk.producer, frame[data.payload_at..].to_vec());
                    *read += 1;
                    if *read == chunk.frames {
                        self.open = None;
                    }
                    return Event::Message {
                        offset,
                        producer,
                        sequence: data.sequence,
                        payload,
                    };
                }
                other => {
                    assert!(self.open.is_none(), "{other:?} inside a chunk");
                    return match other {
                        Kind::Producer => Event::Producer(Producer::decode(&frame).unwrap()),
                        Kind::Gap => Event::Gap(RelayGap::decode(&frame).unwrap()),
                        Kind::Heartbeat => Event::Heartbeat(frame::number(&frame).unwrap()),
                        Kind::Ack => Event::Ack(frame::number(&frame).unwrap()),
                        Kind::Bye => Event::Bye(Bye::decode(&frame)),
                        other => panic!("unexpected {other:?}"),
                    };
                }
            }
        }
    }

    /// The next announcement.
    pub(crate) async fn announced(&mut self) -> Producer {
        match self.event().await {
            Event::Producer(producer) => producer,
            other => panic!("not an announcement: {other:?}"),
        }
    }

    /// Expects messages `from..=to` of one producer, the first at `offset`.
    pub(crate) async fn messages(&mut self, producer: u32, from: u64, to: u64, offset: u64) {
        for sequence in from..=to {
            let expected = Event::Message {
                offset: offset + sequence - from,
                producer,
                sequence,
                payload: format!("{sequence}").into_bytes(),
            };
            assert_eq!(self.event().await, expected);
        }
    }

    /// Expects the announcement of a producer.
    pub(crate) async fn producer(&mut self, index: u32, id: u128, first: u64) {
        let announced = self.announced().await;
        assert_eq!(
            (announced.index, announced.producer.id, announced.first),
            (index, id, first)
        );
        assert_eq!(
            (
                announced.fingerprint,
                &*announced.message,
                &*announced.shape
            ),
            (77, "Tick", "Tick{price:u64}")
        );
    }
}
