//! Core NATS: publisher, server, subscriber, by the official client. The server is started here and stopped with the bench.
//!
//! - TCP on loopback, because the server knows no Unix sockets; its port is its own choice, told in a file.
//! - `publish` per message and one `flush` at the end, as the client's documentation and its own benches do; the client writes
//!   what is waiting at once. A subject made once, not checked again for each message.
//! - Core NATS drops what a subscriber cannot hold. The subscription holds two rounds, and the server's own bound for a slow
//!   consumer (64 MB) holds one, so that a round is complete or fails, never fewer messages faster.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Subject, Subscriber};
use tokio::runtime::Runtime;
use tokio_stream::StreamExt;

use crate::peer::{Bind, Doing, Flood, Receive, Single, stamp};
use crate::support::{self, BYTES, PAYLOAD};

/// How long the server may take to tell its port.
const START: Duration = Duration::from_secs(20);

/// A server of this bench's own, stopped when this goes.
pub struct Server {
    child: Child,
    url: String,
    about: String,
}

impl Server {
    /// Starts it on loopback.
    ///
    /// # Errors
    /// Why there is none, for the report.
    pub fn start(directory: &Path) -> Result<Self, String> {
        let program = program().ok_or("no `nats-server` in PATH, /usr/sbin or /usr/local/sbin")?;
        let version = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let mut server = Self {
            child: spawn(&program, directory)?,
            url: String::new(),
            about: format!(
                "{version}, async-nats {}, TCP on loopback",
                crate::locked("async-nats")
            ),
        };
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(url) = told(directory) {
                server.url = url;
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("`nats-server` ended at once: {status}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("`nats-server` told no port within {START:?}"))
    }

    /// What runs.
    pub fn about(&self) -> String {
        self.about.clone()
    }

    /// CPU time of all the server's threads so far.
    pub fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let nanos = threads
            .expect("a server that runs")
            .flatten()
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanos)
    }

    /// Publisher and subscriber of one subject.
    pub fn subject(
        &self,
        runtime: &Runtime,
        name: &'static str,
        may_wait: usize,
    ) -> (Publisher, Bind) {
        let subject = Subject::from_static(name);
        let client = runtime.block_on(connect(self.url.clone(), may_wait));
        let (url, theirs) = (self.url.clone(), subject.clone());
        let bind = move || Box::new(Subscription::of(url, theirs, may_wait)) as Box<dyn Receive>;
        (Publisher { client, subject }, Box::new(bind))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Debian puts it is not in everybody's PATH.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join("nats-server"))
        .find(|file| file.is_file())
}

/// With `setpriv`, where it exists, the server goes too if this process is killed.
fn spawn(program: &Path, directory: &Path) -> Result<Child, String> {
    let log =
        std::fs::File::create(directory.join("nats.log")).map_err(|error| error.to_string())?;
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "KILL"]).arg(program);
    let mut last = String::new();
    for mut command in [guarded, Command::new(program)] {
        let log = log.try_clone().map_err(|error| error.to_string())?;
        command
            .args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) => last = format!("`nats-server` does not start: {error}"),
        }
    }
    Err(last)
}

/// The address in the file that the server writes once it listens.
fn told(directory: &Path) -> Option<String> {
    let file = std::fs::read_dir(directory)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "ports"))?;
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.to_owned())
}

async fn connect(url: String, may_wait: usize) -> Client {
    ConnectOptions::new()
        .subscription_capacity(may_wait)
        .skip_subject_validation(true)
        .connect(url)
        .await
        .expect("a server that listens")
}

pub struct Publisher {
    client: Client,
    subject: Subject,
}

impl Publisher {
    async fn publish(&self, payload: bytes::Bytes) {
        self.client
            .publish(self.subject.clone(), payload)
            .await
            .expect("a connection");
    }
}

impl Flood for Publisher {
    fn flood(&mut self, messages: u64) -> Doing<'_> {
        Box::pin(async move {
            for _ in 0..messages {
                self.publish(bytes::Bytes::from_static(&PAYLOAD[..BYTES]))
                    .await;
            }
            self.client.flush().await.expect("a connection");
        })
    }
}

impl Single for Publisher {
    fn one(&mut self, message: [u8; BYTES]) -> Doing<'_> {
        Box::pin(async move {
            self.publish(bytes::Bytes::copy_from_slice(&message)).await;
            self.client.flush().await.expect("a connection");
        })
    }
}

struct Subscription {
    runtime: Runtime,
    messages: Subscriber,
}

impl Subscription {
    /// Subscribes, and waits for a message of its own: only then will the server pass on what others publish.
    fn of(url: String, subject: Subject, may_wait: usize) -> Self {
        let runtime = support::current_thread();
        let messages = runtime.block_on(async {
            let client = connect(url, may_wait).await;
            let mut messages = client.subscribe(subject.clone()).await.expect("a subject");
            client
                .publish(subject, bytes::Bytes::from_static(b"is it there?"))
                .await
                .expect("a connection");
            messages.next().await.expect("a connection");
            messages
        });
        Self { runtime, messages }
    }
}

impl Receive for Subscription {
    fn next(&mut self) -> Option<u64> {
        let message = self.runtime.block_on(self.messages.next())?;
        Some(stamp(&message.payload))
    }

    fn count(&mut self, told: &dyn Fn(u64)) {
        let messages = &mut self.messages;
        self.runtime.block_on(async {
            let mut total = 0;
            while messages.next().await.is_some() {
                total += 1;
                told(total);
            }
        });
    }
}
