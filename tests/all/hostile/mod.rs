//! Nodes among peers that mean them harm.
//!
//! `cargo run --release -p mosaik-tests --bin hostile -- campaign` does the same at length.

mod attacks;

use iroh::EndpointAddr;
use mosaik::{Network, discovery::Config, futures::StreamExt, network::TransportConfig};
use mosaik_tests::{
    hostile::{Attack, Attacker, Victim},
    lone, secs, unique_name, within,
};

async fn attacker(node: &Network, name: &str) -> Attacker {
    let target: EndpointAddr = node.local().addr();
    Attacker::new(name, target).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_in_while_hundreds_of_connections_say_nothing() {
    let name = unique_name();
    let few = TransportConfig::default().with_max_handshakes(16);
    let node = lone(&name).with_transport(few).build().await.unwrap();
    let address = node.local().addr();
    let victim = Victim { network: name.clone(), address, directory: None };
    let silence = Attack::SilentConnections.run(&victim, secs(60));
    let entering = async {
        // Until they have taken all places.
        tokio::time::sleep(secs(1)).await;
        let elsewhere = "127.0.0.2:0".parse().unwrap();
        let newcomer = Network::builder(name.as_str())
            .offline()
            .bind(elsewhere)
            .with_discovery(Config::builder().with_local(false))
            .build()
            .await
            .unwrap();
        let entering =
            async { while newcomer.discovery().sync_with(node.local().addr()).await.is_err() {} };
        within(secs(30), "a newcomer's way in", entering).await;
    };
    tokio::select! {
        _ = silence => panic!("the newcomer took longer"),
        () = entering => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_when_all_places_are_taken_is_turned_away_and_the_others_stay() {
    let name = unique_name();
    let few = TransportConfig::default().with_max_peers(3);
    let node = lone(&name).with_transport(few).build().await.unwrap();
    let honest = lone(&name).build().await.unwrap();
    honest.discovery().sync_with(node.local().addr()).await.unwrap();
    let producer = honest.streams().produce::<u64>();
    let mut consumer = node.streams().consume::<u64>();
    producer.when().online().await;
    let mut inside = Vec::new();
    for place in 1..5 {
        let attacker = attacker(&node, &name).await;
        let entered = attacker.enter().await;
        assert_eq!(entered.is_ok(), place < 3, "{place}: {entered:?}");
        inside.push((attacker, entered));
    }
    within(secs(5), "a send", producer.send(7)).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", consumer.next()).await, Some(7));
    // This node itself may still go to others.
    let other = lone(&name).build().await.unwrap();
    node.discovery().sync_with(other.local().addr()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_not_of_the_network_is_shown_nothing() {
    let name = unique_name();
    let node = lone(&name).build().await.unwrap();
    let stranger = Attacker::new("another network", node.local().addr()).await.unwrap();
    let refused = stranger.enter().await.unwrap_err();
    let text = format!("{refused:#} {refused:?}");
    assert!(text.contains("101"), "DifferentNetwork, and nothing before it: {text}");
    assert_eq!(node.discovery().catalog().peers_count(), 0);
}
