//! §10 Security: sockets, peers, hostile bytes.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use sink_runtime::frame::{self, Hello, Kind, PeerRole, ProducerId, Welcome};
use sink_runtime::transport::{Dial, Endpoint, SystemDial, Target, Wire, listen};
use sink_runtime::{Message, MessageSink, Source};

use crate::support::*;

fn path_of(endpoint: &str) -> String {
    endpoint.trim_start_matches("unix://").to_owned()
}

async fn raw(endpoint: &str) -> std::sync::Arc<dyn Wire> {
    SystemDial
        .dial(&Target::new(Endpoint::Unix(path_of(endpoint))))
        .await
        .unwrap()
}

async fn listening(
    endpoint: &str,
    more: &str,
) -> (
    std::sync::Arc<sink_runtime::ServiceRegistry>,
    Source<Message>,
) {
    let registry = registry_at(endpoint, more);
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    (registry, source)
}

#[tokio::test]
async fn a_socket_has_mode_0600_and_is_gone_afterwards_10_1() {
    let (directory, endpoint) = socket();
    let (_, source) = listening(&endpoint, "").await;
    let metadata = std::fs::metadata(path_of(&endpoint)).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    drop(source);
    bounded(async {
        while std::fs::read_dir(directory.path()).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Set in the processes that this test binary starts of itself.
const CHILD: &str = "SINKS_TEST_CHILD";

/// Run by the next test in a process of its own, which has its own environment.
#[tokio::test]
async fn child_binds_the_default_socket() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let result = listen(&Target::new(Endpoint::UnixDefault("orders".to_owned()))).await;
    match result {
        Ok(listener) => println!("bound {}", listener.local_endpoint()),
        Err(error) => println!("refused {error}"),
    }
}

fn in_a_child(test: &str, prepare: impl FnOnce(&mut std::process::Command)) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1");
    prepare(&mut command);
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

#[test]
fn the_default_directory_is_private_10_1() {
    let runtime = tempfile::tempdir().unwrap();
    let bind = |runtime: &std::path::Path| {
        in_a_child("security::child_binds_the_default_socket", |command| {
            command.env("XDG_RUNTIME_DIR", runtime);
        })
    };
    let text = bind(runtime.path());
    assert!(
        text.contains(&format!(
            "bound unix://{}/sinks/orders.sock",
            runtime.path().display()
        )),
        "{text}"
    );
    let mode = std::fs::metadata(runtime.path().join("sinks"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    // One that others may enter is not used.
    std::fs::set_permissions(
        runtime.path().join("sinks"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let text = bind(runtime.path());
    assert!(text.contains("refused") && text.contains("0700"), "{text}");
}

/// The other user of `a_squatter_is_refused_and_named_10_2`, in a process of its own.
#[tokio::test]
async fn child_squats() {
    let Ok(path) = std::env::var("SQUAT") else {
        return;
    };
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    println!("squatting");
    std::thread::sleep(Duration::from_secs(20));
}

#[tokio::test]
async fn a_squatter_is_refused_and_named_10_2() {
    if !std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        eprintln!("skipped: only root can be two users");
        return;
    }
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = directory.path().join("orders.sock");
    let binary = directory.path().join("squatter");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let mut child = std::process::Command::new(&binary)
        .args(["--exact", "security::child_squats", "--test-threads=1"])
        .env("SQUAT", &path)
        .current_dir("/")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .uid(65_534)
        .spawn()
        .unwrap();
    bounded(async {
        while std::os::unix::net::UnixStream::connect(&path).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let sink = registry_at(&format!("unix://{}", path.display()), "")
        .sink::<Message>("orders")
        .unwrap();
    let error = bounded(sink.connect()).await.unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(error.is_permanent(), "{text}");
    assert!(
        text.contains("65534") && text.contains("allow_uids"),
        "{text}"
    );
    // Nor is its socket file taken away from it.
    let mut source = registry_at(&format!("unix://{}", path.display()), "")
        .source::<Message>("orders")
        .unwrap();
    let error = bounded(source.start()).await.unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("65534"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_live_socket_is_never_replaced_10_3() {
    let (directory, endpoint) = socket();
    // Somebody who knows nothing of our lock file.
    let _live = std::os::unix::net::UnixListener::bind(path_of(&endpoint)).unwrap();
    let mut source = registry_at(&endpoint, "")
        .source::<Message>("orders")
        .unwrap();
    let error = bounded(source.start()).await.unwrap_err();
    assert!(error.to_string().contains("orders.sock"), "{error}");
    std::os::unix::net::UnixStream::connect(path_of(&endpoint)).expect("it still listens");
    // A second of ours, which does.
    drop(_live);
    std::fs::remove_file(path_of(&endpoint)).unwrap();
    let (_registry, _source) = listening(&endpoint, "").await;
    listen(&Target::new(Endpoint::Unix(path_of(&endpoint))))
        .await
        .unwrap_err();
    assert!(directory.path().join("orders.sock.lock").exists());
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_anything_else_is_left_alone_10_3() {
    let (_directory, endpoint) = socket();
    drop(std::os::unix::net::UnixListener::bind(path_of(&endpoint)).unwrap());
    assert!(
        std::path::Path::new(&path_of(&endpoint)).exists(),
        "its file stays behind"
    );
    let (registry, mut source) = listening(&endpoint, "").await;
    registry
        .sink::<Message>("orders")
        .unwrap()
        .try_send(numbered(1))
        .unwrap();
    assert_eq!(
        number_of(bounded(source.recv()).await.unwrap().unwrap().payload()),
        1
    );
    let (directory, endpoint) = socket();
    std::fs::write(path_of(&endpoint), "a letter").unwrap();
    let mut source = registry_at(&endpoint, "")
        .source::<Message>("orders")
        .unwrap();
    bounded(source.start()).await.unwrap_err();
    assert_eq!(
        std::fs::read_to_string(path_of(&endpoint)).unwrap(),
        "a letter"
    );
    drop(directory);
}

#[tokio::test]
async fn who_took_the_place_of_a_cleared_socket_keeps_it_10_3() {
    let (directory, endpoint) = socket();
    let (_registry, old) = listening(&endpoint, "").await;
    // Somebody clears the directory, and a new process starts before the old one ends.
    for file in ["orders.sock", "orders.sock.lock"] {
        std::fs::remove_file(directory.path().join(file)).unwrap();
    }
    let mut listener = listen(&Target::new(Endpoint::Unix(path_of(&endpoint))))
        .await
        .unwrap();
    let mut stream = raw(&endpoint).await;
    drop(accept(&mut listener).await);
    assert!(hung_up(&stream).await.is_empty());
    drop(old);
    // The old one's tasks end with it.
    for _ in 0..100 {
        settle().await;
    }
    assert!(directory.path().join("orders.sock.lock").exists());
    stream = raw(&endpoint).await;
    drop(accept(&mut listener).await);
    assert!(hung_up(&stream).await.is_empty());
    drop(listener);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_bind_that_fails_leaves_nothing_behind_10_3() {
    let (directory, endpoint) = socket();
    std::fs::write(path_of(&endpoint), "a letter").unwrap();
    let target = Target::new(Endpoint::Unix(path_of(&endpoint)));
    listen(&target).await.unwrap_err();
    assert!(!directory.path().join("orders.sock.lock").exists());
}

#[tokio::test]
async fn plaintext_stays_on_this_machine_unless_told_otherwise_10_4() {
    let error = sink_runtime::ServiceRegistry::from_toml(
        "[services.orders]\ntype = \"direct\"\nendpoint = \"tcp://192.0.2.1:9\"\n",
    )
    .unwrap_err();
    assert!(error.to_string().contains("insecure_plaintext"), "{error}");
    // A name says nothing of where it leads: the address decides, at the dial.
    let elsewhere = Target::new(Endpoint::Tcp {
        host: "192.0.2.1".to_owned(),
        port: 9,
    });
    let error = SystemDial.dial(&elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("insecure_plaintext"), "{error}");
    let everywhere = Target::new(Endpoint::Tcp {
        host: "0.0.0.0".to_owned(),
        port: 0,
    });
    let error = listen(&everywhere).await.unwrap_err();
    assert!(error.to_string().contains("insecure_plaintext"), "{error}");
}

/// Waits until the other end hangs up; what it said until then.
async fn hung_up(wire: &std::sync::Arc<dyn Wire>) -> Vec<u8> {
    let mut said = bytes::BytesMut::new();
    loop {
        said.reserve(4096);
        if bounded(std::future::poll_fn(|cx| wire.poll_readable(cx)))
            .await
            .is_err()
        {
            return said.to_vec();
        }
        match wire.try_read(&mut said) {
            Ok(0) => return said.to_vec(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return said.to_vec(),
            Ok(_) => {}
        }
    }
}

fn hello(service: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Hello {
        service: service.into(),
        role: PeerRole::Producer,
        producer: ProducerId { id: 1, epoch: 1 },
        first: 1,
        codec: "raw".into(),
        max_frame_bytes: 1 << 20,
        ..Hello::default()
    }
    .encode(&mut out);
    out
}

#[tokio::test]
async fn hostile_bytes_end_their_connection_and_nothing_else_10_5() {
    let (_directory, endpoint) = socket();
    let (registry, mut source) = listening(&endpoint, "").await;
    let greeted = |more: &[u8]| [&hello("orders")[..], more].concat();
    let mut truncated = hello("orders");
    truncated.truncate(20);
    truncated[0] = 16;
    let attacks: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        vec![0; 4096],
        // A hello of 64 MiB, of which nothing follows.
        [&(64u32 << 20).to_le_bytes()[..], &[1, 0, 0, 0]].concat(),
        truncated,
        hello("another service"),
        // A data frame as first frame.
        [&24u32.to_le_bytes()[..], &[4; 24]].concat(),
        // Behind a good hello: a frame of 4 GiB, and one shorter than its head.
        greeted(&[0xff; 64]),
        greeted(&[0; 64]),
    ];
    for (number, attack) in attacks.iter().enumerate() {
        let wire = raw(&endpoint).await;
        wire.try_write(attack).unwrap();
        let said = hung_up(&wire).await;
        assert!(said.len() < 4096, "attack {number}");
        let told = String::from_utf8_lossy(&said);
        assert!(
            number > 0 || (told.contains("GET ") && told.contains("`framing`")),
            "{told}"
        );
    }
    let sink = registry.sink::<Message>("orders").unwrap();
    sink.try_send(numbered(1)).unwrap();
    assert_eq!(
        number_of(bounded(source.recv()).await.unwrap().unwrap().payload()),
        1
    );
    assert_eq!(source.ledger().received, 1);
}

#[tokio::test]
async fn damaged_data_frames_do_not_stop_a_source_10_5() {
    let (_directory, endpoint) = socket();
    let (registry, mut source) = listening(&endpoint, "").await;
    for seed in 0..200u64 {
        let dice = sink_runtime::clock::SplitMix::new(seed);
        let next = || sink_runtime::clock::Chance::next(&dice);
        let mut bytes = hello("orders");
        for _ in 0..5 {
            let at = bytes.len();
            let length = 4 + (next() % 60) as usize;
            bytes.extend_from_slice(&(length as u32).to_le_bytes());
            bytes.extend((0..length).map(|_| next() as u8));
            // Known kinds and flags more often than chance has them.
            bytes[at + 4] = (next() % 12) as u8;
            bytes[at + 5] = (next() % 8) as u8;
        }
        let wire = raw(&endpoint).await;
        wire.try_write(&bytes).unwrap();
        drop(wire);
    }
    let sink = registry.sink::<Message>("orders").unwrap();
    sink.try_send(Message::new("the good one")).unwrap();
    loop {
        if let Ok(delivery) = bounded(source.recv()).await.expect("it lives")
            && delivery.payload().as_ref() == b"the good one"
        {
            break;
        }
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_hung_up_on_after_two_seconds_10_5() {
    let (_directory, endpoint) = socket();
    let (_registry, _source) = listening(&endpoint, "").await;
    let before = Instant::now();
    let silent = raw(&endpoint).await;
    let half = raw(&endpoint).await;
    half.try_write(&hello("orders")[..10]).unwrap();
    assert!(hung_up(&silent).await.is_empty());
    hung_up(&half).await;
    let took = before.elapsed();
    assert!(
        took >= Duration::from_millis(1_900) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away_by_name_of_the_key_10_5() {
    let (_directory, endpoint) = socket();
    let (_registry, _source) = listening(&endpoint, "max_connections = 2").await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::new(raw(&endpoint).await);
        peer.wire.try_write(&hello("orders")).unwrap();
        let answer = bounded(peer.frame()).await.unwrap();
        assert_eq!(answer[4], frame::Kind::Welcome as u8);
        kept.push(peer);
    }
    let mut third = Peer::new(raw(&endpoint).await);
    third.wire.try_write(&hello("orders")).unwrap();
    let answer = bounded(third.frame()).await.unwrap();
    let refuse = frame::Refuse::decode(&answer).unwrap();
    assert!(
        refuse.reason.contains("max_connections"),
        "{}",
        refuse.reason
    );
    // A place that is given up is free again.
    kept.pop();
    bounded(async {
        loop {
            let mut again = Peer::new(raw(&endpoint).await);
            again.wire.try_write(&hello("orders")).unwrap();
            if bounded(again.frame()).await.unwrap()[4] == frame::Kind::Welcome as u8 {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn strangers_take_no_place_from_who_is_welcome_10_5() {
    let (_directory, endpoint) = socket();
    let (_registry, _source) = listening(&endpoint, "max_connections = 1").await;
    let mut strangers = Vec::new();
    for _ in 0..20 {
        strangers.push(raw(&endpoint).await);
    }
    let _welcome = producer_at(&endpoint, &hello_of(1)).await;
}

#[tokio::test]
async fn connections_far_beyond_the_limit_are_dropped_as_they_come_10_5() {
    let (_directory, endpoint) = socket();
    let (_registry, _source) = listening(&endpoint, "max_connections = 2").await;
    let before = Instant::now();
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(raw(&endpoint).await);
    }
    // Two places and 32 besides: the others are dropped before the two seconds of a hello are over.
    for wire in &strangers[34..] {
        assert!(hung_up(wire).await.is_empty());
    }
    let took = before.elapsed();
    assert!(took < Duration::from_millis(1_900), "{took:?}");
    // Those that were let in are heard out, and then their places are free again.
    for wire in &strangers[..34] {
        assert!(hung_up(wire).await.is_empty());
    }
    assert!(before.elapsed() >= Duration::from_millis(1_900));
    let _welcome = producer_at(&endpoint, &hello_of(1)).await;
}

async fn fast(endpoint: &str, more: &str, times: u32) -> Source<Message> {
    let mut source = fast_registry_at(endpoint, more, times)
        .source::<Message>("orders")
        .unwrap();
    bounded(source.start()).await.unwrap();
    source
}

#[tokio::test]
async fn a_frame_that_trickles_ends_its_connection_10_5() {
    trickles("").await;
    // Who rarely speaks looks at the clock no less.
    trickles("heartbeat_ms = 3600000").await;
}

async fn trickles(more: &str) {
    let (_directory, endpoint) = socket();
    let more = format!("max_frame_bytes = 65536\n{more}");
    let mut source = fast(&endpoint, &more, 100).await;
    let mut slow = producer_at(&endpoint, &hello_of(1)).await;
    let frame = data_frame(1, &[0; 60_000]);
    let before = Instant::now();
    let mut at = 0;
    // A byte each five milliseconds, which are half a second of the source's clock: it is never silent.
    while let Ok(count) = slow.wire.try_write(&frame[at..=at]) {
        at += count;
        assert!(
            before.elapsed() < Duration::from_secs(20),
            "it is waited for"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Eleven seconds by its clock: ten, and one for 64 KiB.
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(105), "{took:?}");
    while bounded(slow.frame()).await.is_some() {}
    // One that is slow and gets on is none.
    let steady = producer_at(&endpoint, &hello_of(2)).await;
    for number in 1..=40u64 {
        let frame = data_frame(number, &number.to_le_bytes());
        let (head, tail) = frame.split_at(10);
        steady.wire.try_write(head).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        steady.wire.try_write(tail).unwrap();
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), number);
    }
}

#[tokio::test]
async fn a_frame_that_waits_for_our_own_caller_is_no_fault_of_its_producer_10_5() {
    let (_directory, endpoint) = socket();
    let mut source = fast(&endpoint, "max_frame_bytes = 65536\nbuffer_size = 1", 100).await;
    let mut peer = producer_at(&endpoint, &hello_of(1)).await;
    let mut bytes = Vec::new();
    for number in 1..=4u64 {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(50_000, 0);
        bytes.extend(data_frame(number, &payload));
    }
    let mut sent = 0;
    while sent < bytes.len() {
        match peer.wire.try_write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(_) => tokio::task::yield_now().await,
        }
        if sent > 150_000 {
            break;
        }
    }
    // A minute by its clock, in which it goes on speaking to us.
    let mut beats = 0;
    let minute = tokio::time::timeout(Duration::from_millis(600), async {
        while peer.frame().await.is_some() {
            beats += 1;
        }
    });
    assert!(minute.await.is_err(), "it hung up");
    assert!(beats >= 6, "it speaks while it does not read: {beats}");
    for number in 1..=3 {
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), number);
        assert!(delivery.gap().is_none());
    }
}

#[tokio::test]
async fn a_producer_that_reads_nothing_is_hung_up_on_10_5() {
    let (_directory, endpoint) = socket();
    let _source = fast(&endpoint, "heartbeat_ms = 1000", 1000).await;
    let deaf = producer_at(&endpoint, &hello_of(1)).await;
    // Heartbeats fill what the kernel holds for it; it speaks on, and is heard.
    let mut beat = Vec::new();
    frame::heartbeat(&mut beat, 0);
    let before = Instant::now();
    while deaf.wire.try_write(&beat).is_ok() {
        assert!(before.elapsed() < Duration::from_secs(60), "it is kept");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_an_ended_connection_left_behind_holds_no_descriptor_10_5() {
    let (_directory, endpoint) = socket();
    let (_registry, mut source) = listening(&endpoint, "").await;
    for producer in 0..5 {
        let mut peer = producer_at(&endpoint, &hello_of(producer)).await;
        let mut goodbye = data_frame(1, &[1; 8]);
        frame::control(&mut goodbye, frame::Kind::Bye, |_| {});
        peer.wire.try_write(&goodbye).unwrap();
        // The message waits for its receiver; the stream does not.
        while bounded(peer.frame()).await.is_some() {}
    }
    for _ in 0..5 {
        bounded(source.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn malformed_messages_end_their_connection_and_take_no_place_10_5() {
    let (_directory, endpoint) = socket();
    let (registry, mut source) = listening(&endpoint, "buffer_size = 4").await;
    for attack in 0..20 {
        let mut peer = producer_at(&endpoint, &hello_of(attack)).await;
        // It says that metadata follows, of more bytes than the frame has.
        let mut frame = data_frame(1, &[0xff; 8]);
        frame[5] = frame::FLAG_METADATA;
        peer.wire.try_write(&frame).unwrap();
        while bounded(peer.frame()).await.is_some() {}
    }
    let sink = registry.sink::<Message>("orders").unwrap();
    for number in 0..10 {
        bounded(sink.send(numbered(number))).await.unwrap();
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), number);
    }
}

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = usage.rsplit_once(") ").unwrap();
    let fields: Vec<u64> = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse().unwrap())
        .collect();
    Duration::from_millis(10 * (fields[0] + fields[1]))
}

/// The process of the next test that runs out of descriptors.
#[tokio::test]
async fn child_runs_out_of_descriptors() {
    let Ok(directory) = std::env::var("SINKS_TEST_DIRECTORY") else {
        return;
    };
    let endpoint = format!("unix://{directory}/orders.sock");
    let (_registry, mut source) = listening(&endpoint, "").await;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: Some(open + 6),
            maximum: limit.maximum,
        },
    )
    .unwrap();
    std::fs::write(format!("{directory}/ready"), "").unwrap();
    let before = cpu_time();
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    println!(
        "received {} after {} ms of CPU",
        number_of(delivery.payload()),
        (cpu_time() - before).as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepting_survives_want_of_descriptors_without_spinning_10_5() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let child = tokio::task::spawn_blocking(move || {
        in_a_child("security::child_runs_out_of_descriptors", |command| {
            command.env("SINKS_TEST_DIRECTORY", path);
        })
    });
    bounded(async {
        while !directory.path().join("ready").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    // More than it can take, for a second; each of them says nothing, so that it is dropped after two.
    let crowd: Vec<_> = (0..30)
        .map(|_| std::os::unix::net::UnixStream::connect(path_of(&endpoint)).unwrap())
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(crowd);
    let sink = registry_at(&endpoint, "")
        .sink::<Message>("orders")
        .unwrap();
    bounded(sink.send(numbered(5))).await.unwrap();
    let said = bounded(child).await.unwrap();
    let (_, after) = said
        .split_once("received 5 after ")
        .unwrap_or_else(|| panic!("{said}"));
    let spent: u64 = after.split(' ').next().unwrap().parse().unwrap();
    assert!(spent < 500, "{spent} ms of CPU");
}

#[tokio::test]
async fn a_peers_words_are_escaped_10_6() {
    let (_directory, endpoint) = socket();
    let (_registry, _source) = listening(&endpoint, "").await;
    let mut peer = Peer::new(raw(&endpoint).await);
    peer.wire.try_write(&hello("\u{1b}[31m\nrm -rf")).unwrap();
    let refuse = frame::Refuse::decode(&bounded(peer.frame()).await.unwrap()).unwrap();
    assert!(
        !refuse.reason.contains('\u{1b}') && !refuse.reason.contains('\n'),
        "{:?}",
        refuse.reason
    );
}

#[tokio::test]
async fn frames_that_only_a_relay_says_end_a_producers_connection_10_5() {
    let (_directory, endpoint) = socket();
    let (registry, mut source) = listening(&endpoint, "").await;
    let relayed: [fn(&mut Vec<u8>); 4] = [
        |out| frame::Producer::default().encode(out),
        |out| frame::Chunk::default().encode(out),
        |out| frame::RelayGap::default().encode(out),
        |out| frame::ack(out, 1),
    ];
    for (id, say) in (1..).zip(relayed) {
        let mut peer = producer_at(&endpoint, &hello_of(id)).await;
        peer.say(say);
        let ends = async { while peer.frame().await.is_some() {} };
        let ended = tokio::time::timeout(Duration::from_secs(5), ends).await;
        assert!(ended.is_ok(), "number {id} is taken");
    }
    let sink = registry.sink::<Message>("orders").unwrap();
    bounded(sink.send(numbered(7))).await.unwrap();
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!(number_of(delivery.payload()), 7);
    assert_eq!(source.ledger().gaps, 0);
}

/// A producer that asks for a shorter silence than the source's own gets it (docs/PROTOCOL.md, 3).
#[tokio::test]
async fn a_source_is_silent_no_longer_than_its_producer_asks_10_5() {
    let (_directory, endpoint) = socket();
    let (_registry, _source) = listening(&endpoint, "").await;
    for (id, asked, promised) in [(1, 0, 10_000), (2, 60_000, 10_000), (3, 500, 500)] {
        let mut peer = Peer::new(raw(&endpoint).await);
        peer.say(|out| {
            let hello = Hello {
                heartbeat_ms: asked,
                ..hello_of(id)
            };
            hello.encode(out);
        });
        let answer = bounded(peer.frame()).await.expect("an answer");
        let welcome = Welcome::decode(&answer).unwrap();
        assert_eq!(welcome.heartbeat_ms, promised);
        if asked == 500 {
            let next = bounded(peer.frame()).await.expect("a heartbeat");
            assert_eq!(next[4], Kind::Heartbeat as u8);
        }
    }
}
