//! Members: opening, dissolving, being removed.

use super::*;

const OURS: fn() -> IncarnationId = || incarnation(1);

fn closed(stored: &[usize]) -> RaftView {
    let stored_by = stored.iter().map(|place| member(*place)).collect();
    RaftView { open: false, stored_by, ..led_by(0, OURS()) }
}

#[test]
fn a_strict_group_opens_once_all_founders_have_stored_the_first_entry() {
    let mut node = Node::inside(0, strict(3), closed(&[0]));
    assert_eq!(proposed(&node.view(closed(&[0, 1]))), []);
    assert_eq!(proposed(&node.view(closed(&[0, 1, 2]))), [Proposal::Open]);
    // Again if it does not show; and it is not given up any more.
    assert_eq!(proposed(&node.waits(ms(999))), []);
    assert!(node.waits(ms(60_000)).iter().all(|effect| {
        !matches!(effect, Effect::Propose(proposal) if *proposal != Proposal::Open)
    }));
}

#[test]
fn a_strict_group_that_cannot_open_is_dissolved() {
    let mut node = Node::inside(0, strict(3), closed(&[0, 1]));
    assert_eq!(proposed(&node.waits(ms(9_900))), []);
    assert_eq!(proposed(&node.waits(ms(200))), [Proposal::Dissolve]);
    // At once, if a founder is known to be gone.
    let mut node = Node::inside(0, strict(3), closed(&[0, 1]));
    node.bonded(idle(2));
    let again = Status { member: MemberId::new(&peer(2), 2), ..idle(2) };
    assert_eq!(proposed(&node.bonded(again)), [Proposal::Dissolve]);
    // When that is committed, all go.
    let dissolved = RaftView { dissolved: true, ..closed(&[0]) };
    assert_eq!(discarded(&node.view(dissolved)), Some(Discarded::Dissolved));
}

#[test]
fn an_elastic_group_opens_at_once() {
    let mut node = Node::new(0, elastic());
    node.formation.phase = Some(Phase::Member(Tenure::new(OURS())));
    assert_eq!(proposed(&node.view(closed(&[0]))), [Proposal::Open]);
}

#[test]
fn nobody_can_say_that_an_open_group_was_dissolved() {
    let gone = || Message::Gone { incarnation: OURS(), ending: Ending::Dissolved };
    let mut node = Node::inside(0, strict(3), following(0, 1, OURS()));
    node.bonded(leading(1, OURS()));
    assert_eq!(discarded(&node.hears(1, gone())), None);
    let mut closed = Node::inside(0, strict(3), closed(&[0]));
    closed.bonded(idle(1));
    assert_eq!(discarded(&closed.hears(1, gone())), Some(Discarded::Dissolved));
}

fn removed(at: u64) -> Message {
    removed_in(0, at)
}

fn removed_in(term: u64, at: u64) -> Message {
    Message::Removed { incarnation: OURS(), member: member(0), term, at }
}

#[test]
fn only_the_leader_says_that_a_member_is_removed() {
    let inside = || {
        let mut node = Node::inside(0, strict(3), following(0, 1, OURS()));
        node.bonded(leading(1, OURS()));
        node
    };
    assert_eq!(discarded(&inside().hears(1, removed(2))), Some(Discarded::Removed));
    // By a membership that this member knows already, or by one before it.
    assert_eq!(discarded(&inside().hears(1, removed(1))), None);
    // A member that follows, one that is in another incarnation, and one that only says it leads.
    let follows = Status { leading: false, ..leading(2, OURS()) };
    for other in [follows, leading(2, incarnation(2)), leading(2, OURS())] {
        let mut node = inside();
        node.bonded(other);
        assert_eq!(discarded(&node.hears(2, removed(2))), None);
    }
}

#[test]
fn who_was_not_taken_in_after_all_is_told_so() {
    // It has the log up to there, and the leader that would take it in is lost.
    let mut view = following(0, 1, OURS());
    view.membership.configs = vec![[member(1), member(2), member(3)].into()];
    let inside = || {
        let mut node = Node::inside(0, elastic(), view.clone());
        node.bonded(leading(1, OURS()));
        node
    };
    assert_eq!(discarded(&inside().waits(ms(60_000))), None);
    assert_eq!(discarded(&inside().hears(1, removed(0))), None);
    assert_eq!(discarded(&inside().hears(1, removed(1))), Some(Discarded::Removed));
}

#[test]
fn a_later_leader_knows_what_was_never_committed() {
    // It is named by an entry that a leader of term 4 has logged, and that nobody else has.
    let mut view = following(0, 1, OURS());
    (view.term, view.membership.term, view.membership.at) = (4, 4, 20);
    let inside = || {
        let mut node = Node::inside(0, elastic(), view.clone());
        node.bonded(leading(1, OURS()));
        node
    };
    for (term, ending) in [(3, None), (4, None), (5, Some(Discarded::Removed))] {
        assert_eq!(discarded(&inside().hears(1, removed_in(term, 12))), ending);
    }
}

#[test]
fn who_was_removed_by_a_leader_it_has_never_followed_believes_it() {
    let mut node = Node::inside(0, strict(3), following(0, 1, OURS()));
    node.bonded(leading(1, OURS()));
    node.bonded(leading(2, OURS()));
    assert_eq!(discarded(&node.hears(2, removed(2))), None);
    // The one before has stepped down by now.
    node.bonded(Status { leading: false, ..leading(1, OURS()) });
    assert_eq!(discarded(&node.hears(2, removed(2))), Some(Discarded::Removed));
    // It is the leader itself.
    let mut leader = Node::inside(0, strict(3), led_by(0, OURS()));
    leader.bonded(leading(1, OURS()));
    assert_eq!(discarded(&leader.hears(1, removed(2))), None);
}

#[test]
fn a_leader_tells_who_is_removed_and_says_it_again() {
    let mut node = Node::inside(0, elastic(), led_by(0, OURS()));
    let stray = Status { leading: false, ..leading(3, OURS()) };
    let told = Message::Removed { incarnation: OURS(), member: member(3), term: 0, at: 1 };
    assert_eq!(said(&node.bonded(stray)), [(3, told.clone())]);
    assert_eq!(said(&node.waits(ms(900))), []);
    assert_eq!(said(&node.waits(ms(200))), [(3, told)]);
}

#[test]
fn who_reads_that_it_is_no_member_any_more_goes() {
    let mut node = Node::inside(0, elastic(), following(0, 1, OURS()));
    let mut without = following(0, 1, OURS());
    without.membership.configs = vec![[member(1), member(2)].into()];
    without.membership.committed = false;
    assert_eq!(discarded(&node.view(without.clone())), None);
    without.membership.committed = true;
    assert_eq!(discarded(&node.view(without)), Some(Discarded::Removed));
}
