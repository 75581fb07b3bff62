use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use iroh::SecretKey;
use tokio::time::Instant;

use super::{Action, Autopilot, Member, Preference, Reason, Settings, View};
use crate::groups::member::MemberId;

fn member(number: u8, session: u64) -> MemberId {
    MemberId::new(&SecretKey::from_bytes(&[number; 32]).public(), session)
}

fn well() -> Member {
    let acknowledged = Some(Duration::from_millis(100));
    Member { matched: Some(100), acknowledged, ..Member::default() }
}

/// So many voters, the first of them the leader, and learners after them; all well.
fn group(voters: u8, learners: u8) -> View {
    let voter = |number| member(number, 1);
    let mut view = View { me: voter(1), open: true, log_end: 100, ..View::default() };
    view.voters = (1..=voters).map(voter).collect();
    view.learners = (voters + 1..=voters + learners).map(voter).collect();
    for it in view.voters.union(&view.learners) {
        view.members.insert(*it, well());
    }
    view
}

fn pilot(strict: Option<usize>) -> Autopilot {
    Autopilot::new(Settings::new(strict, 5, false))
}

fn edit(view: &mut View, number: u8, f: impl FnOnce(&mut Member)) {
    f(view.members.entry(member(number, 1)).or_default());
}

/// What is wanted after everything has been as it is for so long.
fn after(pilot: &mut Autopilot, view: &View, span: Duration) -> Option<Action> {
    let now = Instant::now();
    // Only what is seen counts, from when it is first seen.
    let calm = View { changing: true, ..view.clone() };
    assert!(pilot.plan(&calm, now).is_empty());
    let mut actions = pilot.plan(view, now + span);
    assert!(actions.len() < 2, "one change at a time");
    actions.pop()
}

const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(11);

fn voters(action: Option<Action>) -> (BTreeSet<MemberId>, Reason) {
    match action {
        Some(Action::SetVoters { voters, reason, .. }) => (voters, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn learners_vote_when_they_were_stable_and_an_odd_number_of_them() {
    let mut view = group(1, 2);
    assert_eq!(after(&mut pilot(None), &view, SOON), None);
    let (three, reason) = voters(after(&mut pilot(None), &view, LATER));
    assert_eq!((three.len(), reason), (3, Reason::Stable));
    edit(&mut view, 3, |it| it.matched = Some(1));
    assert_eq!(voters(after(&mut pilot(None), &view, LATER)).0.len(), 2);
    assert_eq!(after(&mut pilot(None), &group(3, 1), LATER), None);
    assert_eq!(voters(after(&mut pilot(None), &group(3, 3), LATER)).0.len(), 5);
    let mut reader = group(1, 1);
    edit(&mut reader, 2, |it| it.preference = Preference::Observer);
    assert_eq!(after(&mut pilot(None), &reader, LATER), None);
}

#[test]
fn a_silent_voter_is_removed_only_if_the_rest_is_a_quorum() {
    let silent = |it: &mut Member| it.acknowledged = Some(Duration::from_secs(60));
    let mut view = group(3, 0);
    edit(&mut view, 3, silent);
    assert_eq!(after(&mut pilot(None), &view, SOON), None, "it may be about to answer");
    let (two, reason) = voters(after(&mut pilot(None), &view, LATER));
    assert_eq!((two.len(), reason), (2, Reason::Silent));
    edit(&mut view, 2, silent);
    assert_eq!(after(&mut pilot(None), &view, LATER), None);
    let mut disk = Autopilot::new(Settings::new(None, 5, true));
    let mut view = group(3, 0);
    edit(&mut view, 3, |it| it.acknowledged = Some(Duration::from_secs(7_200)));
    assert_eq!(after(&mut disk, &view, Duration::from_secs(7_200)), None);
}

#[test]
fn strict_never_goes_below_n_and_bars_instead() {
    let mut view = group(3, 0);
    edit(&mut view, 3, |it| it.evict = true);
    let mut strict = pilot(Some(3));
    assert_eq!(after(&mut strict, &view, LATER), None);
    assert_eq!(strict.barred(), &BTreeMap::from([(member(3, 1), Reason::Evicted)]));
    assert!(!strict.is_needed(&member(3, 1)));
    // A change under way says nothing else about it.
    assert!(strict.plan(&View { changing: true, ..view }, Instant::now()).is_empty());
    assert_eq!(strict.barred().len(), 1);
    let mut view = group(3, 1);
    edit(&mut view, 3, |it| it.evict = true);
    let (three, reason) = voters(after(&mut strict, &view, SOON));
    assert_eq!((three.len(), reason), (3, Reason::Evicted));
    assert!(!three.contains(&member(3, 1)));
}

#[test]
fn a_peer_with_another_session_is_replaced_at_once() {
    let mut view = group(3, 1);
    view.alive.insert(SecretKey::from_bytes(&[3; 32]).public(), member(3, 2));
    let (three, reason) = voters(after(&mut pilot(None), &view, SOON));
    assert_eq!(reason, Reason::Restarted);
    assert_eq!(three, BTreeSet::from([1, 2, 4].map(|number| member(number, 1))));
}

#[test]
fn of_four_voters_one_becomes_a_learner() {
    let (three, reason) = voters(after(&mut pilot(None), &group(4, 0), LATER));
    assert_eq!((three.len(), reason), (3, Reason::Even));
    assert!(three.contains(&member(1, 1)), "not the leader");
}

#[test]
fn a_leader_that_leaves_hands_on_and_promotes_first_if_it_must() {
    let mut view = group(3, 0);
    edit(&mut view, 1, |it| it.leaving = true);
    let action = after(&mut pilot(None), &view, SOON);
    assert!(matches!(action, Some(Action::Transfer { reason: Reason::Leaving, .. })));
    let mut view = group(1, 1);
    edit(&mut view, 1, |it| it.leaving = true);
    assert_eq!(voters(after(&mut pilot(None), &view, SOON)).0.len(), 2);
}

#[test]
fn nothing_is_changed_before_it_is_open_or_while_a_change_is_under_way() {
    let mut view = group(1, 2);
    view.joint = true;
    let finish = Some(Action::FinishJoint { reason: Reason::Unfinished });
    assert_eq!(after(&mut pilot(None), &view, LATER), finish);
    view.open = false;
    assert_eq!(after(&mut pilot(None), &view, LATER), None);
}

#[test]
fn who_was_evicted_waits_longer() {
    let mut pilot = pilot(None);
    let mut view = group(1, 1);
    edit(&mut view, 2, |it| it.acknowledged = Some(Duration::from_secs(60)));
    let action = after(&mut pilot, &view, LATER);
    assert!(matches!(action, Some(Action::RemoveLearners { reason: Reason::Silent, .. })));
    let view = group(1, 1);
    pilot.begin();
    assert_eq!(after(&mut pilot, &view, Duration::from_secs(3)), None, "not after two seconds");
    pilot.begin();
    assert_eq!(voters(after(&mut pilot, &view, Duration::from_secs(5))).1, Reason::Stable);
}

#[test]
fn a_group_of_one_needs_no_ticks() {
    assert!(!Autopilot::wants_ticks(&group(1, 0)) && Autopilot::wants_ticks(&group(1, 1)));
}

#[test]
fn a_voter_that_is_needed_to_agree_is_not_barred() {
    let mut view = group(3, 0);
    edit(&mut view, 2, |it| it.acknowledged = Some(Duration::from_secs(5)));
    edit(&mut view, 3, |it| it.evict = true);
    for strict in [Some(3), None] {
        let mut pilot = pilot(strict);
        assert_eq!(after(&mut pilot, &view, SOON), None);
        assert!(pilot.barred().is_empty() && pilot.is_needed(&member(3, 1)));
    }
}

#[test]
fn who_was_evicted_by_hand_waits_longer_as_well() {
    let mut pilot = pilot(None);
    let mut view = group(1, 1);
    edit(&mut view, 2, |it| it.evict = true);
    let action = after(&mut pilot, &view, SOON);
    assert!(matches!(action, Some(Action::RemoveLearners { reason: Reason::Evicted, .. })));
    // It comes back as another member.
    let back = member(2, 2);
    let mut view = group(1, 0);
    view.learners.insert(back);
    view.members.insert(back, well());
    pilot.begin();
    assert_eq!(after(&mut pilot, &view, Duration::from_secs(3)), None, "not after two seconds");
    pilot.begin();
    assert_eq!(voters(after(&mut pilot, &view, Duration::from_secs(5))).1, Reason::Stable);
}

#[test]
fn a_leader_that_has_to_go_bars_nobody() {
    let mut view = group(3, 0);
    for number in [1, 3] {
        edit(&mut view, number, |it| it.expired = true);
    }
    let mut pilot = pilot(Some(3));
    let action = after(&mut pilot, &view, SOON);
    let to = member(2, 1);
    assert_eq!(action, Some(Action::Transfer { to, reason: Reason::TicketExpired }));
    assert!(pilot.barred().is_empty());
}
