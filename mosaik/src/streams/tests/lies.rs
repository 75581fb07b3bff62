//! Producers that do not keep to what was agreed.

use super::{
    dated::{Dated, valid_until},
    frames::{MAX_DATUM_BYTES, Mark, prefix},
    protocol::{Answer, MESSAGE_LIMIT, Place, read_request},
    *,
};
use crate::transport::{
    CloseReason, Link, MessageReader, MessageWriter, RecvStream, SendStream, StreamKind,
};

/// A frame of which the body may be incomplete.
fn frame(length: usize, body: &[u8]) -> Bytes {
    let (bytes, count) = prefix(length);
    [&bytes[..count], body].concat().into()
}

/// From now on this node's producers begin at this place, send these bytes, and no more.
fn lies(node: &Network, next: u64, bytes: &[Bytes]) {
    let bytes = bytes.to_vec();
    node.streams().0.transport.serve(StreamKind::Subscribe, move |link, send, recv| {
        lie(link, send, recv, next, bytes.clone())
    });
}

async fn lie(link: Link, send: SendStream, recv: RecvStream, next: u64, mut bytes: Vec<Bytes>) {
    let mut reader = MessageReader::new(recv, MESSAGE_LIMIT);
    let mut writer = MessageWriter::new(send);
    let request = reader.next_bytes().await.unwrap().unwrap();
    let slot = read_request(&request).unwrap().slot;
    writer.send(&Answer::Accepted(Place { epoch: 1, next })).await.unwrap();
    let mut data = link.open_bulk(slot).await.unwrap();
    data.write_all_chunks(&mut bytes).await.unwrap();
    std::future::pending().await
}

/// From now on this node's producers send for ever; perhaps they say that they have ended.
fn never_ends(node: &Network, says_ended: bool) {
    node.streams().0.transport.serve(StreamKind::Subscribe, move |link, send, recv| async move {
        let mut reader = MessageReader::new(recv, MESSAGE_LIMIT);
        let mut writer = MessageWriter::new(send);
        let request = reader.next_bytes().await.unwrap().unwrap();
        let slot = read_request(&request).unwrap().slot;
        writer.send(&Answer::Accepted(Place { epoch: 1, next: 0 })).await.unwrap();
        let mut data = link.open_bulk(slot).await.unwrap();
        if says_ended {
            let code = CloseReason::StreamNotFound.code();
            writer.send(&Answer::Ended { code }).await.unwrap();
        }
        while data.write_all_chunks(&mut [frame(2, b"\x01a")]).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
}

/// Receives for so long; how many came.
async fn received_for(consumer: &mut Consumer<String>, span: Duration) -> usize {
    let mut count = 0;
    let receiving = async {
        while consumer.recv().await.is_some() {
            count += 1;
        }
    };
    let _ = timeout(span, receiving).await;
    count
}

#[tokio::test(start_paused = true)]
async fn who_withdraws_the_stream_and_sends_on_is_read_as_long_as_its_ticket_is_good() {
    for (says_ended, expires) in [(false, false), (false, true), (true, false), (true, true)] {
        let n = nodes(2).await;
        let discovery = n[0].discovery();
        let date = discovery.date() + Duration::from_secs(if expires { 60 } else { 6000 });
        discovery.add_ticket(valid_until(date)).unwrap();
        let producer = n[0].streams().produce::<String>();
        never_ends(&n[0], says_ended);
        let builder = n[1].streams().consumer::<String>().require_ticket(Dated);
        let mut consumer = builder.build();
        assert!(soon(consumer.recv()).await.is_some());
        drop(producer);
        let some = received_for(&mut consumer, Duration::from_secs(20)).await;
        assert!(some > 1000, "{some}: what it had is read");
        assert_eq!(consumer.refusals().count(), 0);
        if expires {
            received_for(&mut consumer, Duration::from_secs(45)).await;
        } else {
            n[0].discovery().remove_tickets_of("dated".into());
            received_for(&mut consumer, Duration::from_secs(1)).await;
        }
        let more = received_for(&mut consumer, Duration::from_secs(60)).await;
        assert_eq!((more, consumer.producers().count()), (0, 0), "{says_ended} {expires}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_number_there_is_does_not_overflow() {
    let n = nodes(2).await;
    let _producer = n[0].streams().produce::<String>();
    let datum = frame(2, b"\x01a");
    let mark = Mark::Skipped(u64::MAX).encode();
    lies(&n[0], u64::MAX, &[datum.clone(), datum.clone(), mark, datum]);
    let mut consumer = n[1].streams().consume::<String>();
    for _ in 0..3 {
        assert_eq!(soon(consumer.recv()).await.unwrap(), "a");
    }
    assert_eq!(consumer.missed(), u64::MAX);
}

#[tokio::test(start_paused = true)]
async fn datums_that_are_begun_and_not_finished_hold_others_for_a_minute_at_most() {
    let n = nodes(4).await;
    let producer = n[0].streams().produce::<String>();
    let _liars = [&n[1], &n[2]].map(|node| {
        lies(node, 0, &[frame(MAX_DATUM_BYTES, &[7; 300 * 1024])]);
        node.streams().produce::<String>()
    });
    let mut consumer = n[3].streams().consume::<String>();
    soon(producer.when().subscribed()).await;
    until(|| consumer.producers().count() == 3).await;
    assert!(timeout(Duration::from_secs(5), consumer.recv()).await.is_err());
    // What needs no room of its own passes.
    producer.send("small".into()).await.unwrap();
    assert_eq!(soon(consumer.recv()).await.unwrap(), "small");
    producer.send("large".repeat(1 << 18)).await.unwrap();
    assert!(timeout(Duration::from_secs(30), consumer.recv()).await.is_err());
    let large = timeout(Duration::from_secs(40), consumer.recv()).await;
    assert_eq!(large.expect("the liars give way").unwrap().len(), 5 << 18);
    let refusals: Vec<_> = consumer.refusals().map(|(_, error)| error.to_string()).collect();
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert!(refusals.iter().all(|error| error.contains("begun and not finished")));
}
