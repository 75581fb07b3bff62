//! Two incarnations meet.

use super::*;

fn led(place: usize, of: u64, index: u64) -> RaftView {
    RaftView { logged: index, applied: index, ..led_by(place, incarnation(of)) }
}

fn standing(of: u64, index: u64) -> Standing {
    Standing { incarnation: incarnation(of), index, voters: 3 }
}

fn challenge(of: u64, index: u64, challenged: u64) -> Message {
    let challenged = incarnation(challenged);
    Message::Challenge { nonce: 7, challenger: standing(of, index), challenged }
}

const fn yields(winner: IncarnationId) -> Proposal {
    Proposal::Yield { winner }
}

#[test]
fn the_older_incarnation_challenges_the_younger_one() {
    let mut older = Node::inside(0, elastic(), led(0, 1, 10));
    let asked = said(&older.bonded(leading(3, incarnation(2))));
    let [(3, Message::Challenge { challenger, challenged, .. })] = asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((challenger, challenged), (standing(1, 10), incarnation(2)));
    assert_eq!(said(&older.waits(ms(900))), []);
    assert_eq!(said(&older.waits(ms(200))).len(), 1);
    let mut younger = Node::inside(0, elastic(), led(0, 2, 10));
    younger.bonded(leading(3, incarnation(1)));
    assert_eq!(said(&younger.waits(ms(5_000))), []);
}

#[test]
fn the_challenged_one_judges_by_what_is_there_now() {
    let judged = |theirs: u64, index: u64| {
        let mut node = Node::inside(0, elastic(), led(0, 5, 10));
        node.bonded(leading(3, incarnation(theirs)));
        let effects = node.hears(3, challenge(theirs, index, 5));
        (proposed(&effects), said(&effects))
    };
    assert_eq!(judged(1, 11), (vec![yields(incarnation(1))], vec![]));
    let prevails = Message::Prevail { nonce: 7, winner: standing(5, 10), loser: incarnation(1) };
    assert_eq!(judged(1, 9), (vec![], vec![(3, prevails)]));
    // Of equals the older one.
    assert_eq!(judged(1, 10), (vec![yields(incarnation(1))], vec![]));
    assert_eq!(judged(6, 10).0, []);
}

#[test]
fn a_challenge_is_nothing_to_who_does_not_lead_or_is_not_meant() {
    let mut follower = Node::inside(0, elastic(), following(0, 1, incarnation(5)));
    follower.bonded(leading(3, incarnation(1)));
    assert_eq!(proposed(&follower.hears(3, challenge(1, 99, 5))), []);
    let mut other = Node::inside(0, elastic(), led(0, 5, 10));
    other.bonded(leading(3, incarnation(1)));
    assert_eq!(proposed(&other.hears(3, challenge(1, 99, 4))), []);
}

#[test]
fn who_has_challenged_yields_to_the_answer_to_that_in_time() {
    let prevails =
        |nonce| Message::Prevail { nonce, winner: standing(2, 20), loser: incarnation(1) };
    let challenged = || {
        let mut node = Node::inside(0, elastic(), led(0, 1, 10));
        let asked = said(&node.bonded(leading(3, incarnation(2))));
        let Message::Challenge { nonce, .. } = asked[0].1 else { panic!("{asked:?}") };
        (node, nonce)
    };
    let (mut node, nonce) = challenged();
    assert_eq!(proposed(&node.hears(3, prevails(nonce.wrapping_add(1)))), []);
    assert_eq!(proposed(&node.hears(3, prevails(nonce))), [yields(incarnation(2))]);
    let (mut late, nonce) = challenged();
    late.waits(ms(1_100));
    assert_eq!(proposed(&late.hears(3, prevails(nonce))), []);
}

#[test]
fn a_loser_keeps_its_log_until_it_sees_that_the_winner_lives() {
    let yielded = |view: RaftView| RaftView { yielded_to: Some(incarnation(2)), ..view };
    let lost = Some(Discarded::Yielded { winner: incarnation(2) });
    let mut node = Node::inside(0, elastic(), yielded(following(0, 1, incarnation(1))));
    assert_eq!(discarded(&node.waits(ms(60_000))), None);
    assert_eq!(discarded(&node.bonded(leading(3, incarnation(2)))), lost);
    // The leader goes last, and tells what is lost.
    let mut leader = Node::inside(0, elastic(), yielded(led(0, 1, 10)));
    assert_eq!(discarded(&leader.bonded(leading(3, incarnation(2)))), None);
    let effects = leader.waits(ms(1_000));
    assert_eq!(discarded(&effects), lost);
    let (kept, merged) = (incarnation(2), incarnation(1));
    let told = FormationEvent::Merged { kept, merged, dropped: 10 };
    assert!(effects.contains(&Effect::Event(told)), "{effects:?}");
}

#[test]
fn a_loser_whose_winner_is_gone_takes_it_back() {
    let yielded = RaftView { yielded_to: Some(incarnation(2)), ..led(0, 1, 10) };
    let mut node = Node::inside(0, elastic(), yielded);
    assert_eq!(proposed(&node.waits(ms(14_900))), []);
    assert_eq!(proposed(&node.waits(ms(200))), [yields(incarnation(1))]);
}

#[test]
fn of_a_circle_of_losers_the_oldest_takes_it_back() {
    let taken_back = |ours: u64, theirs: u64| {
        let yielded = RaftView { yielded_to: Some(incarnation(theirs)), ..led(0, ours, 10) };
        let mut node = Node::inside(0, elastic(), yielded);
        let other = leading(3, incarnation(theirs));
        let other = Status { yielded_to: Some(incarnation(ours)), ..other };
        proposed(&node.bonded(other))
    };
    assert_eq!(taken_back(1, 2), [yields(incarnation(1))]);
    assert_eq!(taken_back(2, 1), []);
}

#[test]
fn a_chain_is_followed_when_those_in_between_have_moved_on() {
    let mut view = led(0, 3, 1);
    view.yielded_to = Some(incarnation(2));
    let mut node = Node::inside(0, elastic(), view);
    let between = Status { yielded_to: Some(incarnation(1)), ..leading(3, incarnation(2)) };
    node.bonded(between);
    assert_eq!(discarded(&node.waits(ms(2_000))), None);
    node.bonded(idle(3));
    let winner = incarnation(1);
    let met = node.bonded(leading(4, winner));
    assert_eq!(discarded(&met), Some(Discarded::Yielded { winner }));
}
