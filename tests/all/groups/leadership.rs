//! Who leads, and what happens when the leader goes.

use std::time::Duration;

use mosaik::{
    Network,
    groups::{ConsensusConfig, Cursor, Group, GroupEvent, LeadershipPreference, Quorum},
};
use mosaik_tests::{Counter, eventually, secs, within};
use tokio::time::Instant;

use super::{all_online, builder, builder_of, event, founded, ids, join, one_leader, votes};
use crate::tickets::pass;

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn right_after_joining_there_is_no_leader_and_nothing_committed(node: Network) {
    let group = join(&node);
    assert_eq!((group.leader(), group.is_leader()), (None, false));
    assert_eq!(group.committed(), 0);
    assert_eq!(group.log_position(), Cursor::zero());
    assert!(group.bonds().is_empty());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_lone_member_leads_after_the_bootstrap_delay(node: Network) {
    for config in [ConsensusConfig::fast(), ConsensusConfig::default()] {
        let most = config.bootstrap_delay + config.election_timeout * 2;
        let begun = Instant::now();
        let group = builder(&node).with_consensus_config(config).join();
        within(secs(20), "its lead", group.when().online()).await;
        assert!(begun.elapsed() < most, "{:?}", begun.elapsed());
        assert_eq!(group.leader(), Some(node.local().id()));
        group.leave().await.unwrap();
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_adopts_the_leader_and_there_is_no_election(nodes: [Network; 4]) {
    let groups = founded(&nodes[..3]).await;
    let leader = one_leader(&groups).await;
    let mut events = groups[leader].events();
    let begun = Instant::now();
    let late = builder(&nodes[3]).with_quorum(Quorum::Strict(3)).join();
    within(secs(10), "its start", late.when().online()).await;
    assert!(begun.elapsed() < secs(3), "{:?}", begun.elapsed());
    assert_eq!(late.leader(), groups[leader].leader());
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, GroupEvent::LeaderChanged { .. }), "{event:?}");
    }
    assert!(groups[leader].is_leader());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn when_the_leader_dies_the_others_agree_on_one_new_leader(nodes: [Network; 4]) {
    let mut groups = founded(&nodes[..3]).await;
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
    let dead = one_leader(&groups).await;
    let changed = groups.iter().enumerate().filter(|(place, _)| *place != dead);
    let changed = changed.map(|(_, group)| group.when().leader_changed()).collect::<Vec<_>>();
    nodes.crash(dead);
    let begun = Instant::now();
    drop(groups.remove(dead));
    let config = ConsensusConfig::fast();
    let lease = config.election_timeout + config.election_timeout_jitter;
    for changed in changed {
        within(secs(20), "another leader", changed).await;
    }
    assert!(begun.elapsed() <= lease * 6, "{:?}", begun.elapsed());
    let leader = one_leader(&groups).await;
    assert_eq!(groups.iter().filter(|group| group.is_leader()).count(), 1);
    let next = within(secs(5), "a command", groups[1 - leader].execute(1)).await.unwrap();
    assert_eq!((next.index(), *next), (2.into(), 2));
    let late = builder(&nodes[3]).with_quorum(Quorum::Strict(3)).join();
    within(secs(10), "its start", late.when().online()).await;
    assert_eq!(late.leader(), groups[0].leader());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_leader_that_departs_is_replaced_before_anybody_misses_it(nodes: [Network; 3]) {
    let ids = ids(&nodes);
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| {
            let builder = builder(node).with_quorum(Quorum::Strict(3));
            builder.with_consensus_config(ConsensusConfig::default()).join()
        })
        .collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let mut nodes: Vec<_> = nodes.into();
    let going = nodes.remove(leader);
    let others = || groups.iter().enumerate().filter(|(place, _)| *place != leader);
    let begun = Instant::now();
    let shutdown = tokio::spawn(async move { going.shutdown().await });
    let replaced =
        || others().all(|(_, group)| group.leader().is_some_and(|now| now != ids[leader]));
    eventually(secs(5), "another leader", replaced).await;
    // Whoever misses it waits for at least `election_timeout`, 600 ms.
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    within(secs(5), "the shutdown", shutdown).await.unwrap();
    let other = others().next().unwrap().1;
    within(secs(2), "a command", other.execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn the_last_of_an_elastic_group_leads_alone_when_the_others_have_left(nodes: [Network; 3]) {
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
    // Until all of them vote.
    pass(secs(5)).await;
    let [a, b, c] = groups;
    within(secs(5), "a departure", a.leave()).await.unwrap();
    within(secs(20), "an answer", b.when().online()).await;
    within(secs(5), "a command", b.execute(1)).await.unwrap();
    // Until two vote, of two.
    pass(secs(5)).await;
    within(secs(5), "a departure", b.leave()).await.unwrap();
    within(secs(20), "its lead", c.when().is_leader()).await;
    assert_eq!(*within(secs(5), "a command", c.execute(1)).await.unwrap(), 3);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn an_observer_never_leads_and_takes_part_otherwise(mut nodes: [Network; 4]) {
    let mut groups = founded(&nodes[..3]).await;
    let observer = builder_of(&nodes[3], Counter::observer()).with_quorum(Quorum::Strict(3)).join();
    within(secs(10), "its start", observer.when().online()).await;
    let mine = within(secs(5), "its command", observer.execute(1)).await.unwrap();
    assert_eq!((mine.index(), observer.read(|counter| counter.total)), (1.into(), 1));
    for _ in 0..2 {
        let leader = one_leader(&groups).await;
        nodes.crash(leader);
        let others = groups.iter().enumerate().filter(|(place, _)| *place != leader);
        let changed: Vec<_> = others.map(|(_, group)| group.when().leader_changed()).collect();
        for changed in changed {
            within(secs(20), "another leader", changed).await;
        }
        assert!(!observer.is_leader());
        let mut events: Vec<_> = groups.iter().map(Group::events).collect();
        drop(events.remove(leader));
        nodes.restart(leader).await;
        groups[leader] = builder(&nodes[leader]).with_quorum(Quorum::Strict(3)).join();
        votes(&mut events, nodes[leader].local().id()).await;
        within(secs(20), "its own lead's return", observer.when().online()).await;
        within(secs(5), "its command", observer.execute(1)).await.unwrap();
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_reluctant_leader_hands_over_to_who_is_willing(nodes: [Network; 3]) {
    let machine = |preference| Counter { preference, ..Counter::default() };
    let reluctant = builder_of(&nodes[0], machine(LeadershipPreference::reluctant()));
    let reluctant = reluctant.join();
    within(secs(20), "its lead", reluctant.when().is_leader()).await;
    let mut events = reluctant.events();
    let willing = [1, 2].map(|place: usize| join(&nodes[place]));
    all_online(&willing).await;
    event(&mut events, |event| matches!(event, GroupEvent::VoterAdded(..)).then_some(())).await;
    let handed = || willing.iter().any(|group| group.is_leader());
    eventually(secs(60), "the transfer", handed).await;
    within(secs(5), "a command", reluctant.execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn reluctant_voters_slow_no_election_and_lead_when_nobody_else_is_left(nodes: [Network; 5]) {
    let config = ConsensusConfig::default;
    let preference = |place| match place {
        0 | 1 => LeadershipPreference::Normal,
        _ => LeadershipPreference::reluctant(),
    };
    let machine = |place| Counter { preference: preference(place), ..Counter::default() };
    let join = |place: usize| {
        let builder = builder_of(&nodes[place], machine(place)).with_quorum(Quorum::Strict(5));
        builder.with_consensus_config(config()).join()
    };
    let groups: Vec<_> = (0..5).map(join).collect();
    all_online(&groups).await;
    // Whoever has founded it: a reluctant one hands over.
    eventually(secs(60), "a willing leader", || groups[..2].iter().any(Group::is_leader)).await;
    let first = one_leader(&groups).await;
    let second = 1 - first;
    pass(secs(2)).await;
    let lease = config().election_timeout + config().election_timeout_jitter;
    let round = Duration::from_millis(300);

    nodes.crash(first);
    let begun = Instant::now();
    within(secs(20), "its lead", groups[second].when().is_leader()).await;
    // As if nobody were reluctant: the lease, and one election time.
    assert!(begun.elapsed() <= lease * 2 + round, "{:?}", begun.elapsed());
    within(secs(5), "a command", groups[4].execute(1)).await.unwrap();

    nodes.crash(second);
    let begun = Instant::now();
    let reluctant = &groups[2..];
    eventually(secs(20), "a lead", || reluctant.iter().any(Group::is_leader)).await;
    let took = begun.elapsed();
    // The lease, and three election times; more rounds if votes are split.
    let least = lease + config().election_timeout * 3 - config().heartbeat_interval;
    assert!((least..=lease * 4 + lease * 2 + round).contains(&took), "{took:?}");
    within(secs(5), "a command", reluctant[0].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_reluctant_leader_that_is_cut_off_notices_it_as_soon_as_others(nodes: [Network; 3]) {
    let preference = LeadershipPreference::Reluctant { factor: 10 };
    let machine = || Counter { preference, ..Counter::default() };
    let join = |node: &Network| builder_of(node, machine()).with_quorum(Quorum::Strict(3)).join();
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    nodes.partition(&[&[leader], &others]);
    let begun = Instant::now();
    within(secs(20), "its notice", groups[leader].when().offline()).await;
    let config = ConsensusConfig::fast();
    let lease = config.election_timeout + config.election_timeout_jitter;
    // It looks four times a second.
    assert!(begun.elapsed() <= lease + Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn who_joins_takes_the_times_of_the_group(nodes: [Network; 3]) {
    let join = |place: usize, config| builder(&nodes[place]).with_consensus_config(config).join();
    let mut groups = vec![join(0, ConsensusConfig::wan())];
    within(secs(20), "its lead", groups[0].when().is_leader()).await;
    let mut events = groups[0].events();
    for place in [1, 2] {
        let mut fast = ConsensusConfig::fast();
        // They are not to found a rival.
        fast.bootstrap_delay = secs(10);
        groups.push(join(place, fast));
    }
    all_online(&groups).await;
    for _ in [1, 2] {
        event(&mut events, |event| matches!(event, GroupEvent::VoterAdded(..)).then_some(())).await;
    }
    // Their own patience is shorter than the leader's pause between two heartbeats.
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    pass(secs(30)).await;
    for events in &mut events {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, GroupEvent::LeaderChanged { .. }), "{event:?}");
        }
    }
    nodes.crash(0);
    let begun = Instant::now();
    let others = &groups[1..];
    eventually(secs(20), "another leader", || others.iter().any(Group::is_leader)).await;
    let wan = ConsensusConfig::wan();
    let lease = wan.election_timeout + wan.election_timeout_jitter;
    let least = lease + wan.election_timeout - wan.heartbeat_interval;
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn founders_take_the_times_of_whoever_founds(nodes: [Network; 3]) {
    let configs = [ConsensusConfig::fast(), ConsensusConfig::default(), ConsensusConfig::wan()];
    let groups: Vec<_> = nodes
        .iter()
        .zip(configs)
        .map(|(node, config)| {
            builder(node).with_quorum(Quorum::Strict(3)).with_consensus_config(config).join()
        })
        .collect();
    all_online(&groups).await;
    one_leader(&groups).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    pass(secs(30)).await;
    for events in &mut events {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, GroupEvent::LeaderChanged { .. }), "{event:?}");
        }
    }
}
