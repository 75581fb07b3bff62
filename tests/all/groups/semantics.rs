//! What the published crate's tests saw of groups, as far as no other file here asks for it.

use mosaik::{
    Bytes, Network, UniqueId,
    discovery::PeerEntry,
    groups::{
        ApplyContext, ConsensusConfig, Group, GroupEvent, GroupKey, Quorum, StateMachine,
        decode_state, encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
    tickets::{Expiration, InvalidTicket, TicketClass, TicketValidator},
};
use mosaik_tests::{eventually, secs, within};
use tokio::time::Instant;

use super::{all_equal, all_online, builder, event, founded, ids, join, one_leader};
use crate::tickets::{DOOR, For, pass, ticket};

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn rivals_that_are_equally_far_become_one_within_ten_seconds(nodes: [Network; 4]) {
    nodes.partition(&[&[0, 1], &[2, 3]]);
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    for place in [0, 1, 2, 3] {
        within(secs(5), "a command", groups[place].execute(place as u64)).await.unwrap();
    }
    assert!(groups.iter().all(|group| group.committed() >= 1));
    nodes.heal();
    let converged = || {
        let leader = groups[0].leader();
        leader.is_some() && groups.iter().all(|group| group.leader() == leader)
    };
    eventually(secs(10), "one group", converged).await;
    all_online(&groups).await;
    let numbers = all_equal(&groups).await;
    assert!(numbers == [0, 1] || numbers == [2, 3], "{numbers:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn of_leaders_by_themselves_the_one_with_the_longest_log_leads_all(nodes: [Network; 4]) {
    nodes.partition(&[&[0], &[1], &[2], &[3]]);
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    for (group, count) in groups.iter().zip([2, 1, 3, 1]) {
        for number in 0..count {
            within(secs(5), "a command", group.execute(number)).await.unwrap();
        }
    }
    nodes.heal();
    let longest = Some(nodes[2].local().id());
    let leads = || groups.iter().all(|group| group.leader() == longest);
    eventually(secs(20), "the longest log's leader", leads).await;
    all_online(&groups).await;
    assert_eq!(all_equal(&groups).await, [0, 1, 2]);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn after_a_leader_that_is_cut_off_the_others_agree_within_twice_the_time_to_lead(
    nodes: [Network; 3],
) {
    let groups = founded(&nodes).await;
    let first = one_leader(&groups).await;
    let old = groups[first].leader();
    let others: Vec<_> = (0..3).filter(|place| *place != first).collect();
    nodes.partition(&[&[first], &others]);
    let begun = Instant::now();
    let pair: Vec<Group<_>> = others.iter().map(|place| groups[*place].clone()).collect();
    let replaced = || {
        let leader = pair[0].leader();
        leader.is_some() && leader != old && pair[1].leader() == leader
    };
    eventually(secs(20), "another leader", replaced).await;
    let times = ConsensusConfig::fast();
    let sum = times.bootstrap_delay + times.election_timeout + times.election_timeout_jitter;
    assert!(begun.elapsed() <= sum * 2, "{:?}", begun.elapsed());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_has_left_does_not_advertise_the_group_any_more(nodes: [Network; 2]) {
    let [going, staying] = nodes.each_ref().map(join);
    all_online([&going, &staying]).await;
    let (id, peer) = (*going.id(), ids(&nodes)[0]);
    let advertised = || {
        let catalog = nodes[1].discovery().catalog();
        catalog.get(&peer).is_some_and(|entry| entry.groups().contains(&id))
    };
    eventually(secs(10), "the group's advertisement", advertised).await;
    within(secs(5), "its leave", going.leave()).await.unwrap();
    eventually(secs(10), "the end of the advertisement", || !advertised()).await;
}

/// Judges by this key, so that it is another validator with another one.
struct Keyed(&'static str);

impl TicketValidator for Keyed {
    fn class(&self) -> TicketClass {
        DOOR
    }

    fn signature(&self) -> UniqueId {
        DOOR.derive(self.0)
    }

    fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        For(DOOR).validate(ticket, peer)
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn members_bond_while_the_key_of_their_tickets_is_rotated(nodes: [Network; 2]) {
    for node in &nodes {
        node.discovery().add_ticket(ticket(node, DOOR, Expiration::Never)).unwrap();
    }
    // As the one before, and as the one after: by its name it is the same validator.
    let groups = [
        builder(&nodes[0]).require_ticket(Keyed("old").named("door")).join(),
        builder(&nodes[1]).require_ticket(Keyed("new").named("door")).join(),
    ];
    all_online(&groups).await;
    eventually(secs(10), "a bond", || groups.iter().all(|group| group.bonds().len() == 1)).await;
    one_leader(&groups).await;
}

/// Has the name of the tests' counter, and takes other commands.
#[derive(Clone, Default)]
struct Narrow(u64);

impl StateMachine for Narrow {
    type Command = u32;
    type Response = u64;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        "tests.counter".into()
    }

    fn apply(&mut self, by: u32, _: &ApplyContext) -> u64 {
        self.0 += u64::from(by);
        self.0
    }

    fn query(&self, (): ()) -> u64 {
        self.0
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&self.0)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(Self)
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn members_whose_commands_look_different_refuse_each_other(nodes: [Network; 2]) {
    let wide = builder(&nodes[0]).with_quorum(Quorum::Strict(1)).join();
    let narrow = nodes[1]
        .groups()
        .with_key(GroupKey::from_secret("tests"))
        .with_state_machine(Narrow::default())
        .with_consensus_config(ConsensusConfig::fast())
        .with_quorum(Quorum::Strict(1))
        .join();
    assert_eq!(wide.id(), narrow.id());
    let [one, other] = [0, 1].map(|place| ids(&nodes)[place]);
    for (mut events, peer) in [(wide.events(), other), (narrow.events(), one)] {
        let refused = event(&mut events, |event| match event {
            GroupEvent::ConfigMismatch { peer, field: "schema", .. } => Some(*peer),
            _ => None,
        });
        assert_eq!(refused.await, peer);
    }
    pass(secs(10)).await;
    assert!(wide.bonds().is_empty() && narrow.bonds().is_empty());
}
