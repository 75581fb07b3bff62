//! The local directory, with friends and with hostile files in it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use iroh::{EndpointAddr, SecretKey};
use tempfile::TempDir;

use super::*;
use crate::{
    clock::Clock,
    discovery::{config::Config, refusal::Refusal, shared::Shared, version::micros},
    id::NetworkId,
};

fn node(seed: u8, base: &Path) -> (Arc<Shared>, LocalDirectory) {
    let shared = shared(seed, "net");
    let directory = open(&shared, base).unwrap();
    directory.publish(&shared.local()).unwrap();
    (shared, directory)
}

fn shared(seed: u8, network: &str) -> Arc<Shared> {
    let key = SecretKey::from_bytes(&[seed; 32]);
    let clock = Clock::system();
    let start = micros(clock.now());
    let address = EndpointAddr::new(key.public()).with_ip_addr(([127, 0, 0, 1], 7).into());
    let config = Config::default();
    Arc::new(
        Shared::new(NetworkId::from(network), key, clock, &config, start, address, |_| {}).unwrap(),
    )
}

fn open(shared: &Shared, base: &Path) -> std::io::Result<LocalDirectory> {
    LocalDirectory::open(Some(base), shared.network_id(), shared.me())
}

fn base() -> TempDir {
    let base = tempfile::tempdir().unwrap();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o700)).unwrap();
    base
}

#[tokio::test]
async fn nodes_of_one_network_find_each_other() {
    let base = base();
    let (a, dir_a) = node(1, base.path());
    let (b, dir_b) = node(2, base.path());
    let found = dir_a.entries(&a).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].entry(), b.local().entry());
    assert_eq!(dir_b.entry_of(&a.me(), &b).unwrap().id(), &a.me());
    let other = shared(3, "other");
    let dir_other = open(&other, base.path()).unwrap();
    assert!(dir_other.entries(&other).unwrap().is_empty());
    assert!(!dir_other.path().to_str().unwrap().contains(&other.network_id().to_string()));
}

#[tokio::test]
async fn the_entry_of_a_dead_node_is_removed() {
    let base = base();
    let (a, dir_a) = node(1, base.path());
    let (b, dir_b) = node(2, base.path());
    let entry = dir_b.path().join(format!("{}.entry", b.me()));
    let content = fs::read(&entry).unwrap();
    drop(dir_b);
    assert!(!entry.exists(), "a node that leaves takes its entry along");
    // One that is killed leaves its files, but not its lock.
    fs::write(&entry, content).unwrap();
    let lock = dir_a.path().join(format!("{}.lock", b.me()));
    fs::write(&lock, "").unwrap();
    assert!(dir_a.entries(&a).unwrap().is_empty());
    assert!(!entry.exists() && !lock.exists());
}

#[tokio::test]
async fn the_same_id_twice_keeps_the_first_entry() {
    let base = base();
    let (a, _dir_a) = node(1, base.path());
    let (_twin, dir_twin) = node(1, base.path());
    drop(dir_twin);
    let (b, dir_b) = node(2, base.path());
    assert!(dir_b.entry_of(&a.me(), &b).is_some(), "the twin removed nothing");
}

#[tokio::test]
async fn a_directory_that_others_can_reach_is_refused() {
    let a = shared(1, "net");
    let base = base();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(open(&a, base.path()).is_err());
    let real = self::base();
    let link = real.path().join("link");
    let target = self::base();
    symlink(target.path(), &link).unwrap();
    assert!(open(&a, &link).is_err(), "a link is not followed");
    fs::write(real.path().join("file"), "").unwrap();
    assert!(open(&a, &real.path().join("file")).is_err());
}

#[tokio::test]
async fn hostile_files_are_neither_followed_nor_believed() {
    let base = base();
    let (a, dir) = node(1, base.path());
    let path = |seed: u8, suffix: &str| {
        dir.path().join(format!("{}.{suffix}", SecretKey::from_bytes(&[seed; 32]).public()))
    };
    let secret = base.path().join("secret");
    fs::write(&secret, "do not read").unwrap();
    // Each of these "lives": its lock is held by this test.
    let locks: Vec<_> = (10..17)
        .map(|seed| {
            let lock = fs::File::create(path(seed, "lock")).unwrap();
            lock.try_lock().unwrap();
            lock
        })
        .collect();
    symlink(&secret, path(10, "entry")).unwrap();
    fs::create_dir(path(11, "entry")).unwrap();
    fs::write(path(12, "entry"), vec![0; 2 << 20]).unwrap();
    fs::write(path(13, "entry"), b"garbage").unwrap();
    // A true entry under another node's name, and one of another network.
    let own = fs::read(path(1, "entry")).unwrap();
    fs::write(path(14, "entry"), own).unwrap();
    let foreign = shared(15, "other").local();
    fs::write(path(15, "entry"), postcard::to_stdvec(&foreign).unwrap()).unwrap();
    // A pipe would block whoever opens it for reading.
    let pipe = path(16, "entry");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    fs::write(dir.path().join("not-an-id.entry"), "x").unwrap();
    assert!(dir.entries(&a).unwrap().is_empty());
    assert_eq!(fs::read(&secret).unwrap(), b"do not read");
    assert!(a.refusals().of(Refusal::Forged) >= 1);
    assert!(a.refusals().of(Refusal::Foreign) >= 1);
    assert_eq!(a.refusals().of(Refusal::Oversized), 1);
    // The link, the directory, the garbage, the pipe.
    assert_eq!(a.refusals().of(Refusal::Malformed), 4);
    drop(locks);
}

#[tokio::test]
async fn the_last_node_takes_the_directory_along() {
    let base = base();
    let (a, dir_a) = node(1, base.path());
    let (_b, dir_b) = node(2, base.path());
    let path = dir_a.path().to_owned();
    dir_a.leave();
    assert!(path.exists());
    drop(dir_b);
    assert!(!path.exists());
    // Who has left leaves nothing behind, whatever changes later.
    dir_a.publish(&a.local()).unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn nodes_come_while_others_take_the_directory_along() {
    let base = base();
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let (base, shared) = (base.path(), shared(seed, "net"));
            scope.spawn(move || {
                for _ in 0..100 {
                    let directory = open(&shared, base).unwrap();
                    directory.publish(&shared.local()).unwrap();
                    let own = directory.path().join(format!("{}.entry", shared.me()));
                    assert!(own.exists());
                }
            });
        }
    });
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}
