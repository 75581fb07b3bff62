//! The log lane: streams both ways for slots that the receiver reserved.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Two linked nodes on the simulated network, as each sees the other.
async fn pair(net: &SimNet) -> (Transport, Transport, Link, Link) {
    let (a, b) = (node(net, 1), node(net, 2));
    let there = a.connect(addr(&b)).await.expect("b is there");
    let back = link_of(&b, a.id()).await;
    (a, b, there, back)
}

type Streams = (SendStream, RecvStream);

/// A stream for a slot, at both of its ends.
async fn open(from: &Link, slot: &mut LogSlot) -> (Streams, Streams) {
    let id = slot.id();
    let (opened, arrived) = tokio::join!(from.open_log(id), slot.accept());
    (opened.expect("the lane opens"), arrived.expect("the stream arrives"))
}

async fn say(send: &mut SendStream, bytes: &'static [u8]) -> Result<(), StreamError> {
    send.write_all_chunks(&mut [Bytes::from_static(bytes)]).await
}

async fn hear(recv: &mut RecvStream, count: usize) -> Result<Vec<u8>, StreamError> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match recv.read_chunk().await? {
            Some(chunk) => heard.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(heard)
}

/// A question and its answer over a stream.
async fn talk((near, far): &mut (Streams, Streams)) -> Result<(), StreamError> {
    say(&mut near.0, b"append").await?;
    assert_eq!(hear(&mut far.1, 6).await?, b"append");
    say(&mut far.0, b"stored").await?;
    assert_eq!(hear(&mut near.1, 6).await?, b"stored");
    Ok(())
}

async fn until_gone(link: &Link, side: Side) {
    while link.has_lane(side) {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_open_streams_for_slots_of_the_other() {
    let net = net();
    let (_a, _b, there, back) = pair(&net).await;
    // The first to want the lane is the side that cannot dial it, and then both at once.
    for (from, to) in [(&back, &there), (&there, &back)] {
        let mut slot = to.reserve_log();
        let mut streams = open(from, &mut slot).await;
        talk(&mut streams).await.expect("both directions work");
        // The slot is good for more than one.
        let mut again = open(from, &mut slot).await;
        talk(&mut again).await.expect("the new stream works");
        talk(&mut streams).await.expect("the old one still does");
        drop(streams.0);
        let ended = hear(&mut streams.1.1, 1).await;
        assert_eq!(ended, Err(StreamError::Reset(CloseReason::Cancelled)));
    }
    assert!(!there.has_lane(Side::Bulk), "lanes open when they are needed");
}

#[tokio::test(start_paused = true)]
async fn both_sides_may_want_the_lane_at_once() {
    for seed in 0..20 {
        let net = SimNet::new(seed, SimConfig::default());
        let (_a, _b, there, back) = pair(&net).await;
        let (mut near, mut far) = (there.reserve_log(), back.reserve_log());
        let both = async { tokio::join!(open(&back, &mut near), open(&there, &mut far)) };
        let (mut one, mut other) = timeout(5 * SECOND, both).await.expect("the lane opens");
        talk(&mut one).await.expect("it works");
        talk(&mut other).await.expect("it works");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_lane_that_broke_is_opened_again_alone() {
    let net = net();
    let (_a, _b, there, back) = pair(&net).await;
    bulk(&there, &back, 1).await;
    let (mut near, mut far) = (there.reserve_log(), back.reserve_log());
    for _ in 0..3 {
        let both = async { tokio::join!(open(&back, &mut near), open(&there, &mut far)) };
        let (mut one, mut other) = timeout(5 * SECOND, both).await.expect("the lane opens");
        talk(&mut one).await.expect("it works");
        talk(&mut other).await.expect("it works");
        there.break_lane(Side::Log);
        assert!(talk(&mut one).await.is_err() && talk(&mut other).await.is_err());
        tokio::join!(until_gone(&there, Side::Log), until_gone(&back, Side::Log));
        assert!(there.has_lane(Side::Bulk) && back.has_lane(Side::Bulk));
        echo(&there).await.expect("control goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_for_an_unknown_slot_is_refused_and_the_lane_stays() {
    let net = net();
    let (_a, _b, there, back) = pair(&net).await;
    let mut slot = back.reserve_log();
    let mut streams = open(&there, &mut slot).await;
    let gone = back.reserve_log().id();
    for id in [gone, 77] {
        let (mut send, mut recv) = there.open_log(id).await.expect("the lane is open");
        let refused = timeout(SECOND, recv.read_chunk()).await.expect("it is answered");
        assert_eq!(refused, Err(StreamError::Reset(CloseReason::StreamNotFound)));
        let stopped = say(&mut send, b"anybody?").await;
        assert_eq!(stopped, Err(StreamError::Stopped(CloseReason::StreamNotFound)));
    }
    talk(&mut streams).await.expect("others go on");
}

#[tokio::test(start_paused = true)]
async fn of_too_many_streams_for_one_slot_the_oldest_give_way() {
    let net = net();
    let (_a, _b, there, back) = pair(&net).await;
    let mut slot = back.reserve_log();
    let mut opened = Vec::new();
    for _ in 0..6 {
        opened.push(there.open_log(slot.id()).await.expect("the lane opens"));
        sleep(SECOND / 10).await;
    }
    for (_, recv) in &mut opened[..2] {
        let lost = timeout(SECOND, recv.read_chunk()).await.expect("it is told");
        assert_eq!(lost, Err(StreamError::Reset(CloseReason::Cancelled)));
    }
    let mut taken = Vec::new();
    for near in opened.drain(2..) {
        let far = slot.accept().await.expect("it waits");
        taken.push((near, far));
    }
    for streams in &mut taken {
        talk(streams).await.expect("each has its stream");
    }
    assert!(timeout(SECOND, slot.accept()).await.is_err(), "there are no more");
}

#[tokio::test(start_paused = true)]
async fn a_slot_keeps_the_link_and_ends_with_it() {
    let net = net();
    let (a, _b, there, back) = pair(&net).await;
    let mut slot = back.reserve_log();
    let (near, far) = open(&there, &mut slot).await;
    sleep(100 * SECOND).await;
    assert!(!there.is_closed() && !back.is_closed());
    drop((near, far));
    a.close_links(CloseReason::GracefulShutdown);
    let lost = timeout(SECOND, slot.accept()).await.expect("it is told");
    assert_eq!(lost.err(), Some(OpenError::Lost(CloseReason::GracefulShutdown)));
    assert!(there.open_log(slot.id()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_its_lane_and_once() {
    let net = net();
    let (a, _b, there, back) = pair(&net).await;
    let tokens = || back.0.tokens.issue(Side::Bulk, &back.0);
    let token = tokens();
    assert_eq!(token, tokens(), "one that asks again is told the same");
    assert_ne!(token, back.0.tokens.issue(Side::Log, &back.0));
    let redeem = |token, side, peer: PeerId| back.0.tokens.redeem(&token, side, &peer).is_some();
    assert!(!redeem(token, Side::Log, a.id()));
    assert!(!redeem(token, Side::Bulk, a.id()), "it has been shown");
    assert!(!redeem(tokens(), Side::Bulk, there.peer()), "it was given to another peer");
    let token = tokens();
    assert!(redeem(token, Side::Bulk, a.id()) && !redeem(token, Side::Bulk, a.id()));
}

#[tokio::test]
async fn as_many_log_streams_as_are_reserved_can_be_open_over_quic() {
    let (a, b) = (quic_node(1).await, quic_node(2).await);
    let there = a.connect(b.addr().borrow().clone()).await.expect("b is there");
    let back = link_of(&b, a.id()).await;
    let many = |from: Link, to: Link| async move {
        let mut all = Vec::new();
        for _ in 0..150 {
            let mut slot = to.reserve_log();
            let streams = open(&from, &mut slot).await;
            all.push((slot, streams));
        }
        for (_, streams) in &mut all {
            talk(streams).await.expect("each works while all are open");
        }
        all.len()
    };
    let both = async { tokio::join!(many(there.clone(), back.clone()), many(back, there)) };
    let opened = timeout(20 * SECOND, both).await.expect("no stream is held back");
    assert_eq!(opened, (150, 150));
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn unknown_slots_and_broken_lanes_over_quic() {
    let (a, b) = (quic_node(1).await, quic_node(2).await);
    let there = a.connect(b.addr().borrow().clone()).await.expect("b is there");
    let back = link_of(&b, a.id()).await;
    let mut slot = back.reserve_log();
    for _ in 0..2 {
        let opening = open(&there, &mut slot);
        let mut streams = timeout(10 * SECOND, opening).await.expect("the lane opens");
        talk(&mut streams).await.expect("it works");
        let (_send, mut recv) = there.open_log(99).await.expect("the lane is open");
        let refused = timeout(5 * SECOND, recv.read_chunk()).await.expect("it is answered");
        assert_eq!(refused, Err(StreamError::Reset(CloseReason::StreamNotFound)));
        back.break_lane(Side::Log);
        let lost = timeout(5 * SECOND, streams.0.1.read_chunk()).await.expect("it is told");
        assert!(matches!(lost, Err(StreamError::Lost(_))), "{lost:?}");
        until_gone(&there, Side::Log).await;
    }
    echo(&there).await.expect("control goes on");
    tokio::join!(a.close(), b.close());
}
