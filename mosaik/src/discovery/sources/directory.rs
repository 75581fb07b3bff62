//! The directory through which nodes of one user on one machine find each other.
//!
//! `<id>.lock` is locked for as long as the node lives, `<id>.entry` holds its signed entry. An
//! entry whose lock can be taken belongs to a node that has died. Only what belongs to this user,
//! and to nobody else, is ever opened; links are not followed; sizes are bounded.

use std::{
    env,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, mkdirat,
        openat, renameat, statat, unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use crate::{
    discovery::{
        derived::directory_name,
        entry::{MAX_ENTRY_BYTES, RawEntry, SignedPeerEntry},
        refusal::Refusal,
        shared::Shared,
    },
    id::{NetworkId, PeerId},
    schema,
    ticket::MAX_TICKETS_BYTES,
};

/// The largest file that is read, in bytes: an entry with its signature, beat and tickets.
const MAX_FILE_BYTES: usize = MAX_ENTRY_BYTES + MAX_TICKETS_BYTES + 1024;
/// The most files that are looked at in one pass.
const MAX_FILES: usize = 8192;
/// How often a lock is tried that somebody holds for a moment, to see whether its owner lives.
const LOCK_TRIES: usize = 5;
/// How often the directory is made again that somebody removes: where nodes come and go without a
/// pause, every second try may be in vain.
const OPEN_TRIES: usize = 128;
/// After so many tries in vain, a pause of a millisecond is made before each.
const OPEN_TRIES_AT_ONCE: usize = 16;

const PRIVATE_DIRECTORY: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const ENTRY: &str = ".entry";

/// The open directory, with this node's place in it.
#[derive(Debug)]
pub(in crate::discovery) struct LocalDirectory {
    path: PathBuf,
    name: String,
    parent: OwnedFd,
    directory: OwnedFd,
    me: PeerId,
    /// Held for its lock; none if another process holds it under the same id.
    lock: Option<File>,
}

impl LocalDirectory {
    /// Opens, or makes, the directory of a network, and takes this node's lock in it.
    ///
    /// Fails if the directory is not this user's alone.
    pub(in crate::discovery) fn open(
        base: Option<&Path>,
        network: &NetworkId,
        me: PeerId,
    ) -> io::Result<Self> {
        let name = directory_name(network);
        let (base, parent) = match base {
            Some(base) => (base.to_owned(), open_private(CWD, base)?),
            None => open_default_base()?,
        };
        let path = base.join(&name);
        let directory = open_private(&parent, Path::new(&name))?;
        let mut this = Self { path, name, parent, directory, me, lock: None };
        for attempt in 0..OPEN_TRIES {
            match this.take_own_lock() {
                // The last node in it has left just now and taken the directory along.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if attempt >= OPEN_TRIES_AT_ONCE {
                        thread::sleep(Duration::from_millis(1));
                    }
                    this.directory = open_private(&this.parent, Path::new(&this.name))?;
                }
                lock => {
                    this.lock = lock?;
                    return Ok(this);
                }
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    pub(in crate::discovery) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes this node's entry, to be seen as a whole or not at all.
    pub(in crate::discovery) fn publish(&self, entry: &SignedPeerEntry) -> io::Result<()> {
        if !self.holds_place() {
            return Ok(());
        }
        let bytes = postcard::to_stdvec(&entry.to_raw_with_tickets()).map_err(io::Error::other)?;
        let temporary = format!("{}.tmp", self.me);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file = self.open_file(&temporary, flags)?;
        file.write_all(&bytes)?;
        Ok(renameat(&self.directory, &temporary, &self.directory, entry_name(&self.me))?)
    }

    /// The entries of all living nodes but this one; those of dead ones are removed.
    pub(in crate::discovery) fn entries(
        &self,
        shared: &Shared,
    ) -> io::Result<Vec<SignedPeerEntry>> {
        let names = Dir::read_from(&self.directory)?.take(MAX_FILES);
        let peers = names.filter_map(|file| peer_of_entry(file.ok()?.file_name().to_str().ok()?));
        Ok(peers.filter_map(|peer| self.entry_of(&peer, shared)).collect())
    }

    /// The entry of a node, if it lives.
    pub(in crate::discovery) fn entry_of(
        &self,
        peer: &PeerId,
        shared: &Shared,
    ) -> Option<SignedPeerEntry> {
        if *peer == self.me {
            return None;
        }
        let bytes = match self.read(&entry_name(peer)) {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::debug!(%peer, %error, "an entry in the local directory was not read");
                count(shared, &error);
                return None;
            }
        };
        if !self.is_alive(peer, shared) {
            return None;
        }
        let entry = schema::decode_prefix::<RawEntry>(&bytes)
            .map_err(|_| Refusal::Malformed)
            .and_then(|raw| shared.verify(raw))
            .and_then(|entry| if entry.id() == peer { Ok(entry) } else { Err(Refusal::Forged) });
        shared.counted(entry).ok()
    }

    /// Whether the owner of an entry lives. If not, its files are removed, under its lock.
    fn is_alive(&self, peer: &PeerId, shared: &Shared) -> bool {
        let name = lock_name(peer);
        let lock = match self.open_file(&name, OFlags::RDWR) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.remove(&entry_name(peer));
                return false;
            }
            Err(error) => {
                count(shared, &error);
                return false;
            }
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(_) => true,
            Ok(()) => {
                // A lock file that was replaced meanwhile is somebody's new one.
                if self.is_at(&lock, &name) {
                    self.remove(&entry_name(peer));
                    self.remove(&name);
                }
                false
            }
        }
    }

    /// Removes this node's files, under its lock, and the directory if nobody else is in it.
    pub(in crate::discovery) fn leave(&self) {
        if !self.holds_place() {
            return;
        }
        self.remove(&entry_name(&self.me));
        self.remove(&lock_name(&self.me));
        match unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
            Err(error) => tracing::debug!(%error, "the local directory was not removed"),
        }
    }

    /// Whether this node has a lock, and has not left.
    fn holds_place(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| self.is_at(lock, &lock_name(&self.me)))
    }

    fn take_own_lock(&self) -> io::Result<Option<File>> {
        let name = lock_name(&self.me);
        for attempt in 0..LOCK_TRIES {
            let lock = self.open_file(&name, OFlags::RDWR | OFlags::CREATE)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if self.is_at(&lock, &name) => return Ok(Some(lock)),
                // It was removed between opening and locking: there is, or will be, a new one.
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) if attempt + 1 < LOCK_TRIES => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(Errno::WOULDBLOCK) => break,
                Err(error) => return Err(error.into()),
            }
        }
        tracing::warn!(peer = %self.me, "another process on this machine runs under the same id");
        Ok(None)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }

    /// Opens a regular file of this user; never a link, a device or a pipe.
    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.directory, name, flags, PRIVATE_FILE)?;
        let stat = fstat(&file)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || stat.st_uid != geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a file of this user"));
        }
        Ok(file.into())
    }

    /// Whether the open file is still the one of that name.
    fn is_at(&self, file: &File, name: &str) -> bool {
        let place = |stat: Stat| (stat.st_dev, stat.st_ino);
        match (fstat(file), statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)) {
            (Ok(open), Ok(named)) => place(open) == place(named),
            _ => false,
        }
    }

    fn remove(&self, name: &str) {
        if let Err(error) = unlinkat(&self.directory, name, AtFlags::empty())
            && error != Errno::NOENT
        {
            tracing::debug!(name, %error, "a file in the local directory was not removed");
        }
    }
}

impl Drop for LocalDirectory {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Counts a file that is none that a node has written: a link, a pipe, somebody else's, a large one.
fn count(shared: &Shared, error: &io::Error) {
    let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    match error.kind() {
        io::ErrorKind::FileTooLarge => shared.refusals().count(Refusal::Oversized),
        io::ErrorKind::PermissionDenied => shared.refusals().count(Refusal::Malformed),
        _ if is_link => shared.refusals().count(Refusal::Malformed),
        _ => {}
    }
}

/// Which node's entry a file of this name holds.
pub(in crate::discovery) fn peer_of_entry(name: &str) -> Option<PeerId> {
    let id = name.strip_suffix(ENTRY)?;
    if id.len() == 64 { id.parse().ok() } else { None }
}

fn entry_name(peer: &PeerId) -> String {
    format!("{peer}{ENTRY}")
}

fn lock_name(peer: &PeerId) -> String {
    format!("{peer}.lock")
}

/// The user's runtime directory if there is one, else a directory in the temporary one.
fn open_default_base() -> io::Result<(PathBuf, OwnedFd)> {
    let uid = geteuid().as_raw();
    let runtime = PathBuf::from(format!("/run/user/{uid}/mosaik"));
    if let Ok(directory) = open_private(CWD, &runtime) {
        return Ok((runtime, directory));
    }
    let temporary = env::temp_dir().join(format!("mosaik-{uid}"));
    let directory = open_private(CWD, &temporary)?;
    Ok((temporary, directory))
}

/// Opens a directory, which is made if it does not exist; refused unless it is this user's alone.
fn open_private(parent: impl rustix::fd::AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let make_and_open = || match mkdirat(&parent, path, PRIVATE_DIRECTORY) {
        Ok(()) | Err(Errno::EXIST) => openat(&parent, path, flags, Mode::empty()),
        Err(error) => Err(error),
    };
    let mut opened = make_and_open();
    for _ in 0..OPEN_TRIES {
        // Between the two calls a node that left may have removed it.
        if !matches!(opened, Err(Errno::NOENT)) {
            break;
        }
        opened = make_and_open();
    }
    let directory = opened?;
    let stat = fstat(&directory)?;
    let others = Mode::RWXG | Mode::RWXO;
    let is_open_to_others = Mode::from_raw_mode(stat.st_mode).intersects(others);
    if stat.st_uid != geteuid().as_raw() || is_open_to_others {
        let text = format!("{} is not a directory of this user alone", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(directory)
}
