//! Nodes of one user on one machine, which find each other through a directory.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mosaik::Network;
use mosaik_tests::{NodeProcess, eventually, hostile::HostileFiles, secs, unique_name};

use super::{beside, knows, private_dir};

/// Long enough for two nodes on a machine to find each other, if they can.
const A_WHILE: Duration = Duration::from_millis(700);

fn watcher(name: &str, dir: &Path) -> NodeProcess {
    let dir = dir.to_str().expect("a path of ASCII characters");
    NodeProcess::start(env!("CARGO_BIN_EXE_test-node"), &[name, "watch", dir])
}

/// The one directory in the base directory: that of the network.
fn inner(base: &Path) -> PathBuf {
    let mut entries = fs::read_dir(base).unwrap();
    entries.next().expect("a node has made it").unwrap().path()
}

fn file_of(id: mosaik::PeerId, base: &Path, suffix: &str) -> PathBuf {
    inner(base).join(format!("{id}.{suffix}"))
}

async fn find_each_other(a: &Network, b: &Network) -> Duration {
    eventually(secs(10), "the two nodes", || knows(a, b) && knows(b, a)).await
}

/// Two nodes with this base directory do not find each other.
async fn is_refused(base: &Path) {
    let name = unique_name();
    let (a, b) = (
        beside(&name, base).build().await.expect("it starts all the same"),
        beside(&name, base).build().await.expect("it starts all the same"),
    );
    tokio::time::sleep(A_WHILE).await;
    assert!(!knows(&a, &b) && !knows(&b, &a));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_in_one_process_find_each_other() {
    let (name, dir) = (unique_name(), private_dir());
    let begun = Instant::now();
    let a = beside(&name, dir.path()).build().await.unwrap();
    let b = beside(&name, dir.path()).build().await.unwrap();
    find_each_other(&a, &b).await;
    println!("two nodes started and found each other in {:?} (goal 100 ms)", begun.elapsed());
    let late = beside(&name, dir.path()).build().await.unwrap();
    find_each_other(&a, &late).await;
    find_each_other(&b, &late).await;
    let other = beside(&unique_name(), dir.path()).build().await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(other.discovery().catalog().peers_count(), 0, "it is in another network");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_find_each_other_and_what_a_dead_one_left_is_removed() {
    let (name, dir) = (unique_name(), private_dir());
    let mut a = watcher(&name, dir.path());
    let b = watcher(&name, dir.path());
    let (id_a, id_b) = (a.ticket().id(), b.ticket().id());
    assert_eq!(a.line(), format!("discovered {id_b}"));
    assert_eq!(b.line(), format!("discovered {id_a}"));
    // A killed process leaves its files behind; its lock is free.
    a.kill();
    let c = watcher(&name, dir.path());
    let stale = ["entry", "lock"].map(|suffix| file_of(id_a, dir.path(), suffix));
    let removed = || !stale.iter().any(|file| file.exists());
    eventually(secs(5), "the removal of what is stale", removed).await;
    let id_c = c.ticket().id();
    assert_eq!(b.line(), format!("discovered {id_c}"));
    // Of the dead one it may hear later, until that is purged.
    assert_eq!(c.line(), format!("discovered {id_b}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_removes_its_files_when_it_leaves() {
    let (name, dir) = (unique_name(), private_dir());
    let a = beside(&name, dir.path()).build().await.unwrap();
    let id = a.local().id();
    let entry = file_of(id, dir.path(), "entry");
    assert!(entry.exists(), "it is written before the node is built");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&entry), 0o600);
    assert_eq!(mode(&inner(dir.path())), 0o700);
    a.shutdown().await;
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_a_link_is_refused() {
    let (real, dir) = (private_dir(), private_dir());
    let link = dir.path().join("link");
    symlink(real.path(), &link).unwrap();
    is_refused(&link).await;
    assert_eq!(fs::read_dir(real.path()).unwrap().count(), 0, "nothing is written through it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_others_can_read_is_refused() {
    let dir = private_dir();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    is_refused(dir.path()).await;
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let mode = fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o755, "nor is it changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_s_own_directory_is_checked_as_well() {
    let (name, dir) = (unique_name(), private_dir());
    let first = beside(&name, dir.path()).build().await.unwrap();
    let inner = inner(dir.path());
    // The last node to leave removes it.
    first.shutdown().await;
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, Permissions::from_mode(0o777)).unwrap();
    let a = beside(&name, dir.path()).build().await.unwrap();
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    a.shutdown().await;
    let elsewhere = private_dir();
    fs::remove_dir(&inner).unwrap();
    symlink(elsewhere.path(), &inner).unwrap();
    let _a = beside(&name, dir.path()).build().await.unwrap();
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_files_harm_nobody() {
    let (name, dir, outside) = (unique_name(), private_dir(), private_dir());
    let secret = outside.path().join("secret");
    fs::write(&secret, "mine").unwrap();
    let a = beside(&name, dir.path()).build().await.unwrap();
    let planted = HostileFiles::plant(&inner(dir.path()), &name, &secret).unwrap();
    let b = beside(&name, dir.path()).build().await.unwrap();
    let took = find_each_other(&a, &b).await;
    println!("beside hostile files, two nodes found each other in {took:?}");
    let more = HostileFiles::plant(&inner(dir.path()), &name, &secret).unwrap();
    let c = beside(&name, dir.path()).build().await.unwrap();
    find_each_other(&a, &c).await;
    find_each_other(&b, &c).await;
    assert_eq!(fs::read_to_string(&secret).unwrap(), "mine");
    for node in [&a, &b, &c] {
        assert_eq!(node.discovery().catalog().peers_count(), 2);
    }
    drop((planted, more));
}
