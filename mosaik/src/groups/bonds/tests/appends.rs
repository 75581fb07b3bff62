//! Appends on the log lane.

use super::*;
use crate::groups::raft::{MessageSink, MessageSource};

async fn open(a: &Member, to: MemberId) -> Result<(MessageSink, MessageSource), WireError> {
    // The lane is dialled meanwhile.
    a.bonds.wire().open_append(to, Duration::from_secs(5)).await
}

#[tokio::test(start_paused = true)]
async fn appends_and_their_answers_flow_in_order_until_all_is_said() {
    let Pair { a, b, to_b, .. } = pair().await;
    assert!(matches!(open(&a, to_b.member()).await, Err(WireError::Unreachable(_))));
    b.bonds.serve(Some(Arc::new(Toy::default())));
    let (mut sink, mut source) = open(&a, to_b.member()).await.unwrap();
    let sizes = [0, 1, 70_000, 4, 300_000, 0, 1200];
    let message = |i: usize| Bytes::from(vec![i as u8; sizes[i % sizes.len()]]);
    let writing = async {
        for i in 0..500 {
            sink.feed(message(i)).await.unwrap();
            if i % 3 == 0 {
                sink.flush().await.unwrap();
            }
        }
        sink.close().await.unwrap();
    };
    let reading = async {
        for i in 0..500 {
            assert_eq!(source.next().await, Some(Ok(message(i))));
        }
        assert_eq!(source.next().await, None);
    };
    soon(async { tokio::join!(writing, reading) }).await;
}

#[tokio::test(start_paused = true)]
async fn a_small_append_is_there_and_back_in_a_round_trip() {
    let Pair { a, b, to_b, .. } = pair().await;
    b.bonds.serve(Some(Arc::new(Toy::default())));
    let (mut sink, mut source) = open(&a, to_b.member()).await.unwrap();
    for _ in 0..50 {
        let begun = Instant::now();
        sink.send("append".into()).await.unwrap();
        assert_eq!(source.next().await, Some(Ok("append".into())));
        assert!(begun.elapsed() <= Duration::from_millis(14), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_takes_the_place_of_the_last_one() {
    let Pair { a, b, to_b, .. } = pair().await;
    let toy = Arc::new(Toy::default());
    b.bonds.serve(Some(toy.clone()));
    let (mut first, mut answers) = open(&a, to_b.member()).await.unwrap();
    let (mut second, mut others) = open(&a, to_b.member()).await.unwrap();
    assert_eq!(toy.streams.load(Ordering::Relaxed), 2);
    assert!(matches!(soon(answers.next()).await, Some(Err(_))));
    let _ = first.send("lost".into()).await;
    second.send("taken".into()).await.unwrap();
    assert_eq!(soon(others.next()).await, Some(Ok("taken".into())));
}

#[tokio::test(start_paused = true)]
async fn appends_end_with_the_bond() {
    let Pair { a, b, to_b, .. } = pair().await;
    b.bonds.serve(Some(Arc::new(Toy::default())));
    let (_sink, mut source) = open(&a, to_b.member()).await.unwrap();
    to_b.close(CloseReason::Cancelled);
    assert!(matches!(soon(source.next()).await, Some(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn an_append_that_is_too_large_is_refused_here() {
    let Pair { a, b, to_b, .. } = pair().await;
    b.bonds.serve(Some(Arc::new(Toy::default())));
    let (mut sink, _source) = open(&a, to_b.member()).await.unwrap();
    let large = Bytes::from(vec![0; super::super::append::APPEND_LIMIT + 1]);
    assert!(matches!(sink.send(large).await, Err(WireError::Broken(_))));
}
