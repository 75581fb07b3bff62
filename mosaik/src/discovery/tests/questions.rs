//! Round-trip times, descriptions, and entries that are fetched.

use super::*;
use crate::{
    discovery::ask::{Answer, AskError, Question, ask},
    transport::{MessageReader, MessageWriter},
};

#[tokio::test(start_paused = true)]
async fn a_peer_says_what_an_id_stands_for() {
    let world = World::new(600);
    let nodes = world.nodes(2);
    let id = StreamId::from("weather");
    let ask = || nodes[1].discovery.describe(nodes[0].id(), id);
    assert_eq!(ask().await.unwrap(), None);
    nodes[0].discovery.set_description(id, Description::new("weather"));
    assert_eq!(ask().await.unwrap().unwrap().intent(), "weather");
    nodes[0].discovery.remove_description(id);
    assert_eq!(ask().await.unwrap(), None);
    let nobody = SecretKey::from_bytes(&[99; 32]).public();
    let outcome = nodes[1].discovery.describe(nobody, id).await;
    assert!(matches!(outcome, Err(Error::Unreachable { .. })), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_to_a_peer_is_measured_before_it_is_used_and_again() {
    let world = World::new(601);
    let probing = || Config::builder().with_rtt_probe_interval(4 * SECOND);
    let (a, b) = (world.node(1, probing()), world.node(2, probing()));
    let stream = StreamId::from("prices");
    b.discovery.add_stream(stream).unwrap();
    assert!(a.discovery.feed(b.discovery.me()));
    assert_eq!(a.discovery.rtt(&b.id()), None, "there is no connection");
    a.discovery.probe(b.id().into()).await;
    let rtt = a.discovery.rtt(&b.id()).unwrap();
    assert!((2..=10).contains(&rtt.as_millis()), "{rtt:?}");
    assert_eq!(a.discovery.peer_info(&b.id()).unwrap().rtt(), Some(rtt));
    assert!(!a.discovery.peer_info(&b.id()).unwrap().rtt_below(rtt));
}

#[tokio::test(start_paused = true)]
async fn only_peers_that_something_here_could_use_are_probed() {
    let world = World::new(602);
    let config = Config::builder().with_rtt_probe_interval(SECOND);
    let a = world.node(1, config);
    let stream = StreamId::from("prices");
    // Known, but neither is linked: what is fed is not dialled.
    let others = [2, 3].map(|seed| world.node(seed, Config::builder()));
    others[0].discovery.add_stream(stream).unwrap();
    others.iter().for_each(|other| assert!(a.discovery.feed(other.discovery.me())));
    let measured = |peer: &Node| a.discovery.shared().rtt(&peer.id());
    let _followed = a.discovery.stream_peers(stream);
    sleep(10 * SECOND).await;
    assert!(measured(&others[0]).is_some());
    assert_eq!(measured(&others[1]), None);
}

#[tokio::test(start_paused = true)]
async fn peers_further_away_than_max_rtt_are_hidden_while_they_are() {
    let world = World::new(603);
    let a = world.node(1, Config::builder().with_max_rtt(20 * MS));
    let b = world.node(2, Config::builder());
    let stream = StreamId::from("prices");
    b.discovery.add_stream(stream).unwrap();
    assert!(a.discovery.feed(b.discovery.me()));
    let mut peers = a.discovery.stream_peers(stream);
    assert_eq!(peers.next().await.unwrap().len(), 1);
    let sample = |ms: u32| a.discovery.shared().sample_rtt(&b.id(), MS * ms);
    sample(30);
    assert_eq!(a.discovery.catalog().peers_count(), 0);
    assert_eq!(a.discovery.catalog().peers().count(), 0);
    assert!(a.knows(&b), "it is known all the same");
    assert_eq!(peers.next().await.unwrap(), [PeerDelta::Removed(b.id())]);
    b.discovery.add_tags("still far away");
    assert!(a.discovery.feed(b.discovery.me()));
    assert_eq!(a.discovery.catalog().peers().count(), 0);
    (0..20).for_each(|_| sample(5));
    assert_eq!(a.discovery.catalog().peers().count(), 1);
    assert!(matches!(&peers.next().await.unwrap()[..], [PeerDelta::Added(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_large_entry_is_fetched_without_a_sync() {
    let world = World::new(604);
    let nodes = world.nodes(5);
    converged(&nodes, 5 * SECOND).await;
    sleep(10 * SECOND).await;
    let tags: Vec<_> = (0..7_000_u64).map(Tag::from_u64).collect();
    let begun = Instant::now();
    nodes[2].discovery.add_tags(tags);
    let id = nodes[2].id();
    for node in &nodes {
        node.until(3 * SECOND, |catalog| catalog.get(&id).unwrap().tags().len() == 7_000).await;
    }
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
    let too_many: Vec<_> = (0..10_000_u64).map(Tag::from_u64).collect();
    let refused = nodes[2].discovery.try_add_tags(too_many);
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(nodes[2].discovery.catalog().local().tags().len(), 7_000);
}

/// Answers every question with this.
fn answer_all(node: &Node, answer: Answer) {
    node.transport.serve(StreamKind::Ask, move |_, send, recv| {
        let answer = answer.clone();
        async move {
            let mut reader = MessageReader::new(recv, 1 << 20);
            let _ = reader.next_bytes().await;
            let mut writer = MessageWriter::new(send);
            let _ = writer.send(&answer).await;
            writer.finish();
        }
    });
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_refused_and_counted() {
    let world = World::new(605);
    let nodes = world.nodes(3);
    let shared = nodes[0].discovery.shared();
    let link = nodes[0].transport.connect(nodes[1].id().into()).await.unwrap();
    let malformed = || shared.refusals().of(Refusal::Malformed);
    answer_all(&nodes[1], Answer::Description(Some(Description::new("weather"))));
    let answer = ask(shared, &link, &Question::Ping).await;
    assert!(matches!(answer, Err(AskError::Mismatch)), "{answer:?}");
    assert_eq!(malformed(), 1);
    // Another peer's entry than was asked for.
    answer_all(&nodes[1], Answer::Entry(Some(nodes[2].discovery.me().to_raw())));
    let answer = ask(shared, &link, &Question::Fetch(nodes[1].id())).await;
    assert!(matches!(answer, Err(AskError::Mismatch)), "{answer:?}");
    assert_eq!(malformed(), 2);
    assert!(ask(shared, &link, &Question::Fetch(nodes[2].id())).await.is_ok());
    answer_all(&nodes[1], Answer::Description(Some(Description::new("w".repeat(1024)))));
    let answer = ask(shared, &link, &Question::Ping).await;
    assert!(matches!(answer, Err(AskError::Message(_))), "{answer:?}");
    assert_eq!((malformed(), shared.refusals().of(Refusal::Oversized)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_question_and_no_frame_is_refused_and_counted() {
    let world = World::new(606);
    let nodes = world.nodes(2);
    let link = nodes[0].transport.connect(nodes[1].id().into()).await.unwrap();
    let counts = || {
        let refusals = nodes[1].discovery.refusals();
        [Refusal::Oversized, Refusal::Malformed, Refusal::Unknown].map(|why| refusals.of(why))
    };
    let say = async |kind, bytes: Vec<u8>| {
        let (mut send, recv) = link.open(kind).await.unwrap();
        let _ = send.write_all_chunks(&mut [bytes.into()]).await;
        send.finish();
        let mut reader = MessageReader::new(recv, 1 << 20);
        while let Ok(Some(_)) = reader.next_bytes().await {}
    };
    // A length and less than that, far too much, no question, one of a later version.
    say(StreamKind::Ask, vec![9, 0]).await;
    assert_eq!(counts(), [0, 1, 0]);
    say(StreamKind::Ask, vec![0xff, 0xff, 0xff, 0x7f]).await;
    assert_eq!(counts(), [1, 1, 0]);
    say(StreamKind::Ask, vec![1, 2]).await;
    assert_eq!(counts(), [1, 2, 0]);
    say(StreamKind::Ask, vec![1, 99]).await;
    assert_eq!(counts(), [1, 2, 1]);
    say(StreamKind::Gossip, vec![9, 0]).await;
    assert_eq!(counts(), [1, 3, 1]);
    say(StreamKind::Gossip, vec![0xff, 0xff, 0x7f]).await;
    assert_eq!(counts(), [2, 3, 1]);
}
