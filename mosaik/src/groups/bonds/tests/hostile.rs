//! Peers that do as they please: whatever they send, their bond ends and nothing else.

use super::{
    super::{
        frames::{FrameReader, FrameWriter},
        handshake::{Claim, Proofs, Side},
        meet,
        protocol::VERSION,
        session::Session,
    },
    *,
};
use crate::{schema, transport::StreamKind};

/// A bond of the first node that is not served there, to a second node that is honest, which has
/// an honest bond with a third one.
struct Raw {
    nodes: Vec<Node>,
    a: Member,
    b: Member,
    _c: Member,
    session: Session,
}

async fn raw() -> Raw {
    let nodes = nodes(&net(1), 3);
    let (a, mut b, mut c) =
        (nodes[0].join(spec(1)), nodes[1].join(spec(2)), nodes[2].join(spec(3)));
    b.seek(&[c.id]);
    b.up().await;
    c.up().await;
    let link = nodes[0].link(&nodes[1]).await;
    let session = soon(meet::open(a.bonds.group(), link)).await.unwrap();
    b.up().await;
    Raw { nodes, a, b, _c: c, session }
}

async fn ends_with(chunk: Bytes, expected: CloseReason) {
    let mut raw = raw().await;
    raw.session.writer.write(&mut [chunk]).await.unwrap();
    let (bond, reason) = raw.b.down().await;
    assert_eq!((bond.peer(), reason), (raw.a.id, expected));
    assert_eq!(raw.b.bonds.bonds().len(), 1, "the others go on");
    // The link goes on, too.
    assert!(raw.nodes[0].transport.link(&raw.b.id).is_some());
    drop(raw.session);
    let link = raw.nodes[0].link(&raw.nodes[1]).await;
    let session = soon(meet::open(raw.a.bonds.group(), link)).await.unwrap();
    assert_eq!(raw.b.up().await.id(), session.bond.id());
}

#[tokio::test(start_paused = true)]
async fn oversized_frames_and_garbage_end_the_bond() {
    let violation = CloseReason::ProtocolViolation;
    ends_with(vec![0xff; 100].into(), violation).await;
    ends_with(Bytes::from_static(&[1, 0, 1, 0]), violation).await;
    // A head that is longer than its frame, none at all, and one that is cut off.
    ends_with(Bytes::from_static(&[2, 0, 0, 0, 9, 1]), violation).await;
    ends_with(Bytes::from_static(&[0, 0, 0, 0]), violation).await;
    ends_with(Bytes::from_static(&[2, 0, 0, 0, 1, 4]), violation).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_later_version_says_is_passed_over() {
    let mut raw = raw().await;
    let later = Bytes::from_static(&[3, 0, 0, 0, 1, 99, 5]);
    raw.session.writer.write(&mut [later]).await.unwrap();
    raw.session.bond.send("still here".into()).unwrap();
    let message = raw.session.frames.recv().await.unwrap();
    raw.session.writer.write(&mut message.into_chunks()).await.unwrap();
    assert_eq!(raw.b.message().await.1, "still here");
}

#[tokio::test(start_paused = true)]
async fn answers_and_slots_that_nobody_waits_for_are_passed_over() {
    use super::super::protocol::{Frame, Head, Kind, Outcome};
    let mut raw = raw().await;
    let heads = [
        Head::Answer { id: 9, outcome: Outcome::Answered },
        Head::Take { id: 9, slot: 9 },
        Head::Welcome,
        Head::Offer { id: 1, length: u64::MAX, kind: Kind::Snapshot },
        Head::Offer { id: 2, length: u64::MAX, kind: Kind::Message },
    ];
    for head in heads {
        let frame = Frame::new(&head, Bytes::new()).unwrap();
        raw.session.writer.write(&mut frame.into_chunks()).await.unwrap();
    }
    // Many offers that are never sent.
    for id in 0..100 {
        let head = Head::Offer { id, length: 1000, kind: Kind::Message };
        let frame = Frame::new(&head, Bytes::new()).unwrap();
        raw.session.writer.write(&mut frame.into_chunks()).await.unwrap();
    }
    raw.b.stays_silent(Duration::from_secs(30)).await;
    assert_eq!(raw.b.bonds.bonds().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_of_garbage_is_refused() {
    let nodes = nodes(&net(1), 2);
    let (a, mut b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
    let link = nodes[0].link(&nodes[1]).await;
    let group = a.bonds.group();
    let proofs = Proofs::new(&group.secret, group.id, &link, a.id, b.id);
    let claim = |version| {
        let proof = proofs.of(Side::Opener);
        schema::encode(&Claim { version, group: group.id, proof }).unwrap()
    };
    let cases: [(Vec<Bytes>, CloseReason); 5] = [
        (vec![Bytes::from_static(&[0xff; 40])], CloseReason::ProtocolViolation),
        (vec![Bytes::from_static(&[1])], CloseReason::ProtocolViolation),
        (vec![claim(VERSION + 1)], CloseReason::UnsupportedVersion),
        (vec![claim(VERSION), Bytes::from_static(&[0x80; 7])], CloseReason::ProtocolViolation),
        (vec![claim(VERSION)], CloseReason::Timeout),
    ];
    for (messages, expected) in cases {
        let (send, recv) = link.open(StreamKind::Bond).await.unwrap();
        let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv, 1 << 16));
        for message in messages {
            writer.send(message).await.unwrap();
        }
        let ended = soon(async {
            loop {
                match reader.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it is refused without a reason"),
                    Err(error) => return error,
                }
            }
        })
        .await;
        assert_eq!(super::super::session::reason_of(&ended), expected);
    }
    b.stays_silent(Duration::from_secs(10)).await;
    assert!(b.bonds.bonds().is_empty() && !link.is_closed());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_garbage_end_their_stream_only() {
    let Pair { nodes, mut b, a, to_b, .. } = pair().await;
    b.bonds.serve(Some(Arc::new(Toy::default())));
    let link = nodes[0].link(&nodes[1]).await;
    for garbage in [vec![0xff; 60], vec![3, 0, 0, 0, 0xff, 0xff, 0xff]] {
        let (send, recv) = link.open(StreamKind::Heartbeat).await.unwrap();
        let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv, 1 << 17));
        writer.write(&mut [garbage.into()]).await.unwrap();
        assert!(soon(reader.next()).await.is_err());
    }
    let beat = a.bonds.wire().heartbeat(to_b.member(), "beat".into(), LIMIT).await;
    assert_eq!(beat.as_deref(), Ok(&b"beat"[..]));
    b.stays_silent(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_read_loses_messages_and_holds_up_nobody() {
    let mut raw = raw().await;
    let bond = raw.b.bonds.get(&raw.a.id).unwrap();
    let sent = (0..2000).take_while(|_| bond.send(vec![0; 60_000].into()).is_ok()).count();
    assert!(sent < 2000, "nothing is bounded");
    assert_eq!(bond.send(Bytes::new()), Err(SendError::Full));
    raw.b.stays_silent(Duration::from_secs(60)).await;
    // What must be known ends the bond if it cannot be told.
    while bond.send(vec![0; 60_000].into()).is_ok() {}
    raw.b.bonds.tell("news".into());
    assert_eq!(raw.b.down().await.0.peer(), raw.a.id);
    assert_eq!(raw.b.bonds.bonds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_a_limited_time_for_each_step_of_the_handshake() {
    let nodes = nodes(&net(1), 2);
    let (a, _b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
    let link = nodes[0].link(&nodes[1]).await;
    let group = a.bonds.group();
    let proofs = Proofs::new(&group.secret, group.id, &link, a.id, nodes[1].id);
    let proof = proofs.of(Side::Opener);
    let claim = schema::encode(&Claim { version: VERSION, group: group.id, proof }).unwrap();
    // For the first message, and for the second, before which tickets may have to be judged.
    for (messages, limit) in [(0, STEP), (1, STEP + Duration::from_secs(3))] {
        let (send, recv) = link.open(StreamKind::Bond).await.unwrap();
        let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv, 1 << 16));
        // Something that shows the stream to the other side.
        writer.write(&mut [Bytes::from_static(&[])]).await.unwrap();
        let begun = Instant::now();
        for _ in 0..messages {
            writer.send(claim.clone()).await.unwrap();
        }
        let ended = soon(async {
            loop {
                if let Err(error) = reader.next().await {
                    return error;
                }
            }
        })
        .await;
        assert_eq!(super::super::session::reason_of(&ended), CloseReason::Timeout);
        let took = begun.elapsed();
        assert!(took >= limit && took < limit + Duration::from_millis(200), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_judged_by_its_head_and_taken_one_at_a_time() {
    use super::super::protocol::{Frame, Head, Kind, Outcome, read_frame};
    let mut raw = raw().await;
    raw.b.bonds.serve(Some(Arc::new(Toy::default())));
    let said = |head: &Head, body: &'static [u8]| {
        Frame::new(head, Bytes::from_static(body)).unwrap().into_chunks()
    };
    let offer = |id| Head::Offer { id, length: 1 << 30, kind: Kind::Snapshot };
    raw.session.writer.write(&mut said(&offer(1), b"stranger")).await.unwrap();
    let refused = soon(raw.session.reader.next()).await.unwrap().unwrap();
    let (head, _) = read_frame(&refused).unwrap();
    assert_eq!(head, Head::Answer { id: 1, outcome: Outcome::Gone });
    for id in 2..5 {
        raw.session.writer.write(&mut said(&offer(id), b"head")).await.unwrap();
        let taken = soon(raw.session.reader.next()).await.unwrap().unwrap();
        let (head, _) = read_frame(&taken).unwrap();
        assert!(matches!(head, Head::Take { id: taken, .. } if taken == id), "{head:?}");
    }
    // Only the last one is still waited for, and fails alone.
    let failed = soon(raw.session.reader.next()).await.unwrap().unwrap();
    let (head, _) = read_frame(&failed).unwrap();
    assert_eq!(head, Head::Answer { id: 4, outcome: Outcome::Failed });
    assert!(timeout(Duration::from_secs(60), raw.session.reader.next()).await.is_err());
}
