//! A peer that says no goodbye.

use std::time::Duration;

use mosaik::futures::StreamExt;
use mosaik_tests::{NodeProcess, eventually, lone, secs, unique_name, within};

#[tokio::test]
async fn a_killed_process_is_noticed_by_its_peers() {
    let name = unique_name();
    let mut process = NodeProcess::start(env!("CARGO_BIN_EXE_test-node"), &[&name, "produce"]);
    let node = lone(&name).build().await.unwrap();
    let mut readings = node.streams().consume::<u64>();
    let sync = node.discovery().sync_with(process.ticket().address().clone());
    within(secs(5), "the first contact", sync).await.unwrap();
    within(secs(5), "the first datum", readings.next()).await.expect("the process produces");
    assert_eq!(readings.producers().count(), 1);
    process.kill();
    let gone = || readings.producers().count() == 0;
    let took = eventually(secs(10), "notice of the killed peer", gone).await;
    println!("a killed peer is noticed after {took:?} (goal {:?})", Duration::from_secs(6));
}
