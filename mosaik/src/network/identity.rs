//! The node's key, and the directory that keeps it.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use iroh::SecretKey;
use rustix::fs::{FlockOperation, flock};

use super::error::Error;

const KEY_FILE: &str = "node.key";
const START_FILE: &str = "node.start";
const LOCK_FILE: &str = "node.lock";
/// 64 hex digits and the line's end, with room for Windows'.
const KEY_FILE_MAX: u64 = 66;

/// A data directory that belongs to this node as long as it runs.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Locked; the lock ends with the file.
    _lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing (mode 0700), and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |reason| Error::DataDir { path: path.to_owned(), reason };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::DataDirInUse { path: path.to_owned() })
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// The key in the directory; made and written at the first start.
    pub(super) fn key(&self, make: impl FnOnce() -> SecretKey) -> Result<SecretKey, Error> {
        let path = self.path.join(KEY_FILE);
        match read_key(&path) {
            Err(Error::DataDir { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => {
                let key = make();
                let failed = |reason| Error::DataDir { path: path.clone(), reason };
                self.write_key(&path, &key).map_err(failed)?;
                Ok(key)
            }
            read => read,
        }
    }

    /// When this run of the node began, in microseconds since 1970: later than any earlier run
    /// said, whatever the clock says now.
    pub(super) fn start(&self, now: u64) -> Result<u64, Error> {
        let path = self.path.join(START_FILE);
        let failed = |reason| Error::DataDir { path: path.clone(), reason };
        let start = match fs::read_to_string(&path) {
            Ok(text) => {
                let last = parse_start(&text).ok_or_else(|| {
                    failed(io::Error::new(io::ErrorKind::InvalidData, "it does not hold a date"))
                })?;
                now.max(last.saturating_add(1))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => now,
            Err(error) => return Err(failed(error)),
        };
        self.keep_start(start)?;
        Ok(start)
    }

    /// Keeps the start for the next run to be later than.
    pub(super) fn keep_start(&self, start: u64) -> Result<(), Error> {
        let path = self.path.join(START_FILE);
        let written = self.write(&path, &start.to_string());
        written.map_err(|reason| Error::DataDir { path, reason })
    }

    fn write_key(&self, path: &Path, key: &SecretKey) -> io::Result<()> {
        self.write(path, &hex(&key.to_bytes()))
    }

    /// Written aside, synced and renamed: after a crash there is the whole line or none.
    fn write(&self, path: &Path, line: &str) -> io::Result<()> {
        let aside = path.with_extension("tmp");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
        // The mode counts at creation only; an aside that was left over may have another.
        file.set_permissions(Permissions::from_mode(0o600))?;
        writeln!(file, "{line}")?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(&self.path)?.sync_all()
    }
}

/// Reads a key as 64 hex digits from a file that only its owner may read.
pub(crate) fn read_key(path: &Path) -> Result<SecretKey, Error> {
    let failed = |reason| Error::DataDir { path: path.to_owned(), reason };
    let wrong = |reason| Error::Key { path: path.to_owned(), reason };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(wrong("others can read it: chmod 600 it, and make a new key if they have"));
    }
    let mut text = String::new();
    file.take(KEY_FILE_MAX).read_to_string(&mut text).map_err(failed)?;
    parse_key(&text).ok_or_else(|| wrong("it does not hold 64 hex digits"))
}

/// When a run began, as its file says.
pub(crate) fn parse_start(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// The key in the text of a key file.
pub(crate) fn parse_key(text: &str) -> Option<SecretKey> {
    Some(SecretKey::from_bytes(&unhex(text.trim_end())?))
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = DataDir::open(&path).unwrap().key(|| key(1)).unwrap();
        let second = DataDir::open(&path).unwrap().key(|| key(2)).unwrap();
        assert_eq!(first.to_bytes(), second.to_bytes());
        let mode = fs::metadata(path.join(KEY_FILE)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn no_run_starts_before_an_earlier_one_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.start(1000).unwrap(), 1000);
        assert_eq!(data.start(500).unwrap(), 1001, "the clock was set back");
        assert_eq!(data.start(2000).unwrap(), 2000);
        data.keep_start(3000).unwrap();
        assert_eq!(data.start(2500).unwrap(), 3001);
        fs::write(dir.path().join(START_FILE), "yesterday").unwrap();
        assert!(matches!(data.start(4000), Err(Error::DataDir { .. })));
    }

    #[test]
    fn two_nodes_cannot_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(Error::DataDirInUse { .. })));
        drop(held);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        data.key(|| key(1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(data.key(|| key(2)), Err(Error::Key { .. })));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(data.key(|| key(2)), Err(Error::Key { .. })));
    }
}
