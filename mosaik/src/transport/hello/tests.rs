//! The MAC, and a hello with a peer of a later version.

use iroh::SecretKey;

use super::{
    super::{
        Config, LinkEvent, Parts, Transport,
        connection::Lane,
        sim::{SimConfig, SimNet},
    },
    *,
};
use crate::{clock::Clock, random::Random, schema, tasks::Tasks};

/// A message as a later version might send it: with more behind the fields that we know.
async fn say_newer<T: Serialize>(writer: &mut MessageWriter, message: &T) {
    let mut bytes = schema::encode(message).expect("it can be encoded").to_vec();
    bytes.extend_from_slice(b"fields of a later version");
    writer.send_bytes(bytes.into()).await.expect("it is read");
}

async fn hear(reader: &mut MessageReader) -> Hello {
    reader.next().await.expect("it is whole").expect("there is one")
}

/// Dials `to` as a node of a later version does; the streams of the hello, once admitted.
async fn dial_as_newer(from: &Transport, to: &Transport) -> (Connection, Greeted) {
    let connection = from.dial_lane(to.id().into(), Lane::Control).await.expect("reached");
    let (send, recv) = connection.open_bi().await.expect("the first stream");
    let mut writer = MessageWriter::new(send);
    let mut reader = MessageReader::new(recv, BODIES_LIMIT);
    let binding = connection.channel_binding(BINDING_LABEL);
    let key = NetworkKey::new(&NetworkId::from("test"));
    let mac = *key.mac(&binding, Role::Dialler, &from.id(), &to.id()).as_bytes();
    let opening = Opening {
        version: VERSION + 6,
        capabilities: u64::MAX,
        start: 1,
        clock_ms: 0,
        holds: None,
        mac,
    };
    say_newer(&mut writer, &Hello::Opening(opening, None)).await;
    let Hello::Opening(answer, verdict) = hear(&mut reader).await else {
        panic!("an opening is answered with one")
    };
    assert_eq!(answer.version, VERSION);
    let ours = verdict.is_none().then_some(Verdict::Keep);
    say_newer(&mut writer, &Hello::Offer(ours, Bytes::new())).await;
    assert!(matches!(hear(&mut reader).await, Hello::Offer(..)));
    say_newer(&mut writer, &Hello::Bodies(Bytes::new())).await;
    assert!(matches!(hear(&mut reader).await, Hello::Bodies(_)));
    say_newer(&mut writer, &Hello::Admitted).await;
    assert!(matches!(hear(&mut reader).await, Hello::Admitted));
    let tag = tag_of(&connection);
    let clocks = Clocks { ours_ms: 0, theirs_ms: answer.clock_ms };
    let claim = Claim { peer: to.id(), tag, start: answer.start, holds: None, clocks };
    (connection, Greeted { claim, reader, writer })
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_a_later_version_is_admitted_and_what_it_says_beyond_ours_is_ignored() {
    let net = SimNet::new(1, SimConfig::default());
    for (old, new) in [(1, 2), (2, 1)] {
        let (old, new) = (node(&net, old, true), node(&net, new, false));
        let (connection, mut greeted) = dial_as_newer(&new, &old).await;
        let mut events = old.events();
        // Signals that are not known: an empty one would be garbage.
        for unknown in [77u32, 78] {
            greeted.writer.send(&(unknown, "what?")).await.expect("it is read");
        }
        greeted.writer.send(&Signal::AskBulk).await.expect("it is read");
        // The one that is known is answered.
        let answer = greeted.reader.next::<Signal>().await;
        assert!(matches!(answer, Ok(Some(Signal::BulkToken(_)))), "{answer:?}");
        assert!(!connection.is_closed() && old.link(&new.id()).is_some());
        let down = std::iter::from_fn(|| events.try_recv().ok())
            .find(|event| matches!(event, LinkEvent::Down { .. }));
        assert!(down.is_none(), "the link stays up: {down:?}");
        tokio::join!(old.close(), new.close());
    }
}

#[derive(Debug)]
struct Everybody;

impl Admission for Everybody {
    fn offer(&self, _: PeerId) -> Bytes {
        Bytes::new()
    }

    fn bodies(&self, _: PeerId, _: &[u8]) -> Result<Bytes, CloseReason> {
        Ok(Bytes::new())
    }

    fn admit(&self, _: PeerId, _: &[u8], _: &[u8]) -> Result<(), CloseReason> {
        Ok(())
    }
}

fn node(net: &SimNet, seed: u8, listens: bool) -> Transport {
    let parts = Parts {
        network: NetworkId::from("test"),
        secret_key: SecretKey::from_bytes(&[seed; 32]),
        start: 1,
        config: Config::default(),
        clock: Clock::starting_at(chrono::DateTime::UNIX_EPOCH),
        random: Random::from_seed(u64::from(seed)),
        tasks: Tasks::new(),
    };
    let transport = Transport::simulated(parts, net);
    transport.set_admission(std::sync::Arc::new(Everybody));
    if listens {
        transport.listen();
    }
    transport
}

fn id(seed: u8) -> PeerId {
    SecretKey::from_bytes(&[seed; 32]).public()
}

#[test]
fn the_mac_covers_network_connection_role_and_both_ends() {
    let key = NetworkKey::new(&NetworkId::from("a"));
    let mac = key.mac(&[1; 32], Role::Dialler, &id(1), &id(2));
    let other = NetworkKey::new(&NetworkId::from("b"));
    assert_eq!(mac, key.mac(&[1; 32], Role::Dialler, &id(1), &id(2)));
    assert_ne!(mac, other.mac(&[1; 32], Role::Dialler, &id(1), &id(2)));
    assert_ne!(mac, key.mac(&[2; 32], Role::Dialler, &id(1), &id(2)));
    assert_ne!(mac, key.mac(&[1; 32], Role::Acceptor, &id(1), &id(2)));
    assert_ne!(mac, key.mac(&[1; 32], Role::Dialler, &id(2), &id(1)));
}
