//! What a replica promises: each call is applied once, in its turn, whatever is sent how often; and
//! all that it is follows from the log.

use super::{
    fuzzing::{Journal, Line, SESSION, items, peer, replica, run},
    *,
};
use crate::{
    fuzzing::Mutator,
    groups::{
        index::{Cursor, Index, Term},
        machine::{Hosted, Reply},
        member::IncarnationId,
    },
    id::{GroupId, NetworkId},
};

pub(super) const WRITE: fn(u32) -> Line = Line::Write;

pub(super) fn opened() -> Replica {
    let mut replica = replica();
    let open = Control::OpenSession { session: SESSION, peer: peer() };
    assert_eq!(control(&mut replica, open)[0].kind, OutcomeKind::Opened);
    replica
}

pub(super) fn apply(replica: &mut Replica, item: &Item) -> Vec<Outcome> {
    let mut out = Vec::new();
    assert_eq!(replica.apply(Term(1), item, &mut out), Step::Done);
    out
}

fn control(replica: &mut Replica, control: Control) -> Vec<Outcome> {
    apply(replica, &Item::control(0, &control))
}

fn calls(replica: &mut Replica, first: u64, calls: &[&[Line]]) -> Vec<Outcome> {
    apply(replica, &Item::of_runs(0, &[run(first, calls)]))
}

fn journal(replica: &Replica) -> Journal {
    let bytes = replica.freeze().machine.encode().unwrap();
    crate::schema::decode(&bytes).unwrap()
}

pub(super) fn lines(replica: &Replica) -> Vec<(u64, u32)> {
    journal(replica).lines
}

fn answered(outcome: &Outcome) -> (u64, Index, u64) {
    let (OutcomeKind::Answered(Answer::Applied(reply))
    | OutcomeKind::Repeated(Answer::Applied(reply))) = &outcome.kind
    else {
        panic!("{outcome:?}")
    };
    (outcome.sequence, outcome.index, reply.decode().unwrap())
}

#[test]
fn items_say_what_they_were_made_of() {
    for item in items() {
        match item.content().unwrap() {
            Content::Control(control) => {
                assert!(item.is_control());
                assert_eq!(Item::control(item.time_us(), &control), item);
                assert_eq!(item.commands(), 0);
            }
            Content::Commands(runs) => {
                assert!(!item.is_control());
                let read: Vec<Vec<usize>> =
                    runs.map(|run| run.calls.map(Iterator::count).collect()).collect();
                assert_eq!(read, [vec![1, 2], vec![1]]);
                assert_eq!((item.commands(), item.time_us()), (4, 3));
            }
        }
    }
    let nothing = Item::of_runs(1, &[run(1, &[])]);
    assert_eq!((nothing.commands(), nothing.content().is_some()), (0, true));
}

#[test]
fn a_call_is_answered_once_and_repeated_from_then_on() {
    let mut replica = opened();
    let out = calls(&mut replica, 1, &[&[WRITE(5)], &[WRITE(6)]]);
    assert_eq!(out.iter().map(answered).collect::<Vec<_>>(), [(1, Index(1), 1), (2, Index(2), 2)]);
    // The second again, and one more.
    let out = calls(&mut replica, 2, &[&[WRITE(6)], &[WRITE(7)]]);
    assert_eq!(out[0].kind, OutcomeKind::Repeated(Answer::Applied(Reply::new(&[2]))));
    assert_eq!(out.iter().map(answered).collect::<Vec<_>>(), [(2, Index(2), 2), (3, Index(4), 3)]);
    // The repetition has consumed an index, and so do those that come too early.
    let out = calls(&mut replica, 5, &[&[WRITE(9)], &[WRITE(10)]]);
    assert_eq!(out, [Outcome::new(SESSION, 5, Index(0), OutcomeKind::Gap { expected: 4 })]);
    assert_eq!(replica.applied(), Cursor(Term(1), Index(6)));
    assert_eq!(lines(&replica), [(1, 5), (2, 6), (4, 7)]);
    let session = replica.session(SESSION).unwrap();
    assert_eq!((session.lowest, session.next, session.peer), (1, 4, peer()));
}

#[test]
fn what_the_caller_has_is_dropped() {
    let mut replica = opened();
    calls(&mut replica, 1, &[&[WRITE(5)], &[WRITE(6)], &[WRITE(7)]]);
    let mut later = RunBuilder::new(SESSION, 4, 3);
    later.push(&fuzzing::line(WRITE(8)));
    apply(&mut replica, &Item::of_runs(0, &[later.finish()]));
    let out = calls(&mut replica, 2, &[&[WRITE(6)], &[WRITE(7)]]);
    assert_eq!(out[0].kind, OutcomeKind::Forgotten);
    assert_eq!(answered(&out[1]), (3, Index(3), 3));
    let mut recalled = Vec::new();
    replica.recall(SESSION, &mut recalled);
    assert_eq!((recalled[0].sequence, &recalled[0].kind), (2, &OutcomeKind::Forgotten));
    assert_eq!(recalled[1..].iter().map(answered).map(|a| a.0).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_session_is_opened_by_an_item_and_never_by_a_command() {
    let mut replica = replica();
    let out = calls(&mut replica, 1, &[&[WRITE(5)], &[WRITE(6)]]);
    assert_eq!(out, [Outcome::new(SESSION, 1, Index(0), OutcomeKind::UnknownSession)]);
    control(&mut replica, Control::OpenSession { session: SESSION, peer: peer() });
    calls(&mut replica, 1, &[&[WRITE(5)]]);
    assert_eq!(lines(&replica), [(3, 5)]);
    let out = control(&mut replica, Control::EndSessions { peer: peer() });
    assert_eq!(out, [Outcome::new(SESSION, 0, Index(3), OutcomeKind::UnknownSession)]);
    let out = control(&mut replica, Control::OpenSession { session: SESSION, peer: peer() });
    assert_eq!(out[0].kind, OutcomeKind::UnknownSession);
    calls(&mut replica, 1, &[&[WRITE(5)]]);
    assert_eq!(lines(&replica), [(3, 5)]);
    assert_eq!((replica.index(), replica.sessions().count()), (Index(4), 0));
}

#[test]
fn only_the_session_that_is_listened_to_is_told_of() {
    let mut replica = opened();
    replica.listen_to(SessionId(8));
    assert!(calls(&mut replica, 1, &[&[WRITE(5)]]).is_empty());
    assert!(calls(&mut replica, 1, &[&[WRITE(5)]]).is_empty());
    let snapshot = replica.freeze().encode().unwrap();
    replica.listen_to(SESSION);
    let mut out = Vec::new();
    replica.restore(&snapshot, &mut out).unwrap();
    assert_eq!(out.iter().map(answered).collect::<Vec<_>>(), [(1, Index(1), 1)]);
}

#[test]
fn commands_of_one_call_have_one_number_and_as_many_indices() {
    let mut replica = opened();
    let out = calls(&mut replica, 1, &[&[WRITE(1), WRITE(2), WRITE(3)], &[WRITE(4)]]);
    let OutcomeKind::Answered(Answer::Applied(reply)) = &out[0].kind else { panic!("{out:?}") };
    assert_eq!(reply.decode_many::<u64>(3).unwrap(), [1, 2, 3]);
    assert_eq!(answered(&out[1]), (2, Index(4), 4));
    assert_eq!((journal(&replica).batches, replica.index()), (1, Index(4)));
}

#[test]
fn what_is_no_command_consumes_number_and_index() {
    let mut replica = opened();
    let mut builder = RunBuilder::new(SESSION, 1, 1);
    builder.push(&[99]);
    builder.push(&fuzzing::line(WRITE(1)));
    let out = apply(&mut replica, &Item::of_runs(0, &[builder.finish()]));
    assert_eq!(out[0].kind, OutcomeKind::Answered(Answer::Undecodable));
    assert_eq!(answered(&out[1]), (2, Index(2), 1));
    // The head promises more than there is.
    let mut damaged = items()[2].0.to_vec();
    damaged[1] = 9;
    assert!(apply(&mut replica, &Item(damaged.into())).is_empty());
    assert_eq!(replica.index(), 11);
}

#[test]
fn nothing_is_applied_after_the_end() {
    let winner = IncarnationId::new(1, [1; 16]);
    let other = IncarnationId::new(2, [1; 16]);
    for end in [Control::Dissolve, Control::Yield { winner }] {
        let mut replica = opened();
        calls(&mut replica, 1, &[&[WRITE(1)]]);
        control(&mut replica, end);
        control(&mut replica, Control::Yield { winner: other });
        let out = calls(&mut replica, 2, &[&[WRITE(2)], &[WRITE(3)]]);
        assert_eq!((out.len(), &out[1].kind), (2, &OutcomeKind::Closed));
        assert_eq!((lines(&replica).len(), replica.index()), (1, Index(3)));
        assert_eq!(replica.yielded_to(), Some(other), "the last one counts");
    }
}

#[test]
fn the_time_never_goes_back() {
    let mut replica = opened();
    for (given, expected) in [(50, 50), (40, 50), (60, 60)] {
        apply(&mut replica, &Item::of_runs(given, &[]));
        assert_eq!(replica.time_us(), expected);
    }
}

fn feed(replica: &mut Replica, items: &[(Term, Item)], out: &mut Vec<Outcome>) -> Vec<Step> {
    items.iter().map(|(term, item)| replica.apply(*term, item, out)).collect()
}

/// Items of which the third makes the machine panic, and a last one that says so.
fn poison() -> Vec<(Term, Item)> {
    let items = [
        Item::control(0, &Control::OpenSession { session: SESSION, peer: peer() }),
        Item::of_runs(1, &[run(1, &[&[WRITE(1)]])]),
        Item::of_runs(2, &[run(2, &[&[WRITE(2)], &[Line::Panic], &[WRITE(3)]])]),
        Item::of_runs(3, &[run(5, &[&[WRITE(4)]])]),
        Item::control(4, &Control::Skip { index: Index(3) }),
    ];
    items.into_iter().map(|item| (Term(1), item)).collect()
}

#[test]
fn a_panic_poisons_until_the_command_is_skipped() {
    let mut replica = replica();
    let mut out = Vec::new();
    let steps = feed(&mut replica, &poison(), &mut out);
    assert_eq!(steps[..4], [Step::Done; 4]);
    assert_eq!(steps[4], Step::Rebuild);
    assert_eq!(replica.poisoned().unwrap().index, 3);
    assert_eq!(replica.freeze().encode(), Err(SnapshotError::Poisoned(Index(3))));
    assert_eq!((replica.index(), lines(&replica).len()), (Index(5), 2));
    // Nothing came of the calls behind it.
    assert_eq!(out.iter().map(|outcome| outcome.sequence).collect::<Vec<_>>(), [0, 1, 2]);

    out.clear();
    replica.rebuild(None, poison(), &mut out).unwrap();
    assert_eq!(replica.poisoned(), None);
    assert_eq!((replica.take_passed(), replica.take_passed()), (Some(Index(3)), None));
    assert_eq!(lines(&replica), [(1, 1), (2, 2), (4, 3), (5, 4)]);
    assert_eq!(out[3], Outcome::new(SESSION, 3, Index(3), OutcomeKind::Answered(Answer::Skipped),));
    // Whoever asks again is told the same.
    let again = calls(&mut replica, 3, &[&[Line::Panic]]);
    assert_eq!(again[0].kind, OutcomeKind::Repeated(Answer::Skipped));
}

#[test]
fn a_replica_is_rebuilt_from_a_snapshot_and_the_items_since() {
    let mut replica = replica();
    let mut out = Vec::new();
    let items = poison();
    feed(&mut replica, &items[..2], &mut out);
    let snapshot = replica.freeze().encode().unwrap();
    feed(&mut replica, &items[2..], &mut out);
    replica.rebuild(Some(&snapshot), items[2..].to_vec(), &mut out).unwrap();
    assert_eq!(lines(&replica), [(1, 1), (2, 2), (4, 3), (5, 4)]);

    // A replica that did not panic passes over it too.
    assert_eq!(skip(&mut replica, 2), Step::Rebuild);
    replica.rebuild(Some(&snapshot), items[2..].to_vec(), &mut out).unwrap();
    assert_eq!(lines(&replica), [(1, 1), (4, 3), (5, 4)]);
}

fn skip(replica: &mut Replica, index: u64) -> Step {
    let skip = Item::control(0, &Control::Skip { index: Index(index) });
    replica.apply(Term(1), &skip, &mut Vec::new())
}

#[test]
fn what_is_not_reached_yet_is_not_skipped() {
    let mut replica = opened();
    assert_eq!(skip(&mut replica, 2), Step::Done);
    calls(&mut replica, 1, &[&[WRITE(1)], &[WRITE(2)]]);
    assert_eq!(lines(&replica), [(1, 1), (2, 2)]);
    // Nor when all is applied once more because of another one.
    let log = [
        Item::control(0, &Control::OpenSession { session: SESSION, peer: peer() }),
        Item::control(0, &Control::Skip { index: Index(2) }),
        Item::of_runs(0, &[run(1, &[&[WRITE(1)], &[WRITE(2)]])]),
        Item::control(0, &Control::Skip { index: Index(1) }),
    ];
    assert_eq!(skip(&mut replica, 1), Step::Rebuild);
    replica.rebuild(None, log.map(|item| (Term(1), item)), &mut Vec::new()).unwrap();
    assert_eq!(lines(&replica), [(2, 2)]);
}

#[test]
fn a_command_in_the_snapshot_stays_applied_where_nothing_has_panicked() {
    let mut replica = opened();
    calls(&mut replica, 1, &[&[WRITE(1)], &[WRITE(2)]]);
    let snapshot = replica.freeze().encode().unwrap();
    assert_eq!(skip(&mut replica, 1), Step::Rebuild);
    replica.rebuild(Some(&snapshot), [], &mut Vec::new()).unwrap();
    assert_eq!((lines(&replica), replica.take_passed()), (vec![(1, 1), (2, 2)], None));
    // The rest of the log goes on.
    calls(&mut replica, 3, &[&[WRITE(3)]]);
    assert_eq!(lines(&replica), [(1, 1), (2, 2), (3, 3)]);

    calls(&mut replica, 4, &[&[Line::Panic]]);
    // One that cannot go on needs the state of another member.
    assert_eq!(skip(&mut replica, 4), Step::Rebuild);
    let late = replica.rebuild(Some(&snapshot), [], &mut Vec::new());
    assert_eq!(late, Err(RestoreError::TooLate(Index(1))));
    assert_eq!(replica.poisoned().unwrap().index, 4);
}

#[test]
fn checkpoints_are_not_compared_again_when_all_is_applied_once_more() {
    let mut replica = replica();
    let mut items = poison();
    items.insert(2, (Term(1), Item::control(0, &Control::Checkpoint)));
    feed(&mut replica, &items, &mut Vec::new());
    assert!(replica.take_checkpoint().is_some());
    replica.rebuild(None, items, &mut Vec::new()).unwrap();
    assert!(replica.take_checkpoint().is_none());
}

#[test]
fn members_compare_their_states_at_a_checkpoint() {
    let states: Vec<_> = [0, 0, 1]
        .map(|last| {
            let mut replica = opened();
            calls(&mut replica, 1, &[&[WRITE(1)], &[WRITE(2)], &[WRITE(last)]]);
            assert!(replica.take_checkpoint().is_none());
            control(&mut replica, Control::Checkpoint);
            calls(&mut replica, 4, &[&[WRITE(last + 7)]]);
            let checkpoint = replica.take_checkpoint().unwrap();
            assert_eq!(checkpoint.applied().index(), 3);
            checkpoint.digest().unwrap()
        })
        .into();
    assert_eq!(states[0], states[1]);
    assert_ne!(states[0], states[2]);
}

#[test]
fn snapshots_of_later_formats_and_damaged_ones_are_refused() {
    let mut replica = opened();
    calls(&mut replica, 1, &[&[WRITE(1)]]);
    let snapshot = replica.freeze().encode().unwrap();
    let mut later = snapshot.to_vec();
    later[0] = 9;
    let mut out = Vec::new();
    assert_eq!(replica.restore(&later, &mut out), Err(RestoreError::Version(9)));
    for end in 0..snapshot.len() {
        assert!(replica.restore(&snapshot[..end], &mut out).is_err());
    }
    assert_eq!(lines(&replica), [(1, 1)]);
    replica.reset();
    assert_eq!((lines(&replica).len(), replica.index()), (0, Index(0)));
}

#[test]
fn no_mutated_input_makes_a_decoder_panic() {
    for decoder in fuzzing::decoders() {
        assert!(decoder.samples.iter().all(|sample| decoder.run(sample)), "{}", decoder.name);
        let mut mutator = Mutator::new(3);
        let taken = (0..5000).filter(|_| decoder.run(&mutator.next(&decoder))).count();
        assert!(taken < 5000, "{}: nothing is refused", decoder.name);
    }
}

/// Not a test of time: run by hand, in release, to see what a command costs.
#[test]
#[ignore = "a figure"]
fn a_million_commands() {
    let machine = Box::new(Hosted::new(crate::groups::machine::NoOp));
    let mut replica = Replica::new(machine, GroupId::zero(), NetworkId::zero());
    control(&mut replica, Control::OpenSession { session: SESSION, peer: peer() });
    for a_run in [1, 16, 256] {
        let due = replica.session(SESSION).unwrap().next;
        let items: Vec<Item> = (0..1_000_000 / a_run)
            .map(|number| {
                let first = due + number * a_run;
                let mut builder = RunBuilder::new(SESSION, first, first);
                (0..a_run).for_each(|_| builder.push(&[]));
                Item::of_runs(number, &[builder.finish()])
            })
            .collect();
        let mut out = Vec::new();
        let begun = std::time::Instant::now();
        for item in &items {
            let _ = replica.apply(Term(1), item, &mut out);
            out.clear();
        }
        println!("{a_run} calls a run: {:?} for a million", begun.elapsed());
    }
}
