//! A replica under calls that come in any order and any number of times.

use proptest::{collection::vec, prelude::*};

use super::{
    fuzzing::{self, SESSION},
    tests::{WRITE, apply, lines, opened},
    *,
};

/// What a caller and a leader may do with the calls 1 to 20, whose lines are their numbers.
#[derive(Clone, Debug)]
enum Sending {
    /// These calls, as they are sent at first, again, or too early.
    Calls { first: u64, count: u64, lowest: u64 },
    /// Those that are due.
    Due { count: u64 },
    /// Somebody else's.
    Stranger,
}

fn sending() -> impl Strategy<Value = Sending> {
    prop_oneof![
        (1..20_u64, 1..5_u64, 0..20_u64).prop_map(|(first, count, lowest)| Sending::Calls {
            first,
            count,
            lowest
        }),
        (1..4_u64).prop_map(|count| Sending::Due { count }),
        Just(Sending::Stranger),
    ]
}

fn item_of(sending: &Sending, due: u64) -> Item {
    let numbered = |session, first: u64, count, lowest| {
        let mut builder = RunBuilder::new(session, first, lowest);
        for number in first..first + count {
            // Every third call is one of two lines.
            let line = fuzzing::line(WRITE(number as u32));
            if number % 3 == 0 { builder.push_many(&[&line, &line]) } else { builder.push(&line) }
        }
        builder.finish()
    };
    let run = match *sending {
        Sending::Calls { first, count, lowest } => numbered(SESSION, first, count, lowest.min(due)),
        Sending::Due { count } => numbered(SESSION, due, count, 1),
        Sending::Stranger => numbered(SessionId(1), 1, 2, 1),
    };
    Item::of_runs(due, &[run])
}

fn numbers(replica: &Replica) -> Vec<u32> {
    let mut numbers: Vec<u32> = lines(replica).iter().map(|(_, number)| *number).collect();
    numbers.dedup();
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_call_is_applied_once_and_in_its_turn(sendings in vec(sending(), 1..40)) {
        let mut replica = opened();
        let mut commands = 0;
        for sending in &sendings {
            let due = replica.session(SESSION).unwrap().next;
            let item = item_of(sending, due);
            commands += u64::from(item.commands());
            for outcome in apply(&mut replica, &item) {
                let new = matches!(outcome.kind, OutcomeKind::Answered(_));
                prop_assert!(!new || outcome.sequence >= due);
                prop_assert!(outcome.index.0 <= commands);
            }
        }
        prop_assert_eq!(replica.index(), commands);
        let next = replica.session(SESSION).unwrap().next;
        prop_assert_eq!(numbers(&replica), (1..next as u32).collect::<Vec<_>>());
        let written: u64 = (1..next).map(|number| if number % 3 == 0 { 2 } else { 1 }).sum();
        prop_assert_eq!(lines(&replica).len() as u64, written);
    }

    #[test]
    fn a_snapshot_has_the_same_future(
        sendings in vec(sending(), 1..30),
        at in 0..30_usize,
    ) {
        let mut replica = opened();
        let mut copy = None;
        for (number, sending) in sendings.iter().enumerate() {
            if number == at.min(sendings.len() - 1) {
                let mut restored = fuzzing::replica();
                let snapshot = replica.freeze().encode().unwrap();
                restored.restore(&snapshot, &mut Vec::new()).unwrap();
                copy = Some(restored);
            }
            let item = item_of(sending, replica.session(SESSION).unwrap().next);
            let out = apply(&mut replica, &item);
            if let Some(copy) = &mut copy {
                prop_assert_eq!(apply(copy, &item), out);
            }
        }
        let copy = copy.unwrap();
        prop_assert_eq!(copy.freeze().digest(), replica.freeze().digest());
        prop_assert_eq!(copy.applied(), replica.applied());
    }

    #[test]
    fn runs_are_read_as_they_were_written(
        calls in vec(vec(vec(any::<u8>(), 0..300), 1..4), 1..20),
        first in 1..u64::MAX - 100,
        lowest in any::<u64>(),
    ) {
        let mut builder = RunBuilder::new(SESSION, first, lowest);
        calls.iter().for_each(|call| builder.push_many(call));
        let run = builder.finish();
        prop_assert_eq!(EncodedRun::parse(run.bytes().clone()), Some(run.clone()));
        let view = run.view().unwrap();
        prop_assert_eq!((view.session, view.first, view.lowest_unanswered), (SESSION, first, lowest));
        let read: Vec<Vec<Vec<u8>>> =
            view.calls.map(|call| call.map(<[u8]>::to_vec).collect()).collect();
        prop_assert_eq!(read, calls);
    }
}
