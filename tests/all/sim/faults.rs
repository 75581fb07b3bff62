//! What a user can do to simulated nodes.

use std::time::Duration;

use mosaik::{
    Network,
    futures::StreamExt,
    testing::{Faults, LinkQuality},
};
use mosaik_tests::secs;
use tokio::time::{Instant, sleep};

/// Helpers name the trait by its public path.
fn make_bad(nodes: &[Network]) {
    let bad = LinkQuality::default()
        .with_loss(0.2)
        .with_jitter(Duration::from_millis(50))
        .with_bandwidth(200_000);
    nodes.set_links(bad);
}

#[mosaik::network_test(sim, seed = 1, seeds = 10)]
async fn bad_links_delay_and_lose_nothing(nodes: [Network; 2]) {
    let producer = nodes[0].streams().produce::<u64>();
    let mut consumer = nodes[1].streams().consume::<u64>();
    producer.when().subscribed().await;
    make_bad(&nodes);
    let sending = async {
        for number in 0..2_000 {
            producer.send(number).await.unwrap();
        }
    };
    let receiving = async {
        for number in 0..2_000 {
            assert_eq!(consumer.next().await, Some(number));
        }
    };
    tokio::join!(sending, receiving);
}

#[mosaik::network_test(sim, seed = 1, seeds = 10)]
async fn a_crashed_producer_is_back_after_its_restart(mut nodes: [Network; 3]) {
    let mut consumer = nodes[0].streams().consume::<u64>();
    let producer = nodes[2].streams().produce::<u64>();
    producer.send(1).await.unwrap();
    assert_eq!(consumer.next().await, Some(1));
    nodes.crash(2);
    sleep(secs(3)).await;
    producer.send(2).await.expect_err("the node is gone");
    nodes.restart(2).await;
    let begun = Instant::now();
    nodes[2].streams().produce::<u64>().send(3).await.unwrap();
    assert_eq!(consumer.next().await, Some(3));
    assert!(begun.elapsed() < secs(10), "{:?}", begun.elapsed());
}

#[mosaik::network_test(sim, seed = 1, seeds = 10)]
async fn a_one_way_cut_is_noticed_by_both(nodes: [Network; 2]) {
    let producer = nodes[0].streams().produce::<u64>();
    let mut consumer = nodes[1].streams().consume::<u64>();
    producer.send(1).await.unwrap();
    assert_eq!(consumer.next().await, Some(1));
    nodes.cut(0, 1);
    let begun = Instant::now();
    producer.when().unsubscribed().await;
    assert!(begun.elapsed() <= secs(11), "{:?}", begun.elapsed());
    nodes.mend(0, 1);
    producer.send(2).await.unwrap();
    assert_eq!(consumer.next().await, Some(2));
}
