//! Unix-domain sockets: private directories, peer uids on both sides, and a live socket is never replaced (PROMISES §10).

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::{UnixListener, UnixStream};

use super::{Endpoint, Listen, Target, Wire};

#[derive(Debug)]
struct UnixWire(UnixStream);

socket_wire!(UnixWire, |stream: &UnixStream| {
    let peer = stream.peer_cred().ok()?;
    Some(match peer.pid() {
        Some(process) => format!("process {process} of uid {}", peer.uid()),
        None => format!("a process of uid {}", peer.uid()),
    })
});

/// Connects, and makes sure of who is at the other end.
pub(super) async fn dial(target: &Target) -> io::Result<Arc<dyn Wire>> {
    let path = socket_path(&target.endpoint)?;
    let stream = UnixStream::connect(&path).await?;
    check_peer(&stream, own_uid()?, &target.allow_uids, &path)?;
    stream.writable().await?;
    Ok(Arc::new(UnixWire(stream)))
}

/// The uid this process acts as now, told by the kernel to the other end of a pair of sockets: the standard library
/// does not ask for it, and a library of system calls for this one would be a sixth of what we cost to compile.
fn own_uid() -> io::Result<u32> {
    let (ours, _theirs) = UnixStream::pair()?;
    Ok(ours.peer_cred()?.uid())
}

fn check_peer(stream: &UnixStream, own: u32, allow_uids: &[u32], path: &Path) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid == own || allow_uids.contains(&uid) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "uid {uid} is at the other end of {}, which is neither ours ({own}) nor in allow_uids",
            path.display()
        ),
    ))
}

/// The socket's path: as written, or the private one of a service that names none (PROMISES 10.1).
fn socket_path(endpoint: &Endpoint) -> io::Result<PathBuf> {
    match endpoint {
        Endpoint::Unix(path) => Ok(PathBuf::from(path)),
        Endpoint::UnixDefault(service) => Ok(runtime_directory()?.join(format!("{service}.sock"))),
        other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{other} is no Unix socket"),
        )),
    }
}

/// `$XDG_RUNTIME_DIR/sinks`, else `/run/user/<uid>/sinks`, else `/tmp/sinks-<uid>`.
fn runtime_directory() -> io::Result<PathBuf> {
    if let Some(directory) =
        std::env::var_os("XDG_RUNTIME_DIR").filter(|value| Path::new(value).is_absolute())
    {
        return Ok(PathBuf::from(directory).join("sinks"));
    }
    let uid = own_uid()?;
    let user = PathBuf::from(format!("/run/user/{uid}"));
    Ok(if user.is_dir() {
        user.join("sinks")
    } else {
        PathBuf::from(format!("/tmp/sinks-{uid}"))
    })
}

/// Makes the private directory, or makes sure that an existing one is ours alone.
fn private_directory(directory: &Path, own: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(io::Error::new(
                error.kind(),
                format!("cannot create {}: {error}", directory.display()),
            ));
        }
    }
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || metadata.uid() != own || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} must be a directory of uid {own} with mode 0700",
                directory.display()
            ),
        ));
    }
    Ok(())
}

/// Listens on a socket file that it alone owns.
#[derive(Debug)]
pub(super) struct UnixListen {
    listener: UnixListener,
    path: PathBuf,
    /// Which file our socket is: in its place may lie another by now.
    file: Option<(u64, u64)>,
    endpoint: Endpoint,
    /// Whose the socket file is; asked once, so that a process short of descriptors need not ask to accept.
    own: u32,
    allow_uids: Vec<u32>,
    _lock: Lock,
}

impl UnixListen {
    pub(super) fn bind(target: &Target) -> io::Result<Self> {
        let own = own_uid()?;
        let path = socket_path(&target.endpoint)?;
        if let (Endpoint::UnixDefault(_), Some(directory)) = (&target.endpoint, path.parent()) {
            private_directory(directory, own)?;
        }
        let lock = Lock::take(&path)?;
        remove_dead(&path, own)?;
        let listener = UnixListener::bind(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let file = which(&path);
        fs::set_permissions(
            &path,
            fs::Permissions::from_mode(if target.allow_uids.is_empty() {
                0o600
            } else {
                0o666
            }),
        )?;
        let endpoint = Endpoint::Unix(path.display().to_string());
        Ok(Self {
            listener,
            path,
            file,
            endpoint,
            own,
            allow_uids: target.allow_uids.clone(),
            _lock: lock,
        })
    }
}

impl Listen for UnixListen {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Wire>>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(
            check_peer(&stream, self.own, &self.allow_uids, &self.path)
                .map(|()| Arc::new(UnixWire(stream)) as Arc<dyn Wire>),
        )
    }

    fn local_endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }
}

impl Drop for UnixListen {
    fn drop(&mut self) {
        // The lock is still held; but somebody may have cleared both files away, and others have taken the place.
        if which(&self.path) == self.file {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Which file lies at a path, by device and number; `None` if there is none.
fn which(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The lock file beside a socket, gone when it is dropped: who holds it owns the socket file.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    file: File,
}

/// Retries when the lock file was removed between opening and locking it.
const LOCK_ATTEMPTS: usize = 16;

impl Lock {
    fn take(socket: &Path) -> io::Result<Self> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        for _ in 0..LOCK_ATTEMPTS {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)
                .map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(socket)),
                Err(TryLockError::Error(error)) => {
                    return Err(io::Error::new(
                        error.kind(),
                        format!("cannot lock {}: {error}", path.display()),
                    ));
                }
            }
            let still_there = fs::metadata(&path)
                .is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() == now.ino()));
            if still_there {
                return Ok(Self { path, file });
            }
        }
        Err(in_use(socket))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let ours = self.file.metadata();
        if ours.is_ok_and(|ours| which(&self.path) == Some((ours.dev(), ours.ino()))) {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

fn in_use(socket: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrInUse,
        format!(
            "{} is served already: by another process, or by a source of this one that is still closing",
            socket.display()
        ),
    )
}

/// Removes what a dead process of ours left behind; anything else in that place is an error.
fn remove_dead(path: &Path, own: u32) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is not a socket and is left alone", path.display()),
        ));
    }
    if metadata.uid() != own {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} belongs to uid {}, not to ours ({own})",
                path.display(),
                metadata.uid()
            ),
        ));
    }
    // Somebody without our lock file may still listen there: probe before removing.
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(in_use(path)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}
