//! §2.9 A sink outlives the runtimes it is used from.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sink_runtime::{DynSink, Message, MessageSink, Outcome, SendErrorKind, ServiceRegistry};
use tokio::runtime::{Builder, Runtime};

use crate::support::*;

fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Receives on a thread of its own until it is told to end.
struct Collector {
    got: Arc<(Mutex<Vec<u64>>, Condvar)>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Collector {
    fn start(registry: &Arc<ServiceRegistry>) -> Self {
        let got = Arc::<(Mutex<Vec<u64>>, Condvar)>::default();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let (registry, into) = (Arc::clone(registry), Arc::clone(&got));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            single().block_on(async move {
                let mut source = registry.source::<Message>("orders").unwrap();
                source.start().await.unwrap();
                ready.send(()).unwrap();
                loop {
                    tokio::select! {
                        delivery = source.recv() => {
                            let number = number_of(delivery.unwrap().unwrap().payload());
                            into.0.lock().unwrap().push(number);
                            into.1.notify_all();
                        }
                        _ = &mut stopped => break,
                    }
                }
            });
        });
        is_ready.recv_timeout(BOUND).unwrap();
        Self {
            got,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn wait_for(&self, count: usize) -> Vec<u64> {
        let (numbers, changed) = &*self.got;
        let (numbers, timeout) = changed
            .wait_timeout_while(
                numbers.lock().unwrap(),
                Duration::from_secs(60),
                |numbers| numbers.len() < count,
            )
            .unwrap();
        assert!(!timeout.timed_out(), "{} of {count} arrived", numbers.len());
        numbers.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

#[test]
fn one_sink_under_three_runtimes_in_turn_loses_nothing_2_9() {
    for more in ["", "delivery = \"at_least_once\""] {
        let (_directory, endpoint) = socket();
        let registry = registry_at(&endpoint, more);
        let collector = Collector::start(&registry);
        let sink = registry.sink::<Message>("orders").unwrap();
        for turn in 0..3u64 {
            let runtime = single();
            runtime.block_on(async {
                for number in 0..100 {
                    bounded(sink.send(numbered(turn * 100 + number)))
                        .await
                        .unwrap();
                }
                // The first turn leaves without a word; what it leaves behind the next one carries on with.
                if turn > 0 {
                    bounded(sink.flush()).await.unwrap();
                }
            });
            drop(runtime);
            ledger(&sink);
        }
        let got = collector.wait_for(300);
        assert_eq!(got, (0..300).collect::<Vec<_>>(), "{more}");
        assert_eq!(ledger(&sink).done, 300);
    }
}

#[test]
fn of_two_runtimes_at_once_one_may_die_under_load_2_9() {
    for round in 0..6u64 {
        let (_directory, endpoint) = socket();
        let registry = registry_at(
            &endpoint,
            "delivery = \"at_least_once\"\nbuffer_size = 50\nreconnect_delay_ms = 5",
        );
        let collector = Collector::start(&registry);
        let sink = registry.sink::<Message>("orders").unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        // The dying one comes first, so that it drives the link.
        let dying = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (alive, ended) = std::sync::mpsc::channel::<()>();
        for sender in 0..4u64 {
            let (sink, accepted) = (sink.clone(), Arc::clone(&accepted));
            let alive = alive.clone();
            dying.spawn(async move {
                let _alive = alive;
                for number in 0.. {
                    if sink
                        .send(numbered(1_000_000 * (sender + 1) + number))
                        .await
                        .is_ok()
                    {
                        accepted.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let surviving = thread::spawn({
            let sink = sink.clone();
            move || {
                single().block_on(async {
                    for number in 0..2_000 {
                        bounded(sink.send(numbered(number))).await.unwrap();
                    }
                    bounded(sink.flush()).await.unwrap();
                });
            }
        });
        // It dies under load, each time at another point.
        block_until(|| accepted.load(Ordering::SeqCst) > 300 * round);
        if round % 2 == 0 {
            drop(dying);
        } else {
            dying.shutdown_background();
        }
        surviving
            .join()
            .expect("the survivor neither hangs nor fails");
        drop(alive);
        // `shutdown_background` does not wait for its workers: who still sends has the ledger change while it is read.
        assert!(
            ended
                .recv_timeout(BOUND)
                .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected)
        );
        // Whatever was accepted is there, once; a send that died with its runtime may be.
        single().block_on(async { bounded(sink.flush()).await.unwrap() });
        let ledger = ledger(&sink);
        let got = collector.wait_for(ledger.done as usize);
        let mut unique = got.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), got.len(), "doubled");
        assert_eq!(got.len() as u64, ledger.done, "{ledger:?}");
        assert!(
            ledger.done >= 2_000 + accepted.load(Ordering::SeqCst),
            "{ledger:?}"
        );
        let survivors: Vec<u64> = got
            .iter()
            .copied()
            .filter(|number| *number < 1_000_000)
            .collect();
        assert_eq!(survivors, (0..2_000).collect::<Vec<_>>(), "order");
    }
}

/// A source goes on under another runtime: where the system chose the port, too, and also if it waits there already.
#[test]
fn a_source_whose_runtime_ended_listens_again_under_the_next_2_9() {
    for waits in [false, true] {
        let registry = registry_at("tcp://127.0.0.1:1", "bind = \"tcp://127.0.0.1:0\"");
        let mut source = registry.source::<Message>("orders").unwrap();
        let first = single();
        let local = first.block_on(source.start()).unwrap().to_string();
        let registry = registry_at(
            &local,
            "delivery = \"at_least_once\"\nreconnect_delay_ms = 5",
        );
        let sink = registry.sink::<Message>("orders").unwrap();
        first.block_on(async {
            bounded(sink.send(numbered(1))).await.unwrap();
            let next = bounded(source.recv()).await.unwrap().unwrap();
            assert_eq!(number_of(next.payload()), 1);
        });
        let second = single();
        second.block_on(async {
            if waits {
                assert!(poll_once(source.recv()).is_none());
            }
            let receiving = tokio::spawn(async move {
                let next = bounded(source.recv()).await.unwrap().unwrap();
                (number_of(next.payload()), next.gap().copied(), source)
            });
            if waits {
                settle().await;
            }
            // Where its runtime ends is no matter.
            thread::spawn(move || drop(first)).join().unwrap();
            bounded(sink.send(numbered(2))).await.unwrap();
            let (number, gap, source) = bounded(receiving).await.unwrap();
            assert_eq!((number, gap), (2, None));
            assert_eq!(source.local_endpoint().unwrap().to_string(), local);
            bounded(sink.flush()).await.unwrap();
        });
        ledger(&sink);
    }
}

/// Outside any runtime it says so, and loses nothing by it.
#[test]
fn a_source_whose_runtime_ended_says_so_where_there_is_none_2_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let mut source = registry.source::<Message>("orders").unwrap();
    let first = single();
    first.block_on(source.start()).unwrap();
    drop(first);
    for _ in 0..2 {
        let answer = poll_once(source.recv()).expect("an answer");
        assert!(matches!(
            answer,
            Some(Err(sink_runtime::SourceError::NoRuntime { .. }))
        ));
    }
    single().block_on(async {
        bounded(source.start()).await.unwrap();
    });
}

#[test]
fn a_runtime_dropped_in_the_middle_of_a_frame_leaves_it_to_the_next_2_9() {
    for more in ["", "delivery = \"at_least_once\""] {
        let net = Net::new(|attempt| {
            Answer::Connect(Rules {
                chunk: 1000,
                budget: if attempt == 0 { 50_000 } else { usize::MAX },
                capacity: 4 << 20,
                ..Rules::default()
            })
        });
        let sink = sink_over(&net, more);
        let first = single();
        let mut torn = first.block_on(async {
            bounded(sink.send(Message::new(vec![7; 500_000])))
                .await
                .unwrap();
            bounded(sink.send(numbered(2))).await.unwrap();
            let peer = bounded(net.greet()).await;
            settle().await;
            peer
        });
        assert_eq!(sink.state().name(), "ready");
        drop(first);
        assert_eq!(sink.state().name(), "idle");
        let held = ledger(&sink);
        assert_eq!((held.buffered, held.unknown), (2, 0), "{held:?}");
        single().block_on(async {
            let flushing = tokio::spawn({
                let sink = sink.clone();
                async move { sink.flush().await }
            });
            let mut peer = bounded(net.greet()).await;
            let (sequence, payload) = bounded(peer.data()).await.unwrap();
            assert_eq!((sequence, payload.len()), (1, 500_000));
            assert!(payload.iter().all(|byte| *byte == 7));
            assert_eq!(bounded(peer.data()).await.unwrap().0, 2);
            peer.ack(2);
            bounded(flushing).await.unwrap().unwrap();
            assert!(bounded(torn.data()).await.is_none());
            assert!(torn.is_torn(), "the first connection carried half a frame");
        });
        assert_eq!(ledger(&sink).done, 2);
    }
}

#[test]
fn a_waiter_on_another_runtime_carries_on_when_the_driver_dies_2_9() {
    let net = Net::new(|attempt| {
        if attempt == 0 {
            Answer::Hang
        } else {
            Answer::Connect(Rules::default())
        }
    });
    let sink = sink_over(&net, "");
    let first = single();
    first.block_on(async {
        sink.send(numbered(1)).await.unwrap();
        settle().await;
    });
    assert_eq!(net.dials(), 1);
    let (waits, is_waiting) = std::sync::mpsc::channel();
    let waiting = thread::spawn({
        let (sink, net) = (sink.clone(), Arc::clone(&net));
        move || {
            single().block_on(async {
                let flushing = tokio::spawn(async move { sink.flush().await });
                settle().await;
                waits.send(()).unwrap();
                let mut peer = bounded(net.greet()).await;
                assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 1);
                bounded(flushing).await.unwrap().unwrap();
            });
        }
    });
    is_waiting.recv_timeout(BOUND).unwrap();
    drop(first);
    waiting.join().unwrap();
    assert_eq!(ledger(&sink).done, 1);
}

/// Sends a last message when it is dropped.
struct LastWords {
    sink: DynSink,
    said: Arc<Mutex<Option<bool>>>,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let result = self.sink.try_send(numbered(99));
        *self.said.lock().unwrap() = Some(result.is_ok());
    }
}

#[test]
fn a_send_from_a_drop_during_shutdown_does_not_panic_and_is_not_lost_2_9() {
    for background in [false, true] {
        let (_directory, endpoint) = socket();
        let registry = registry_at(&endpoint, "");
        let sink = registry.sink::<Message>("orders").unwrap();
        let said = Arc::<Mutex<Option<bool>>>::default();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let words = LastWords {
            sink: sink.clone(),
            said: Arc::clone(&said),
        };
        runtime.block_on(async {
            sink.send(numbered(1)).await.unwrap();
            let (runs, is_running) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                let _words = words;
                runs.send(()).unwrap();
                std::future::pending::<()>().await;
            });
            bounded(is_running).await.unwrap();
        });
        if background {
            runtime.shutdown_background();
        } else {
            drop(runtime);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        let taken = loop {
            if let Some(taken) = *said.lock().unwrap() {
                break taken;
            }
            assert!(Instant::now() < deadline, "the drop hangs");
            thread::sleep(Duration::from_millis(1));
        };
        let collector = Collector::start(&registry);
        single().block_on(async { bounded(sink.flush()).await.unwrap() });
        let expected = if taken { vec![1, 99] } else { vec![1] };
        assert_eq!(collector.wait_for(expected.len()), expected);
        let ledger = ledger(&sink);
        assert_eq!(ledger.done, expected.len() as u64, "{ledger:?}");
    }
}

#[test]
fn without_any_runtime_a_send_is_refused_and_gives_back_2_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let sink = registry.sink::<Message>("orders").unwrap();
    let error = sink.try_send(numbered(1)).unwrap_err();
    assert!(
        matches!(error.kind(), SendErrorKind::NoRuntime { .. }),
        "{error}"
    );
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(number_of(error.into_message().unwrap().payload()), 1);
    assert!(poll_once(sink.connect()).expect("at once").is_err());
    poll_once(sink.flush()).expect("at once").unwrap();
    let _ = poll_once(sink.disconnect()).expect("at once");
    poll_once(sink.ready()).expect("at once");
    let report = poll_once(sink.close(Duration::from_secs(1))).expect("at once");
    assert!(report.is_clean() && report.ledger.is_balanced());
}

#[test]
fn a_thread_outside_any_runtime_may_send_while_one_drives_the_link_2_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let collector = Collector::start(&registry);
    let sink = registry.sink::<Message>("orders").unwrap();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { bounded(sink.connect()).await.unwrap() });
    for number in 0..1000 {
        while let Err(error) = sink.try_send(numbered(number)) {
            assert!(error.is_full(), "{error}");
            thread::yield_now();
        }
    }
    assert_eq!(sink.blocking_send(numbered(1000)).unwrap().sequence(), 1001);
    assert_eq!(collector.wait_for(1001), (0..=1000).collect::<Vec<_>>());
    drop(runtime);
    assert!(matches!(
        sink.try_send(numbered(1001)).unwrap_err().kind(),
        SendErrorKind::NoRuntime { .. }
    ));
    ledger(&sink);
}

#[test]
fn a_close_while_a_write_is_under_way_forgets_nothing_8_1() {
    // Senders, a driver on another thread, and a close without patience: every message is in one place.
    for round in 0..30 {
        let (_directory, endpoint) = socket();
        let registry = registry_at(&endpoint, "");
        let collector = Collector::start(&registry);
        let sink = registry.sink::<Message>("orders").unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { bounded(sink.connect()).await.unwrap() });
        let stop = Arc::new(AtomicBool::new(false));
        let reached = Arc::new(AtomicU64::new(0));
        let sender = thread::spawn({
            let (sink, stop) = (sink.clone(), Arc::clone(&stop));
            let reached = Arc::clone(&reached);
            move || {
                let mut accepted = 0;
                while !stop.load(Ordering::SeqCst) {
                    accepted += u64::from(sink.try_send(numbered(accepted)).is_ok());
                    reached.store(accepted, Ordering::SeqCst);
                }
                accepted
            }
        });
        block_until(|| reached.load(Ordering::SeqCst) > 1_000 * (round % 5));
        let report = single().block_on(async { bounded(sink.close(Duration::ZERO)).await });
        stop.store(true, Ordering::SeqCst);
        let accepted = sender.join().unwrap();
        let ledger = ledger(&sink);
        assert!(report.ledger.is_balanced());
        assert_eq!(
            ledger.done + ledger.dropped.closed + ledger.unknown,
            accepted,
            "{ledger:?}"
        );
        assert_eq!(
            report.undelivered.len() as u64,
            ledger.dropped.closed + ledger.unknown,
            "{ledger:?}"
        );
        drop(collector);
    }
}

/// A resolver that must wait for its answer.
struct Slow;

impl sink_runtime::Resolver for Slow {
    fn provision_connection<'a>(
        &'a self,
        _: &'a str,
    ) -> sink_runtime::transport::BoxFuture<
        'a,
        Result<Arc<ServiceRegistry>, sink_runtime::RegistryError>,
    > {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_factory_whose_resolver_must_wait_is_refused_outside_a_runtime_2_9() {
    let factory = sink_runtime::SinkFactory::with_resolver(Arc::new(Slow));
    let error = poll_once(factory.create_sink("orders"))
        .expect("it does not wait")
        .unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
