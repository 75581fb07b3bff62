//! Consumers that do as they please: they speak the protocol, but are no `Consumer`.

use tokio::time::Instant;

use super::*;
use crate::id::UniqueId;
use crate::streams::{
    criteria::Criteria,
    producer::OnLag,
    protocol::{ANSWER_LIMIT, Answer, From, Subscribe, VERSION, Word},
};
use crate::transport::{
    BulkSlot, CloseReason, Link, MessageReader, MessageWriter, RecvStream, StreamKind,
};

struct Raw {
    _link: Link,
    slot: BulkSlot,
    writer: MessageWriter,
    reader: MessageReader,
}

impl Raw {
    /// Asks for a stream, and says what the producer answered.
    async fn ask(n: &[Network], stream: StreamId, consumer: u64, from: From) -> (Self, Answer) {
        Self::ask_in(n, stream, consumer, from, None).await
    }

    /// The same as a member of a share group.
    async fn ask_in(
        n: &[Network],
        stream: StreamId,
        consumer: u64,
        from: From,
        group: Option<UniqueId>,
    ) -> (Self, Answer) {
        let transport = &n[1].streams().0.transport;
        let link = transport.connect(n[0].local().addr()).await.unwrap();
        let slot = link.reserve_bulk();
        let (send, recv) = link.open(StreamKind::Subscribe).await.unwrap();
        let mut writer = MessageWriter::new(send);
        let mut reader = MessageReader::new(recv, ANSWER_LIMIT);
        let request = Subscribe {
            version: VERSION,
            stream,
            fingerprint: None,
            criteria: Criteria::default(),
            slot: slot.id(),
            consumer,
            from,
            group,
        };
        writer.send(&request).await.unwrap();
        let answer = soon(reader.next()).await.unwrap().unwrap();
        (Self { _link: link, slot, writer, reader }, answer)
    }

    async fn subscribe(n: &[Network], stream: StreamId, consumer: u64, from: From) -> Self {
        let (raw, answer) = Self::ask(n, stream, consumer, from).await;
        assert!(matches!(answer, Answer::Accepted(_)), "{answer:?}");
        raw
    }

    async fn join(n: &[Network], stream: StreamId, consumer: u64, group: Option<UniqueId>) -> Self {
        let (raw, answer) = Self::ask_in(n, stream, consumer, From::Retained, group).await;
        assert!(matches!(answer, Answer::Accepted(_)), "{answer:?}");
        raw
    }

    async fn data(&mut self) -> RecvStream {
        soon(self.slot.stream()).await.unwrap()
    }

    /// Reads all data, whatever they are, and says nothing; until the producer has had enough.
    async fn swallow(mut self) -> CloseReason {
        let mut data = self.data().await;
        tokio::spawn(async move { while let Ok(Some(_)) = data.read_chunk().await {} });
        self.ended().await
    }

    async fn ended(mut self) -> CloseReason {
        match self.reader.next().await.unwrap() {
            Some(Answer::Ended { code }) => CloseReason::from_code(code),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_everything_and_acknowledges_nothing_holds_the_producer_once() {
    holds_the_producer_once(|_| None).await;
}

#[tokio::test(start_paused = true)]
async fn so_does_a_member_of_ever_new_groups() {
    holds_the_producer_once(|consumer| Some(UniqueId::from_u64(consumer))).await;
}

#[tokio::test(start_paused = true)]
async fn so_does_the_only_member_of_a_group() {
    holds_the_producer_once(|_| Some(UniqueId::from("a group"))).await;
}

async fn holds_the_producer_once(group: impl Fn(u64) -> Option<UniqueId>) {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<Vec<u8>>().online_when(|c| c.minimum_of(0));
    let producer = builder.build().unwrap();
    for consumer in 0..3 {
        let raw = Raw::join(&n, *producer.stream_id(), consumer, group(consumer)).await;
        let swallowing = tokio::spawn(raw.swallow());
        let started = Instant::now();
        for _ in 0..40 {
            let sending = producer.send(vec![7; 1 << 20]);
            timeout(Duration::from_secs(60), sending).await.unwrap().unwrap();
        }
        let held = started.elapsed() > Duration::from_secs(20);
        assert_eq!(held, consumer == 0, "it had another id, and is the same peer");
        if consumer == 0 {
            assert_eq!(soon(swallowing).await.unwrap(), CloseReason::TooSlow);
        } else {
            swallowing.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_others_of_a_group_is_not_kept_for_suspects() {
    let n = nodes(2).await;
    let (sink, mut undelivered) = tokio::sync::mpsc::unbounded_channel();
    let builder = n[0].streams().producer::<u64>().with_undelivered_sink(sink);
    let producer = builder.online_when(|c| c.minimum_of(0)).build().unwrap();
    for consumer in 0..3 {
        let group = Some(UniqueId::from_u64(consumer));
        let raw = Raw::join(&n, *producer.stream_id(), consumer, group).await;
        producer.send(consumer).await.unwrap();
        let cut = timeout(Duration::from_secs(40), raw.ended()).await.unwrap();
        assert_eq!(cut, CloseReason::TooSlow);
        let begun = Instant::now();
        assert_eq!(timeout(Duration::from_secs(20), undelivered.recv()).await, Ok(Some(consumer)));
        let kept = begun.elapsed() > Duration::from_secs(5);
        assert_eq!(kept, consumer == 0, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_something_in_a_group_is_waited_for_again() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<u64>().online_when(|c| c.minimum_of(0));
    let producer = builder.with_buffer_size(8).build().unwrap();
    let id = *producer.stream_id();
    let send = async || {
        for i in 0..20 {
            if producer.send_timeout(i, Duration::from_secs(5)).await.is_err() {
                return false;
            }
        }
        true
    };
    let group = Some(UniqueId::from("a group"));
    let raw = Raw::join(&n, id, 1, group).await;
    assert!(!send().await, "it is waited for");
    assert_eq!(timeout(Duration::from_secs(40), raw.ended()).await.unwrap(), CloseReason::TooSlow);
    let mut raw = Raw::join(&n, id, 2, group).await;
    assert!(send().await, "nobody waits for it");
    raw.writer.send(&Word::Taken(1)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(!send().await, "it has taken something");
    // The peer is forgotten as well, whatever it comes as.
    drop(raw);
    until(|| producer.consumers().count() == 0).await;
    let _raw = Raw::join(&n, id, 3, Some(UniqueId::from("another one"))).await;
    assert!(!send().await);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_handle_a_consumer_that_takes_nothing_is_cut() {
    for on_lag in [OnLag::Block, OnLag::DropOldest] {
        let n = nodes(2).await;
        let producer = n[0].streams().producer::<Vec<u8>>().on_lag(on_lag).build().unwrap();
        let raw = Raw::subscribe(&n, *producer.stream_id(), 1, From::Retained).await;
        for _ in 0..30 {
            producer.send(vec![7; 100_000]).await.unwrap();
        }
        drop(producer);
        let ended = timeout(Duration::from_secs(60), raw.ended()).await;
        assert_eq!(ended.expect("it is served for ever"), CloseReason::TooSlow);
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_last_handle_a_consumer_that_says_nothing_is_not_waited_for_for_ever() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let before = n[0].running_tasks();
    let raw = Raw::subscribe(&n, *producer.stream_id(), 1, From::Retained).await;
    producer.send(1).await.unwrap();
    drop(producer);
    sleep(Duration::from_secs(700)).await;
    assert!(n[0].running_tasks() < before, "{} and {before}", n[0].running_tasks());
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_handle_consumers_are_still_judged() {
    let n = nodes(2).await;
    let paid = Tag::from("paid");
    let builder = n[0].streams().producer::<Vec<u8>>();
    let producer = builder.require(move |peer| !peer.tags().contains(&paid)).build().unwrap();
    let raw = Raw::subscribe(&n, *producer.stream_id(), 1, From::Retained).await;
    for _ in 0..30 {
        producer.send(vec![7; 100_000]).await.unwrap();
    }
    drop(producer);
    sleep(Duration::from_secs(1)).await;
    n[1].discovery().add_tags(paid);
    assert_eq!(soon(raw.ended()).await, CloseReason::NotAllowed);
}

#[tokio::test(start_paused = true)]
async fn one_peer_does_not_take_all_places() {
    let n = nodes(3).await;
    let producer = n[0].streams().produce::<u64>();
    let id = *producer.stream_id();
    for round in 0..3 {
        let mut raws = Vec::new();
        for consumer in 0..64 {
            raws.push(Raw::subscribe(&n, id, round * 100 + consumer, From::Retained).await);
        }
        let (_, answer) = Raw::ask(&n, id, 999, From::Retained).await;
        let Answer::Refused(refusal) = answer else { panic!("{answer:?}") };
        assert_eq!(refusal.reason(), CloseReason::NoCapacity);
        let other = n[2].streams().consume::<u64>();
        soon(other.when().subscribed()).await;
        for raw in &mut raws {
            // Its place is kept.
            raw.writer.reset(CloseReason::UnexpectedClose);
        }
        until(|| producer.consumers().count() == 1).await;
        drop(other);
        until(|| producer.consumers().count() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_are_kept_are_among_the_places_of_whose_member_was_the_last() {
    const GROUPS: u64 = 100;
    let n = nodes(3).await;
    let (sink, mut undelivered) = tokio::sync::mpsc::unbounded_channel();
    let builder = n[0].streams().producer::<u64>().with_undelivered_sink(sink);
    let builder = builder.with_resume_window(Duration::from_secs(3600));
    let producer = builder.build().unwrap();
    let id = *producer.stream_id();
    for number in 0..GROUPS {
        let mut raw = Raw::join(&n, id, number, Some(UniqueId::from_u64(number))).await;
        soon(producer.send(number)).await.unwrap();
        let sent = || producer.consumers().all(|channel| channel.stats().datums() == 1);
        until(sent).await;
        raw.writer.reset(CloseReason::UnexpectedClose);
        until(|| producer.consumers().count() == 0).await;
    }
    // The oldest have given way, each with the datum that it had.
    for number in 0..GROUPS - 64 {
        assert_eq!(undelivered.try_recv(), Ok(number));
    }
    assert!(undelivered.try_recv().is_err());
    // Whose group was kept comes back to it.
    let last = Some(UniqueId::from_u64(GROUPS - 1));
    let _raw = Raw::join(&n, id, 1, last).await;
    assert!(undelivered.try_recv().is_err());
}
