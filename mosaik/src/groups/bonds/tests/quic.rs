//! The same over QUIC on loopback, in real time.

use super::*;
use crate::transport::Options;

async fn node(seed: u8) -> Node {
    let parts = parts(seed);
    let options = Options {
        secret_key: parts.secret_key.clone(),
        bind: BTreeSet::from(["127.0.0.1:0".parse().unwrap()]),
        advertise: BTreeSet::new(),
        relays: None,
    };
    let (tasks, random) = (parts.tasks.clone(), parts.random.clone());
    Node::on(Transport::bind(parts, options).await.unwrap(), tasks, random)
}

/// Nodes in the order of their ids, all connected.
pub(super) async fn connected(count: u8) -> Vec<Node> {
    let mut nodes = Vec::new();
    for seed in 1..=count {
        nodes.push(node(seed).await);
    }
    nodes.sort_by_key(|node| node.id);
    for (number, node) in nodes.iter().enumerate() {
        for other in &nodes[..number] {
            let to = other.transport.addr().borrow().clone();
            soon(node.transport.connect(to)).await.unwrap();
        }
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_talk_over_quic() {
    let nodes = connected(2).await;
    let (mut a, mut b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
    a.seek(&[b.id]);
    b.seek(&[a.id]);
    let (to_b, to_a) = (a.up().await, b.up().await);
    assert_eq!(to_b.id(), to_a.id());
    let toy = Arc::new(Toy::default());
    b.bonds.serve(Some(toy.clone()));
    let (wire, limit) = (a.bonds.wire(), Duration::from_secs(20));
    let beat = wire.heartbeat(to_b.member(), "beat".into(), limit).await;
    assert_eq!(beat.as_deref(), Ok(&b"beat"[..]));
    let vote = wire.request(to_b.member(), "vote".into(), limit).await;
    assert_eq!(vote.as_deref(), Ok(&b"vote"[..]));
    let body = Bytes::from(vec![7; 20_000_000]);
    let sent = wire.snapshot(to_b.member(), "head".into(), body.clone(), limit);
    let appends = async {
        let (mut sink, mut source) = wire.open_append(to_b.member(), limit).await.unwrap();
        let message = |i: usize| Bytes::from(vec![i as u8; i * 37 % 5000]);
        let writing = async {
            for i in 0..5000 {
                sink.feed(message(i)).await.unwrap();
            }
            sink.close().await.unwrap();
        };
        let reading = async {
            for i in 0..5000 {
                assert_eq!(source.next().await, Some(Ok(message(i))));
            }
            assert_eq!(source.next().await, None);
        };
        tokio::join!(writing, reading);
    };
    let (sent, ()) = soon(async { tokio::join!(sent, appends) }).await;
    assert_eq!(sent.as_deref(), Ok(&b"head"[..]));
    assert_eq!(toy.snapshot.lock().unwrap().take(), Some(("head".into(), body)));
    drop(b);
    assert_eq!(a.down().await.1, CloseReason::GracefulShutdown);
}
