//! Tags and streams that change while a node runs.

use std::time::Duration;

use mosaik::{Network, Tag};
use mosaik_tests::{eventually, lone, nodes, secs, unique_name};

use super::{alone, meet};

fn tags_seen(by: &Network, of: &Network) -> Vec<Tag> {
    let catalog = by.discovery().catalog();
    let entry = catalog.get(&of.local().id());
    entry.map(|entry| entry.tags().iter().copied().collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_given_at_the_start_are_there_from_the_start() {
    let name = unique_name();
    let tagged = alone().with_tags("roof").with_tags(["sensor", "blue"]);
    let a = lone(&name).with_discovery(tagged).build().await.unwrap();
    let b = lone(&name).build().await.unwrap();
    assert_eq!(tags_seen(&a, &a).len(), 3);
    meet(&b, &a).await;
    assert_eq!(tags_seen(&b, &a), tags_seen(&a, &a));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_visible_at_once_here_and_soon_elsewhere() {
    let nodes = nodes::<6>().await;
    let tag = Tag::from("new");
    let version = nodes[0].discovery().me().update_version();
    nodes[0].discovery().add_tags(tag);
    assert_eq!(tags_seen(&nodes[0], &nodes[0]), [tag]);
    assert!(nodes[0].discovery().catalog().local().update_version() > version);
    let seen = || nodes.iter().all(|node| tags_seen(node, &nodes[0]) == [tag]);
    let took = eventually(secs(5), "the tag", seen).await;
    println!("a tag reached 5 others in {took:?}");
    nodes[0].discovery().remove_tags(tag);
    assert!(tags_seen(&nodes[0], &nodes[0]).is_empty());
    let gone = || nodes.iter().all(|node| tags_seen(node, &nodes[0]).is_empty());
    eventually(secs(5), "the end of the tag", gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_changes_in_a_row_the_last_one_stays() {
    let nodes = nodes::<4>().await;
    let tags: Vec<_> = (0..100).map(Tag::from_u64).collect();
    for tag in &tags {
        nodes[1].discovery().add_tags(*tag);
    }
    nodes[1].discovery().remove_tags(tags[..90].to_vec());
    let seen = || nodes.iter().all(|node| tags_seen(node, &nodes[1]).len() == 10);
    let took = eventually(secs(5), "the last state", seen).await;
    println!("101 changes in a row reached 3 others in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_can_change_at_once() {
    let nodes = nodes::<5>().await;
    for round in 0..5 {
        for node in &nodes {
            node.discovery().add_tags(Tag::from_u64(round));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seen = || nodes.iter().all(|a| nodes.iter().all(|b| tags_seen(a, b).len() == 5));
    eventually(secs(5), "everyone's tags everywhere", seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_in_the_entry_as_long_as_it_is_produced() {
    let [a, b] = nodes::<2>().await;
    let producer = a.streams().produce::<u64>();
    let stream = *producer.stream_id();
    assert!(a.discovery().catalog().local().streams().contains(&stream), "at once");
    let id = a.local().id();
    let seen = || b.discovery().catalog().get(&id).is_some_and(|a| a.streams().contains(&stream));
    let took = eventually(secs(5), "the stream", seen).await;
    println!("a stream was seen elsewhere after {took:?}");
    drop(producer);
    eventually(secs(5), "the end of the stream", || !seen()).await;
    assert!(a.discovery().catalog().local().streams().is_empty());
}
