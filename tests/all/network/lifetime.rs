//! What is left of a node that ended: nothing.

use mosaik::{discovery::Event, futures::StreamExt};
use mosaik_tests::{eventually, nodes, secs, within};
use tokio::runtime::Handle;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Two nodes that have exchanged something, so that every kind of task has run.
async fn busy_nodes() -> [mosaik::Network; 2] {
    let nodes = nodes::<2>().await;
    let producer = nodes[0].streams().produce::<String>();
    let mut consumer = nodes[1].streams().consume::<String>();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    within(secs(5), "a send", producer.send("hello".to_string())).await.unwrap();
    let received = within(secs(5), "its arrival", consumer.next()).await;
    assert_eq!(received.as_deref(), Some("hello"));
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_outlives_a_dropped_network() {
    // iroh keeps a few tasks of its own for the process, from the first endpoint on.
    drop(busy_nodes().await);
    eventually(secs(10), "the first nodes' end", || tasks() <= 2).await;
    let before = tasks();
    drop(busy_nodes().await);
    let took = eventually(secs(5), "the end of all tasks", || tasks() <= before).await;
    println!("the last task ended {took:?} after the drop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_returns_when_nothing_is_left() {
    let [a, b] = busy_nodes().await;
    let (a_tasks, mut events) = (a.running_tasks(), b.discovery().events());
    assert!(a_tasks > 0);
    let id = a.local().id();
    within(secs(5), "the shutdown", a.shutdown()).await;
    let departed = async { while events.recv().await != Ok(Event::PeerDeparted(id)) {} };
    within(secs(5), "word of the departure", departed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_outlive_their_network_and_say_that_it_ended() {
    let [a, b] = busy_nodes().await;
    let producer = a.streams().produce::<u64>();
    let mut consumer = b.streams().consume::<u64>();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    drop((a, b));
    let ended = async {
        while producer.send(1).await.is_ok() {}
        while consumer.next().await.is_some() {}
    };
    within(secs(10), "the end of both handles", ended).await;
}
