//! Who is bonded, and who is not.

use super::*;

#[tokio::test(start_paused = true)]
async fn two_members_meet_and_talk() {
    let Pair { mut a, mut b, to_b, to_a, nodes } = pair().await;
    assert_eq!(to_b.id(), to_a.id());
    assert_eq!(to_b.member(), MemberId::new(&b.id, 2));
    assert_eq!(to_a.member(), MemberId::new(&a.id, 1));
    assert_eq!((&to_b.status()[..], &to_a.status()[..]), (&b"status 2"[..], &b"status 1"[..]));
    for i in 0..100u8 {
        to_b.send(vec![i; 600].into()).unwrap();
    }
    for i in 0..100u8 {
        assert_eq!(b.message().await, (to_a.member(), vec![i; 600].into()));
    }
    assert_eq!(to_b.send(vec![0; Bond::SMALL + 1].into()), Err(SendError::TooLarge));
    b.bonds.tell("news".into());
    match a.event().await {
        BondEvent::Status { from, status } => {
            assert_eq!((from, &status[..]), (to_b.member(), &b"news"[..]));
        }
        other => panic!("{other:?}"),
    }
    assert!(nodes[0].bonds.join(spec(7)).is_err(), "it is in the group already");
}

#[tokio::test(start_paused = true)]
async fn three_members_are_all_bonded() {
    let nodes = nodes(&net(3), 3);
    let mut members: Vec<_> = (0..3).map(|i| nodes[i].join(spec(i as u64))).collect();
    let all: Vec<_> = nodes.iter().map(|node| node.id).collect();
    members.iter().for_each(|member| member.seek(&all));
    for member in &mut members {
        member.up().await;
        member.up().await;
    }
    for member in &mut members {
        member.stays_silent(Duration::from_secs(10)).await;
        assert_eq!(member.bonds.bonds().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_key_the_group_or_a_ticket_there_is_no_bond_and_all_look_the_same() {
    let nodes = nodes(&net(1), 2);
    let refusing: Judge = Arc::new(|_| std::future::ready(false).boxed());
    let others = [
        GroupSpec { secret: UniqueId::from("another key"), ..spec(2) },
        spec_of("another group", 2),
        GroupSpec { judge: refusing, ..spec(2) },
    ];
    for other in others {
        let (mut a, mut b) = (nodes[0].join(spec(1)), nodes[1].join(other));
        let link = nodes[0].link(&nodes[1]).await;
        let refused = super::super::meet::open(a.bonds.group(), link).await;
        assert_eq!(refused.err(), Some(CloseReason::GroupRefused));
        a.seek(&[b.id]);
        b.seek(&[a.id]);
        a.stays_silent(Duration::from_secs(20)).await;
        b.stays_silent(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_judges_last_counts_too_and_a_ticket_that_comes_later_helps() {
    let nodes = nodes(&net(1), 2);
    for judging in 0..2 {
        let paid = Arc::new(Mutex::new(false));
        let known = paid.clone();
        let judge: Judge = Arc::new(move |_| std::future::ready(*known.lock().unwrap()).boxed());
        let mut specs = [spec(1), spec(2)];
        specs[judging].judge = judge;
        let [first, second] = specs;
        let (mut a, mut b) = (nodes[0].join(first), nodes[1].join(second));
        a.seek(&[b.id]);
        b.seek(&[a.id]);
        a.stays_silent(Duration::from_secs(20)).await;
        b.stays_silent(Duration::ZERO).await;
        *paid.lock().unwrap() = true;
        a.bonds.nudge(&b.id);
        let begun = Instant::now();
        a.up().await;
        b.up().await;
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn both_see_in_what_they_differ_once() {
    let nodes = nodes(&net(1), 2);
    let theirs = Agreement { quorum: "elastic".into(), ..agreement() };
    let other = GroupSpec { agreement: theirs, ..spec(2) };
    let (mut a, mut b) = (nodes[0].join(spec(1)), nodes[1].join(other));
    a.seek(&[b.id]);
    b.seek(&[a.id]);
    let (at_a, at_b) = (a.mismatch().await, b.mismatch().await);
    let (ours, theirs) = ("strict 3".to_string(), "elastic".to_string());
    let expected = Mismatch { field: "quorum", ours: ours.clone(), theirs: theirs.clone() };
    assert_eq!(at_a, expected);
    assert_eq!(at_b, Mismatch { field: "quorum", ours: theirs, theirs: ours });
    a.stays_silent(Duration::from_secs(20)).await;
    b.stays_silent(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn two_observers_are_not_bonded() {
    let nodes = nodes(&net(1), 3);
    let observer = |session| GroupSpec { observer: true, ..spec(session) };
    let mut a = nodes[0].join(observer(1));
    let mut b = nodes[1].join(observer(2));
    let mut c = nodes[2].join(spec(3));
    a.seek(&[b.id, c.id]);
    b.seek(&[a.id, c.id]);
    assert_eq!(a.up().await.peer(), c.id);
    assert_eq!(b.up().await.peer(), c.id);
    assert!(c.up().await.is_observer() && c.up().await.is_observer());
    a.stays_silent(Duration::from_secs(10)).await;
    b.stays_silent(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_that_are_opened_at_once_the_smaller_ones_stays() {
    for seed in 0..40 {
        // So slow that the larger one begins before it has heard of the other one's attempt.
        let latency = Duration::from_millis(100 + seed * 5);
        let net =
            SimNet::new(seed, SimConfig { latency: latency..=latency * 2, ..Default::default() });
        let nodes = nodes(&net, 2);
        let (a, b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
        let link = nodes[0].link(&nodes[1]).await;
        b.seek(&[a.id]);
        // From the larger one's first frame on its way to the smaller one's last on its.
        sleep(Duration::from_millis(400) + latency * (seed as u32 % 6)).await;
        a.seek(&[b.id]);
        sleep(Duration::from_secs(15)).await;
        let (to_b, to_a) = (a.bonds.get(&b.id).unwrap(), b.bonds.get(&a.id).unwrap());
        assert_eq!(to_b.id(), to_a.id(), "seed {seed}");
        assert!(!link.is_closed());
        sleep(Duration::from_secs(15)).await;
        assert_eq!(a.bonds.get(&b.id).unwrap().id(), to_b.id(), "it comes and goes");
        assert_eq!(b.bonds.get(&a.id).unwrap().id(), to_b.id(), "it comes and goes");
    }
}

#[tokio::test(start_paused = true)]
async fn the_smaller_one_replaces_a_bond_of_the_larger_one() {
    let nodes = nodes(&net(1), 2);
    let (mut a, mut b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
    b.seek(&[a.id]);
    let (of_b, _) = (a.up().await, b.up().await);
    let link = nodes[0].link(&nodes[1]).await;
    let session = soon(super::super::meet::open(a.bonds.group(), link)).await.unwrap();
    let bond = session.bond.clone();
    tokio::spawn(session.run());
    assert_eq!(a.down().await.0.id(), of_b.id());
    assert_eq!(a.up().await.id(), bond.id());
    assert_eq!(b.down().await.1, CloseReason::AlreadyBonded);
    assert_eq!(b.up().await.id(), bond.id());
    a.stays_silent(Duration::from_secs(10)).await;
    b.stays_silent(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_bond_is_made_again_when_its_link_breaks() {
    let Pair { nodes, mut a, mut b, to_b, .. } = pair().await;
    for _ in 0..5 {
        let begun = Instant::now();
        nodes[1].transport.close_links(CloseReason::Failed);
        a.down().await;
        b.down().await;
        let (to_b, to_a) = (a.up().await, b.up().await);
        assert_eq!(to_b.id(), to_a.id());
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    assert!(to_b.is_over());
    assert_eq!(to_b.send("nothing".into()), Err(SendError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_bond_is_made_again_after_a_partition() {
    let net = net(5);
    let Pair { mut a, mut b, .. } = pair_on(&net).await;
    net.partition(&[vec![a.id], vec![b.id]]);
    a.down().await;
    b.down().await;
    sleep(Duration::from_secs(60)).await;
    net.heal();
    let begun = Instant::now();
    a.up().await;
    b.up().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_says_its_last_words() {
    let Pair { a, mut b, to_b, .. } = pair().await;
    for i in 0..10u8 {
        to_b.send(vec![i; 50_000].into()).unwrap();
    }
    drop(a);
    for i in 0..10u8 {
        assert_eq!(b.message().await.1, vec![i; 50_000]);
    }
    assert_eq!(b.down().await.1, CloseReason::GracefulShutdown);
    b.stays_silent(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_may_come_back() {
    let Pair { nodes, a, mut b, .. } = pair().await;
    drop(a);
    b.down().await;
    let mut a = nodes[0].join(spec(9));
    assert_eq!(b.up().await.member(), MemberId::new(&a.id, 9));
    a.up().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_becomes_another_one_is_seen_to() {
    let Pair { a, mut b, to_b, to_a, .. } = pair().await;
    let renewed = a.bonds.renew(8, true, "fresh".into());
    let (old, reason) = b.down().await;
    assert_eq!((old.member(), reason), (to_a.member(), CloseReason::Superseded));
    let new = b.up().await;
    assert_eq!((new.member(), new.id(), new.is_observer()), (renewed, to_a.id(), true));
    assert_eq!(&new.status()[..], b"fresh");
    to_b.send("as another one".into()).unwrap();
    assert_eq!(b.message().await.0, renewed);
    assert!(b.bonds.member(&to_a.member()).is_none());
    assert!(b.bonds.member(&renewed).is_some());
}

#[tokio::test(start_paused = true)]
async fn who_is_renewed_during_a_handshake_is_known_as_the_new_one() {
    for delay in 0..60 {
        let net = net(delay);
        let nodes = nodes(&net, 2);
        let (a, b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
        a.seek(&[b.id]);
        sleep(Duration::from_millis(delay)).await;
        let (a_now, b_now) =
            (a.bonds.renew(11, false, Bytes::new()), b.bonds.renew(12, false, Bytes::new()));
        sleep(Duration::from_secs(2)).await;
        assert!(a.bonds.member(&b_now).is_some() && b.bonds.member(&a_now).is_some(), "{delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_task_outlives_its_group() {
    let Pair { nodes, a, b, .. } = pair().await;
    drop((a, b));
    sleep(Duration::from_secs(60)).await;
    for node in &nodes {
        node.tasks.cancel();
        soon(node.tasks.ended()).await;
    }
}
