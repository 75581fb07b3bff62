//! Questions, heartbeats, snapshots, and what is large.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_worker_asks_another_one() {
    let Pair { a: _a, mut b, to_b, to_a, .. } = pair().await;
    let asking = to_b.ask("how are you?".into(), LIMIT);
    let answering = async {
        match b.event().await {
            BondEvent::Asked { from, question, reply } => {
                assert_eq!((from, &question[..]), (to_a.member(), &b"how are you?"[..]));
                reply.send("well".into()).unwrap();
            }
            other => panic!("{other:?}"),
        }
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.as_deref(), Ok(&b"well"[..]));
    let again = to_b.ask("again?".into(), LIMIT);
    let (unanswered, ()) = tokio::join!(again, async { drop(b.event().await) });
    assert!(matches!(unanswered, Err(WireError::Unreachable(_))), "{unanswered:?}");
}

#[tokio::test(start_paused = true)]
async fn large_messages_and_questions_go_over_the_bulk_lane() {
    let Pair { a: _a, mut b, to_b, .. } = pair().await;
    let large = Bytes::from(vec![5; 3_000_000]);
    let (delivered, message) = tokio::join!(to_b.deliver(large.clone(), LIMIT), b.message());
    assert_eq!(delivered, Ok(()));
    assert_eq!(message.1, large);
    let (answer, ()) = tokio::join!(to_b.ask(large.clone(), LIMIT), async {
        match b.event().await {
            BondEvent::Asked { question, reply, .. } => {
                assert_eq!(question, large);
                reply.send("large".into()).unwrap();
            }
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(answer.as_deref(), Ok(&b"large"[..]));
    let too_large = to_b.deliver(vec![0; (16 << 20) + 1].into(), LIMIT).await;
    assert!(matches!(too_large, Err(WireError::Unreachable(_))));
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_by_whoever_serves_within_their_time() {
    let Pair { a, b, to_b, .. } = pair().await;
    let wire = a.bonds.wire();
    let ask = || wire.request(to_b.member(), "vote".into(), LIMIT);
    assert!(matches!(ask().await, Err(WireError::Unreachable(_))), "nobody serves");
    b.bonds.serve(Some(Arc::new(Toy::default())));
    assert_eq!(ask().await.as_deref(), Ok(&b"vote"[..]));
    b.bonds.serve(Some(Arc::new(Toy { gone: true, ..Toy::default() })));
    assert!(matches!(ask().await, Err(WireError::Unreachable(_))));
    b.bonds.serve(Some(Arc::new(Toy { delay: LIMIT * 2, ..Toy::default() })));
    let begun = Instant::now();
    assert_eq!(ask().await, Err(WireError::Timeout));
    assert_eq!(begun.elapsed(), LIMIT);
    let stranger = MemberId::new(&b.id, 77);
    let asked = wire.request(stranger, "vote".into(), LIMIT).await;
    assert!(matches!(asked, Err(WireError::Unreachable(_))), "it is another member");
    // Who waits when the bond breaks does not wait for the time to be over.
    let waiting = wire.request(to_b.member(), "vote".into(), Duration::from_secs(600));
    let (broken, ()) = tokio::join!(waiting, async {
        sleep(Duration::from_millis(10)).await;
        to_b.close(CloseReason::Cancelled);
    });
    assert!(matches!(broken, Err(WireError::Broken(_))), "{broken:?}");
    drop(a);
    let asked = wire.request(to_b.member(), "vote".into(), LIMIT).await;
    assert!(matches!(asked, Err(WireError::Unreachable(_))), "the group is left");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_asks_too_much_at_once_is_refused_the_rest() {
    let Pair { a, b, to_b, .. } = pair().await;
    b.bonds.serve(Some(Arc::new(Toy { delay: LIMIT / 2, ..Toy::default() })));
    let wire = a.bonds.wire();
    let asked = (0..100).map(|_| wire.request(to_b.member(), "vote".into(), LIMIT));
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 64);
}

/// Members of many groups on two nodes, each of which serves.
async fn many_groups(count: u64) -> (Vec<Node>, Vec<(Member, Member, Arc<Toy>)>) {
    let nodes = nodes(&net(1), 2);
    let mut groups = Vec::new();
    for number in 0..count {
        let name = format!("group {number}");
        let mut a = nodes[0].join(spec_of(&name, number));
        let mut b = nodes[1].join(spec_of(&name, number));
        a.seek(&[b.id]);
        a.up().await;
        b.up().await;
        let toy = Arc::new(Toy::default());
        b.bonds.serve(Some(toy.clone()));
        groups.push((a, b, toy));
    }
    (nodes, groups)
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_many_groups_share_few_frames() {
    const TICK: Duration = Duration::from_millis(200);
    let (nodes, groups) = many_groups(50).await;
    let mut beating = Vec::new();
    for (number, (a, b, _)) in groups.iter().enumerate() {
        let (wire, to) = (a.bonds.wire(), b.bonds.me());
        beating.push(tokio::spawn(async move {
            sleep(TICK * number as u32 / 50).await;
            for _ in 0..20 {
                let begun = Instant::now();
                let request = Bytes::from(format!("beat {number}"));
                assert_eq!(wire.heartbeat(to, request.clone(), TICK).await, Ok(request));
                let took = begun.elapsed();
                assert!(took < Duration::from_millis(40), "{took:?}");
                sleep(TICK - took).await;
            }
        }));
    }
    for beating in beating {
        beating.await.unwrap();
    }
    for (_, _, toy) in &groups {
        assert_eq!(toy.asked.load(Ordering::Relaxed), 20);
    }
    let frames = groups[0].0.bonds.group().shared.frames_of_heartbeats(&nodes[1].id);
    // 1,000 heartbeats in 4 s; a tick has ten times in which they wait for each other.
    assert!(frames <= 21 * 11, "{frames}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_to_read_does_not_wait_for_other_groups() {
    const TICK: Duration = Duration::from_millis(200);
    let (_nodes, groups) = many_groups(1).await;
    let (a, b, _) = &groups[0];
    let wire = a.bonds.wire();
    for round in 0..20 {
        let begun = Instant::now();
        wire.heartbeat(b.bonds.me(), "read".into(), TICK).await.unwrap();
        // There and back.
        assert!(round == 0 || begun.elapsed() < Duration::from_millis(14), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_end_in_time_and_with_their_bond() {
    let Pair { a, b, to_b, .. } = pair().await;
    let wire = a.bonds.wire();
    let beat = || wire.heartbeat(to_b.member(), "beat".into(), LIMIT);
    assert!(matches!(beat().await, Err(WireError::Unreachable(_))), "nobody serves");
    b.bonds.serve(Some(Arc::new(Toy { delay: LIMIT * 2, ..Toy::default() })));
    assert_eq!(beat().await, Err(WireError::Timeout));
    b.bonds.serve(Some(Arc::new(Toy::default())));
    assert_eq!(beat().await.as_deref(), Ok(&b"beat"[..]));
    // The stream is closed meanwhile.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(beat().await.as_deref(), Ok(&b"beat"[..]));
    drop(b);
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(beat().await, Err(WireError::Unreachable(_))));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_arrives_whole() {
    let Pair { a, b, to_b, .. } = pair().await;
    let wire = a.bonds.wire();
    let body: Bytes = (0..5_000_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    let send = || wire.snapshot(to_b.member(), "head".into(), body.clone(), LIMIT);
    assert!(matches!(send().await, Err(WireError::Unreachable(_))), "nobody serves");
    let toy = Arc::new(Toy::default());
    b.bonds.serve(Some(toy.clone()));
    assert_eq!(send().await.as_deref(), Ok(&b"head"[..]));
    assert_eq!(toy.snapshot.lock().unwrap().take(), Some(("head".into(), body.clone())));
    // A transfer that is given up is thrown away, and the next one goes on.
    for millis in [1, 20, 50, 100] {
        let _ = timeout(Duration::from_millis(millis), send()).await;
    }
    let empty = wire.snapshot(to_b.member(), "empty".into(), Bytes::new(), LIMIT).await;
    assert_eq!(empty.as_deref(), Ok(&b"empty"[..]));
    assert_eq!(send().await.as_deref(), Ok(&b"head"[..]));
    assert_eq!(toy.snapshot.lock().unwrap().take(), Some(("head".into(), body.clone())));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_breaks_off_is_told_and_not_installed() {
    let Pair { nodes, a, b, to_b, .. } = pair().await;
    let toy = Arc::new(Toy::default());
    b.bonds.serve(Some(toy.clone()));
    let wire = a.bonds.wire();
    let body = Bytes::from(vec![1; 50_000_000]);
    let sending = wire.snapshot(to_b.member(), "head".into(), body, LIMIT);
    let (sent, ()) = tokio::join!(sending, async {
        sleep(Duration::from_millis(100)).await;
        nodes[1].transport.close_links(CloseReason::Failed);
    });
    assert!(sent.is_err(), "{sent:?}");
    assert_eq!(*toy.snapshot.lock().unwrap(), None);
}
