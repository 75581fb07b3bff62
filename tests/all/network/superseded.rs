//! Two nodes with one key.

use mosaik::{SecretKey, network::Error};
use mosaik_tests::{lone, secs, unique_name, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_with_one_key_one_stops_with_an_error_and_its_handles_end() {
    let (name, key) = (unique_name(), SecretKey::generate());
    let peer = lone(&name).build().await.unwrap();
    let twin = || lone(&name).with_secret_key(key.clone());
    let first = twin().build().await.unwrap();
    within(secs(5), "the dial", first.discovery().dial(peer.local().addr())).await;
    let (first_closed, peer_closed) = (first.closed(), peer.closed());
    let second = twin().build().await.unwrap();
    within(secs(5), "the dial", second.discovery().dial(peer.local().addr())).await;
    let second_closed = second.closed();
    // Both are young: which one stays depends on who hears of the other first.
    let stopped = within(secs(20), "the end of one", async {
        tokio::select! {
            stopped = first_closed => (stopped, true),
            stopped = second_closed => (stopped, false),
        }
    });
    let (stopped, is_first) = stopped.await;
    assert!(matches!(stopped, Err(Error::Superseded)), "{stopped:?}");
    let (gone, stays) = if is_first { (first, second) } else { (second, first) };
    assert_eq!(gone.running_tasks(), 0);
    stays.discovery().add_tags("here");
    let id = stays.local().id();
    let mut catalog = peer.discovery().catalog_watch();
    let here = catalog.wait_for(|it| it.get(&id).is_some_and(|entry| entry.tags().len() == 1));
    drop(within(secs(10), "the one that stays", here).await.unwrap());
    within(secs(5), "the shutdown", peer.shutdown()).await;
    within(secs(5), "its end", peer_closed).await.expect("it was shut down on purpose");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_from_a_data_directory_takes_its_former_place_whatever_the_clock_says() {
    let (name, dir) = (unique_name(), tempfile::tempdir().unwrap());
    let peer = lone(&name).build().await.unwrap();
    let first = lone(&name).data_dir(dir.path()).build().await.unwrap();
    let id = first.local().id();
    within(secs(5), "the shutdown", first.shutdown()).await;
    // As if the clock had been 20 s ahead in the last run.
    let path = dir.path().join("node.start");
    let start: u64 = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
    let ahead = start + 20_000_000;
    std::fs::write(&path, format!("{ahead}\n")).unwrap();
    let second = lone(&name).data_dir(dir.path()).build().await.unwrap();
    within(secs(5), "the dial", second.discovery().dial(peer.local().addr())).await;
    let entry = peer.discovery().catalog().get(&id).cloned().expect("it is known");
    assert_eq!(entry.started_at().timestamp_micros(), i64::try_from(ahead).unwrap() + 1);
}
