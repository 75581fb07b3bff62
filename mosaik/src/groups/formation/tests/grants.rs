//! What others ask for who would found.

use super::*;

const ASKED: Message = Message::Propose { nonce: 7 };

fn granted(place: usize) -> Message {
    Message::Granted { nonce: 7, member: member(place) }
}

fn refused() -> Message {
    Message::Refused { nonce: 7 }
}

#[test]
fn one_promise_at_a_time_and_it_ends_by_itself() {
    let mut node = Node::new(2, elastic());
    node.bonded(idle(0));
    node.bonded(idle(1));
    assert_eq!(said(&node.hears(0, ASKED)), [(0, granted(2))]);
    assert_eq!(said(&node.hears(1, ASKED)), [(1, refused())]);
    // The same one may ask again.
    assert_eq!(said(&node.hears(0, ASKED)), [(0, granted(2))]);
    node.waits(ms(3001));
    assert_eq!(said(&node.hears(1, ASKED)), [(1, granted(2))]);
}

#[test]
fn a_promise_is_void_when_it_is_withdrawn_by_whom_it_was_given_to() {
    let mut node = Node::new(2, elastic());
    node.bonded(idle(0));
    node.bonded(idle(1));
    node.hears(0, ASKED);
    node.hears(1, Message::Withdraw { nonce: 7 });
    node.hears(0, Message::Withdraw { nonce: 8 });
    assert_eq!(said(&node.hears(1, ASKED)), [(1, refused())]);
    node.hears(0, Message::Withdraw { nonce: 7 });
    assert_eq!(said(&node.hears(1, ASKED)), [(1, granted(2))]);
}

#[test]
fn of_two_who_ask_each_other_the_smaller_goes_on() {
    let both = [0, 1].map(|place| {
        let mut node = Node::new(place, elastic());
        node.on(Input::Candidates([peer(0), peer(1)].into()));
        let mut effects = node.bonded(idle(1 - place));
        // Each in its turn.
        effects.extend(node.waits(ms(510) * place as u32));
        assert!(matches!(said(&effects)[..], [(_, Message::Propose { .. }), ..]), "{effects:?}");
        node.hears(1 - place, ASKED)
    });
    assert_eq!(said(&both[0]), [(1, refused())]);
    let larger = said(&both[1]);
    assert!(matches!(larger[..], [(0, Message::Withdraw { .. }), (0, _)]), "{larger:?}");
    assert_eq!(larger[1].1, granted(1));
}

#[test]
fn nothing_is_promised_by_who_cannot_or_has_something_to_join() {
    let mut observer = Node::new(1, Config { observer: true, ..elastic() });
    observer.bonded(idle(0));
    assert_eq!(said(&observer.hears(0, ASKED)), [(0, refused())]);
    let mut inside = Node::inside(1, elastic(), following(1, 2, incarnation(1)));
    inside.bonded(idle(0));
    assert_eq!(said(&inside.hears(0, ASKED)), [(0, refused())]);
    // Who is not bonded is not answered at all.
    assert_eq!(said(&inside.hears(3, ASKED)), []);
}

fn found(voters: &[usize]) -> Message {
    let voters = voters.iter().map(|place| member(*place)).collect();
    Message::Found { nonce: 7, incarnation: incarnation(1), voters, timing: Timing::default() }
}

#[test]
fn what_was_promised_is_confirmed_in_time_by_who_is_named() {
    let asked = |config: Config, wait: u64, voters: &[usize]| {
        let mut node = Node::new(2, config);
        node.bonded(idle(0));
        node.bonded(idle(1));
        node.hears(0, ASKED);
        node.waits(ms(wait));
        let effects = node.hears(0, found(voters));
        (started(&effects), said(&effects), node)
    };
    let confirmed = Message::Confirmed { incarnation: incarnation(1), member: member(2) };
    let declined = Message::Declined { incarnation: incarnation(1) };
    let (start, answer, _) = asked(strict(3), 2900, &[0, 1, 2]);
    assert_eq!((start, answer), (Some(None), vec![(0, confirmed)]));
    let (start, answer, _) = asked(strict(3), 3100, &[0, 1, 2]);
    assert_eq!((start, answer), (None, vec![(0, declined.clone())]));
    // Too few for what this node knows the group to be.
    let (start, answer, _) = asked(strict(3), 0, &[0, 2]);
    assert_eq!((start, answer), (None, vec![(0, declined)]));
    // Who is not named is free again.
    let (start, answer, mut node) = asked(strict(3), 0, &[0, 1, 3]);
    assert_eq!((start, answer), (None, vec![]));
    assert_eq!(said(&node.hears(1, ASKED)), [(1, granted(2))]);
}
