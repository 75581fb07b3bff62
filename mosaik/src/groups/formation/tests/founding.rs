//! When there is nothing to join.

use super::*;

/// The first node, with so many others that are idle, all of whom it has found; it has proposed.
fn proposing(config: Config, others: usize) -> (Node, u64) {
    let mut node = Node::new(0, config);
    node.on(Input::Candidates((0..=others).map(peer).collect()));
    let mut effects = Vec::new();
    for place in 1..=others {
        effects = node.bonded(idle(place));
    }
    let said = said(&effects);
    assert_eq!(said.len(), others);
    let Message::Propose { nonce } = said[0].1 else { panic!("{said:?}") };
    (node, nonce)
}

fn grant(node: &mut Node, place: usize, nonce: u64) -> Vec<Effect> {
    node.hears(place, Message::Granted { nonce, member: member(place) })
}

/// The incarnation that these are asked to confirm.
fn named(effects: &[Effect]) -> (Vec<usize>, Vec<MemberId>, IncarnationId) {
    let said = said(effects);
    let Message::Found { incarnation, voters, .. } = said[0].1.clone() else { panic!("{said:?}") };
    (said.iter().map(|(to, _)| *to).collect(), voters, incarnation)
}

#[test]
fn a_lone_elastic_node_founds_after_it_has_looked_around() {
    let mut node = Node::new(0, elastic());
    assert_eq!(started(&node.waits(ms(990))), None);
    assert_eq!(started(&node.waits(ms(20))), Some(Some([member(0)].into())));
}

#[test]
fn a_strict_group_is_not_founded_by_too_few() {
    let mut node = Node::new(0, strict(3));
    node.bonded(idle(1));
    let effects = node.waits(ms(60_000));
    assert_eq!((said(&effects), started(&effects)), (vec![], None));
    node.bonded(idle(2));
    let effects = node.waits(ms(100));
    assert!(said(&effects).is_empty() || said(&effects).len() == 2);
}

#[test]
fn a_strict_group_is_not_founded_where_two_halves_might() {
    let mut node = Node::new(0, strict(3));
    let effects: Vec<Effect> = (1..6).flat_map(|place| node.bonded(idle(place))).collect();
    let told = Effect::Event(FormationEvent::TooManyFounders { seen: 6, limit: 5 });
    let effects = [effects, node.waits(ms(60_000))].concat();
    assert_eq!(effects.iter().filter(|effect| **effect == told).count(), 1);
    assert_eq!((said(&effects), started(&effects)), (vec![], None));
    // Nor by others with this node's help.
    let refused = Message::Refused { nonce: 7 };
    assert_eq!(said(&node.hears(1, Message::Propose { nonce: 7 })), [(1, refused)]);
}

#[test]
fn a_founder_starts_once_all_have_confirmed() {
    let (mut node, nonce) = proposing(strict(3), 2);
    assert_eq!(said(&grant(&mut node, 1, nonce)), []);
    let (asked, voters, incarnation) = named(&grant(&mut node, 2, nonce));
    assert_eq!((asked, voters.len()), (vec![1, 2], 3));
    let confirm = |place| Message::Confirmed { incarnation, member: member(place) };
    assert_eq!(started(&node.hears(1, confirm(1))), None);
    // Nobody confirms for another.
    assert_eq!(started(&node.hears(1, confirm(2))), None);
    let all = (0..3).map(member).collect();
    assert_eq!(started(&node.hears(2, confirm(2))), Some(Some(all)));
}

#[test]
fn a_founding_that_not_all_confirm_is_called_off() {
    let (mut node, nonce) = proposing(strict(3), 2);
    grant(&mut node, 1, nonce);
    let (_, _, incarnation) = named(&grant(&mut node, 2, nonce));
    node.hears(1, Message::Confirmed { incarnation, member: member(1) });
    let effects = node.waits(ms(501));
    assert_eq!(started(&effects), None);
    let gone = Message::Gone { incarnation, ending: Ending::Aborted };
    for place in [1, 2] {
        assert!(said(&effects).contains(&(place, gone.clone())), "{effects:?}");
        assert!(said(&effects).contains(&(place, Message::Withdraw { nonce })), "{effects:?}");
    }
    // What comes after that is too late.
    let late = node.hears(2, Message::Confirmed { incarnation, member: member(2) });
    assert_eq!(started(&late), None);
}

#[test]
fn who_is_refused_by_one_of_too_few_tries_again_later() {
    let (mut node, nonce) = proposing(strict(3), 2);
    grant(&mut node, 1, nonce);
    let effects = node.hears(2, Message::Refused { nonce });
    assert_eq!(said(&effects), [1, 2].map(|place| (place, Message::Withdraw { nonce })));
    let again = said(&node.waits(ms(510)));
    assert!(matches!(again[..], [(1, Message::Propose { .. }), (2, _)]), "{again:?}");
}

#[test]
fn nobody_founds_where_somebody_is_inside() {
    let mut node = Node::new(0, elastic());
    let founding = Status { stage: Stage::Founding, incarnation: Some(incarnation(1)), ..idle(1) };
    node.bonded(founding);
    let effects = node.waits(ms(60_000));
    assert_eq!((said(&effects), started(&effects)), (vec![], None));
    // Once it leads and takes commands, it is joined.
    let effects = node.bonded(leading(1, incarnation(1)));
    assert_eq!(started(&effects), Some(None));
    let join = Message::Join { incarnation: incarnation(1), member: member(0) };
    assert_eq!(said(&effects), [(1, join)]);
}
