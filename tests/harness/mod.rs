//! Real processes in surroundings of their own: a folder, a socket and a port per run, output collected line by line,
//! every wait bounded, nothing left behind. Knows the example's command line; what a run must show is for the tests.
#![allow(dead_code, reason = "each test uses what it needs of it")]
#![allow(
    clippy::unwrap_used,
    reason = "in a test, anything unexpected is a failure"
)]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take that should take a moment; generous, because machines that test are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a file is looked at that something is waited for in.
const GLANCE: Duration = Duration::from_millis(5);

/// One run's surroundings.
pub(crate) struct Rig {
    folder: TempDir,
    feed: String,
}

/// A process of a run. Dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

/// What a process said so far, on stdout and stderr.
#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    said: Vec<String>,
    open: usize,
}

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: Vec<String>,
}

/// What a consumer says at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) missing: u64,
    pub(crate) duplicated: u64,
}

// === impl Rig ===

impl Rig {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The port is free now, and nobody else is likely to be given it before the feed takes it.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self {
            folder,
            feed: format!("127.0.0.1:{port}"),
        }
    }

    /// A path in the run's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the example with `args`.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Process {
        Process::start(name, self.command("polygon_adapter").args(args))
    }

    pub(crate) fn start_feed(&self, recording: &Path, speed: &str) -> Process {
        let recording = recording.to_str().unwrap();
        self.start(
            "feed",
            &[
                "--role", "feed", "--listen", &self.feed, "--input", recording, "--speed", speed,
            ],
        )
    }

    pub(crate) fn start_relay(&self) -> Process {
        self.start("relay", &["--role", "relay"])
    }

    pub(crate) fn start_adapter(&self) -> Process {
        self.start(
            "adapter",
            &[
                "--role",
                "adapter",
                "--feed",
                &format!("ws://{}", self.feed),
            ],
        )
    }

    /// A consumer that writes what it receives to `name`.csv.
    pub(crate) fn start_consumer(&self, name: &str) -> Process {
        let out = self.path(&format!("{name}.csv"));
        self.start(
            name,
            &["--role", "consumer", "--out", out.to_str().unwrap()],
        )
    }

    /// A command that runs an example in these surroundings: its own socket, and no registry but the compiled-in one.
    pub(crate) fn command(&self, example: &str) -> Command {
        let mut command = Command::new(binary(example));
        let socket = format!("unix://{}", self.path("relay.sock").display());
        command
            .env("SINKS__MARKET_DATA_RELAY__ENDPOINT", socket)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env_remove("SINKS_REGISTRY")
            .env_remove("SINKS_PROFILE")
            .current_dir(self.folder.path());
        command
    }

    /// Waits until `name`.csv has so many rows on disk.
    pub(crate) fn wait_for_rows(&self, name: &str, rows: usize) {
        let path = self.path(&format!("{name}.csv"));
        let until = Instant::now() + PATIENCE;
        while fs::read_to_string(&path).map_or(0, |text| text.lines().count()) <= rows {
            assert!(
                Instant::now() < until,
                "{name}.csv has not come to {rows} rows within {PATIENCE:?}"
            );
            thread::sleep(GLANCE);
        }
    }

    /// The values of `column` in `name`.csv.
    pub(crate) fn column(&self, name: &str, column: &str) -> Vec<u64> {
        let mut rows = csv::Reader::from_path(self.path(&format!("{name}.csv"))).unwrap();
        let at = rows
            .headers()
            .unwrap()
            .iter()
            .position(|name| name == column)
            .unwrap();
        rows.records()
            .map(|row| row.unwrap()[at].parse().unwrap())
            .collect()
    }
}

/// Writes `count` hand-made swaps to a `.jsonl` recording: block `n` holds the `n`th, a second after the one before.
pub(crate) fn swaps(path: &Path, count: u64) {
    let mut text = String::new();
    for block in 0..count {
        let word = |number: u128| format!("{number:064x}");
        let data = [
            word(1 + u128::from(block)),
            "f".repeat(64),
            word(1 << 96),
            word(u128::MAX),
            word(7),
        ]
        .concat();
        writeln!(
            text,
            r#"{{"address":"0x45dda9cb7c25131df268515131f647d726f50608","topics":["0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67","0x{sender}","0x{sender}"],"data":"0x{data}","blockNumber":"{block:#x}","transactionHash":"0x{block:064x}","transactionIndex":"0x0","logIndex":"0x0","blockTimestamp":"{block:#x}"}}"#,
            sender = word(0x11),
        )
        .unwrap();
    }
    fs::write(path, text).unwrap();
}

// === impl Process ===

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Output::default());
        output.lines.lock().unwrap().open = 2;
        collect(child.stdout.take().unwrap(), &output);
        collect(child.stderr.take().unwrap(), &output);
        Self {
            name: name.to_owned(),
            child,
            output,
        }
    }

    /// Waits for a line that contains `part`.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let says = |lines: &Lines| lines.said.iter().find(|line| line.contains(part)).cloned();
        let said = self.wait_until(
            |lines| lines.open == 0 || says(lines).is_some(),
            |lines| says(lines),
        );
        said.flatten()
            .unwrap_or_else(|| panic!("{} does not say `{part}`:\n{}", self.name, self.said()))
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> Ended {
        let said = self.wait_until(
            |lines| lines.open == 0,
            |lines| std::mem::take(&mut lines.said),
        );
        let said = said.unwrap_or_else(|| {
            panic!(
                "{} has not ended within {PATIENCE:?}:\n{}",
                self.name,
                self.said()
            )
        });
        Ended {
            status: self.child.wait().unwrap(),
            said,
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.output.lines.lock().unwrap().open == 0
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        self.output.lines.lock().unwrap().said.join("\n")
    }

    /// Waits until `done`, and takes what `take` takes; nothing if it does not come in time. Panics nowhere: others read on.
    fn wait_until<T>(
        &self,
        done: impl Fn(&Lines) -> bool,
        take: impl FnOnce(&mut Lines) -> T,
    ) -> Option<T> {
        let lines = self.output.lines.lock().unwrap();
        let waited = self
            .output
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| !done(lines));
        let (mut lines, _) = waited.unwrap();
        done(&lines).then(|| take(&mut lines))
    }

    /// Ends it with SIGKILL, as a power cut would, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = output.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.lines.lock().unwrap().said.push(line);
            output.more.notify_all();
        }
        output.lines.lock().unwrap().open -= 1;
        output.more.notify_all();
    });
}

// === impl Ended ===

impl Ended {
    pub(crate) fn text(&self) -> String {
        self.said.join("\n")
    }

    /// The line that begins with `part`.
    pub(crate) fn line(&self, part: &str) -> &str {
        let line = self
            .said
            .iter()
            .find(|line| line.trim_start().starts_with(part));
        line.unwrap_or_else(|| panic!("no line `{part}`:\n{}", self.text()))
    }

    /// The count of a consumer's last line.
    pub(crate) fn count(&self) -> Count {
        let line = self.line("consumer: sent ");
        let mut numbers = line
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty());
        let mut next = || {
            numbers
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("{line}"))
        };
        Count {
            sent: next(),
            received: next(),
            lost: next(),
            missing: next(),
            duplicated: next(),
        }
    }
}

// === many at once ===

/// Runs `run` on each of `cases`, `at_once` of them at a time; panics name the case.
pub(crate) fn concurrently<C: std::fmt::Debug + Send + Sync>(
    cases: Vec<C>,
    at_once: usize,
    run: impl Fn(&C) + Sync,
) {
    let queue = Mutex::new(VecDeque::from(cases));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let done =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&case)));
                    if let Err(panic) = done {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| {
                            panic.downcast_ref::<&str>().map(|text| (*text).to_owned())
                        });
                        failed
                            .lock()
                            .unwrap()
                            .push(format!("{case:?}: {}", text.unwrap_or_default()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}

/// All orders of `items`.
pub(crate) fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for at in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(at);
        orders.extend(self::orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first.clone());
            order
        }));
    }
    orders
}

// === the binary ===

/// The example's binary, built from what stands there now: a test run of one target alone does not build examples.
fn binary(example: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--examples", "--package", "sinks"])
            .arg("--target-dir");
        build
            .arg(profile.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build.status().unwrap().success(),
            "the examples do not build"
        );
        profile.join("examples")
    });
    folder.join(format!("{example}{}", std::env::consts::EXE_SUFFIX))
}
