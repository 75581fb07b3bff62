//! Files that no node would write, in the directory through which nodes of one machine find each
//! other.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use iroh::{EndpointAddr, SecretKey};
use mosaik::UniqueId;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::wire::{self, Body};

/// Larger than any that is read.
const TOO_LARGE: u64 = 4 << 20;

/// One of each kind, some with a lock that is held, so that they count as those of living nodes.
/// What is left of them is removed when they are dropped.
#[derive(Debug)]
pub struct HostileFiles {
    paths: Vec<PathBuf>,
    /// Held for their locks.
    locks: Vec<File>,
}

impl HostileFiles {
    /// Plants them in the directory of a network; some link to `secret`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn plant(directory: &Path, network: &str, secret: &Path) -> io::Result<Self> {
        let mut files = Self { paths: Vec::new(), locks: Vec::new() };
        let network = UniqueId::from(network);
        for is_alive in [true, false] {
            let mut path = || files.place(directory, is_alive);
            fs::write(path()?, b"garbage")?;
            fs::write(path()?, b"")?;
            File::create(path()?)?.set_len(TOO_LARGE)?;
            fs::write(path()?, wire::encode(&wire::phantom(&network, 0)))?;
            symlink(secret, path()?)?;
            symlink("/dev/zero", path()?)?;
            fs::create_dir(path()?)?;
            mknodat(CWD, path()?, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        }
        files.plant_foreign(directory)?;
        let entry = files.place(directory, false)?;
        fs::write(&entry, b"garbage")?;
        files.link(secret, entry.with_extension("lock"))?;
        for name in ["no-id.entry", ".entry"] {
            let path = directory.join(name);
            fs::write(&path, b"garbage")?;
            files.paths.push(path);
        }
        Ok(files)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    /// The path of an entry of a new id.
    fn place(&mut self, directory: &Path, is_alive: bool) -> io::Result<PathBuf> {
        self.place_of(&SecretKey::generate(), directory, is_alive)
    }

    fn place_of(
        &mut self,
        key: &SecretKey,
        directory: &Path,
        is_alive: bool,
    ) -> io::Result<PathBuf> {
        let path = directory.join(format!("{}.entry", key.public()));
        if is_alive {
            let lock = path.with_extension("lock");
            let file = File::create(&lock)?;
            file.try_lock()?;
            self.locks.push(file);
            self.paths.push(lock);
        }
        self.paths.push(path.clone());
        Ok(path)
    }

    /// The entry of a living node of another network.
    fn plant_foreign(&mut self, directory: &Path) -> io::Result<()> {
        let (key, now) = (SecretKey::generate(), wire::now());
        let address = EndpointAddr::new(key.public());
        let body = Body::new(&UniqueId::random(), (now, now), address);
        let path = self.place_of(&key, directory, true)?;
        fs::write(path, wire::encode(&wire::sign_entry(&key, &body, None)))
    }

    fn link(&mut self, to: &Path, path: PathBuf) -> io::Result<()> {
        symlink(to, &path)?;
        self.paths.push(path);
        Ok(())
    }
}

impl Drop for HostileFiles {
    fn drop(&mut self) {
        for path in &self.paths {
            // The node may have removed it; what is a directory is no file.
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
    }
}
