//! The calls of one node as a value, and the queue around it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{
    call::{Batch, Call, Kind, Settled},
    queue::{MAX_CALLS, Queue},
    unanswered::{Calls, Resumed, Told},
};
use crate::groups::{index::Index, machine::Reply, state::SessionId};

fn call(commands: usize) -> Call {
    match commands {
        1 => Call::One(Bytes::from_static(b"command")),
        _ => Call::Many(vec![Bytes::from_static(b"command"); commands]),
    }
}

fn applied(index: u64) -> Settled {
    Settled::Applied { index: Index(index), reply: Reply::new(&[]) }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

/// What is told by one change.
fn told<W>(change: impl FnOnce(&mut Told<W>)) -> Told<W> {
    let mut told = Vec::new();
    change(&mut told);
    told
}

fn settle(calls: &mut Calls<u64>, number: u64) -> Told<u64> {
    told(|told| calls.settle(number, applied(number), told))
}

fn overdue(calls: &mut Calls<u64>, committed: u64) -> Told<u64> {
    let now = later() + Duration::from_secs(1);
    told(|told| calls.expire(now, Index(committed), told))
}

fn lagging(index: u64) -> Settled {
    Settled::Lagging { index: Index(index) }
}

fn filled(calls: usize) -> Calls<u64> {
    let mut all = Calls::default();
    all.open(SessionId(7));
    (0..calls).for_each(|n| {
        all.push(call(1), Kind::Execute, n as u64, later());
    });
    all
}

#[test]
fn calls_go_in_order_and_again_from_the_first_unanswered_one() {
    let mut calls = filled(5);
    let taken = |calls: &mut Calls<u64>, max| {
        let batch = calls.take(max, 1000).unwrap();
        (batch.first, batch.calls, batch.run.view().unwrap().lowest_unanswered)
    };
    assert_eq!(taken(&mut calls, 3), (1, 3, 1));
    assert_eq!(settle(&mut calls, 1), [(0, applied(1))]);
    calls.rewind();
    assert_eq!(taken(&mut calls, 10), (2, 4, 2));
    assert!(calls.take(10, 1000).is_none());
    calls.rewind_to(4);
    assert_eq!(calls.take(10, 1000).unwrap().first, 4);
}

#[test]
fn a_batch_is_one_call_and_as_many_indices() {
    let mut calls = Calls::default();
    calls.open(SessionId(1));
    calls.push(call(3), Kind::Feed, 'a', later());
    calls.push(call(1), Kind::Feed, 'b', later());
    calls.push(call(1), Kind::Execute, 'c', later());
    assert_eq!(calls.take(9, 1).unwrap().calls, 1, "at least one, whatever its size");
    calls.rewind();
    let batch = calls.take(9, 1000).unwrap();
    let of_another = Batch { session: SessionId(2), ..batch.clone() };
    assert!(told(|told| calls.appended(&of_another, Index(5), told)).is_empty());
    let appended = |index| Settled::Appended { index: Index(index) };
    let fed = told(|told| calls.appended(&batch, Index(5), told));
    assert_eq!(fed, [('a', appended(5)), ('b', appended(8))]);
    assert_eq!((calls.len(), calls.bytes()), (3, 35), "they are kept until they are applied");
}

#[test]
fn what_was_never_sent_is_taken_back_and_the_rest_stays_under_way() {
    let mut calls = filled(2);
    calls.take(1, 1000).unwrap();
    assert_eq!(overdue(&mut calls, 0), [(0, Settled::Timeout), (1, Settled::Offline)]);
    assert_eq!((calls.len(), calls.next_expiry()), (1, None));
    assert!(settle(&mut calls, 1).is_empty(), "nobody waits");
    assert_eq!(calls.resume(0, 9, later()), Err(Resumed::Settled(9, applied(1))));
    assert_eq!(calls.resume(0, 9, later()), Err(Resumed::Unknown(9)));
}

#[test]
fn whoever_comes_back_early_is_told_later() {
    let mut calls = filled(1);
    calls.take(1, 1000).unwrap();
    overdue(&mut calls, 0);
    assert_eq!(calls.resume(0, 9, later()), Ok(()));
    assert_eq!(settle(&mut calls, 1), [(9, applied(1))]);
}

#[test]
fn nothing_is_kept_of_what_nobody_comes_back_for() {
    let mut calls = filled(3);
    calls.take(2, 1000).unwrap();
    // One gave up before its time was over, one after.
    calls.forget(0);
    assert_eq!(overdue(&mut calls, 0).len(), 3);
    calls.forget(1);
    assert!(settle(&mut calls, 1).is_empty() && settle(&mut calls, 2).is_empty());
    for id in 0..3 {
        assert_eq!(calls.resume(id, 9, later()), Err(Resumed::Unknown(9)));
    }
    assert_eq!((calls.len(), calls.bytes()), (0, 0));
}

#[test]
fn a_committed_call_that_is_not_applied_here_lags() {
    let mut calls = filled(2);
    let batch = calls.take(2, 1000).unwrap();
    told(|told| calls.appended(&batch, Index(4), told));
    assert_eq!(overdue(&mut calls, 4), [(0, lagging(4)), (1, Settled::Timeout)]);
}

#[test]
fn what_an_earlier_leader_has_appended_may_be_gone() {
    let mut calls = filled(1);
    let batch = calls.take(1, 1000).unwrap();
    told(|told| calls.appended(&batch, Index(4), told));
    calls.rewind();
    assert_eq!(overdue(&mut calls, 9), [(0, Settled::Timeout)]);
}

#[test]
fn whose_answers_are_not_kept_is_told_that_they_are_committed() {
    let mut calls = filled(3);
    calls.push(call(1), Kind::Feed, 3, later());
    calls.take(5, 1000).unwrap();
    calls.push(call(1), Kind::Execute, 4, later());
    let passed = told(|told| calls.settle(4, lagging(7), told));
    let fed = Settled::Appended { index: Index(7) };
    assert_eq!(passed, [(0, lagging(7)), (1, lagging(7)), (2, lagging(7)), (3, fed)]);
    assert_eq!(calls.take(5, 1000).unwrap().first, 5);
}

#[test]
fn with_a_lost_session_the_outcome_of_what_was_sent_is_lost() {
    let mut calls = filled(2);
    calls.push(call(1), Kind::Feed, 2, later());
    let batch = calls.take(1, 1000).unwrap();
    let lost = told(|told| assert_eq!(calls.lose(told), 0));
    assert_eq!(lost, [(0, Settled::Lost)]);
    calls.open(SessionId(8));
    let again = calls.take(9, 1000).unwrap();
    assert_eq!((again.session, again.first, again.calls), (SessionId(8), 1, 2));
    // An answer that comes late, and means calls of the other session.
    assert!(told(|told| calls.appended(&batch, Index(1), told)).is_empty());
    assert_eq!(told(|told| calls.appended(&again, Index(1), told)).len(), 1);
    let lost = told(|told| assert_eq!(calls.lose(told), 1, "who was told that it is fed"));
    assert_eq!(lost, [(1, Settled::Lost)]);
}

#[test]
fn who_comes_back_for_a_lost_call_is_told_so() {
    let mut calls = filled(1);
    calls.take(1, 1000).unwrap();
    overdue(&mut calls, 0);
    assert!(told(|told| assert_eq!(calls.lose(told), 0)).is_empty());
    assert_eq!(calls.resume(0, 9, later()), Err(Resumed::Settled(9, Settled::Lost)));
}

#[test]
fn with_a_new_session_everything_unanswered_begins_anew() {
    let mut calls = filled(3);
    calls.take(2, 1000).unwrap();
    settle(&mut calls, 1);
    calls.close();
    assert!(!calls.has_work() && calls.take(9, 1000).is_none());
    calls.open(SessionId(8));
    let batch = calls.take(9, 1000).unwrap();
    assert_eq!(batch.run.view().unwrap().session, SessionId(8));
    assert_eq!((batch.first, batch.calls), (1, 2));
    assert_eq!(settle(&mut calls, 1)[0].0, 1);
}

#[test]
fn what_was_sent_in_an_earlier_session_is_never_said_to_be_offline() {
    let mut calls = filled(2);
    calls.take(1, 1000).unwrap();
    calls.close();
    assert_eq!(overdue(&mut calls, 0), [(0, Settled::Timeout), (1, Settled::Offline)]);
    assert_eq!(calls.resume(0, 9, later()), Ok(()));
    assert_eq!(overdue(&mut calls, 0), [(9, Settled::Timeout)]);
    // It is still to be sent.
    calls.open(SessionId(8));
    assert_eq!(calls.take(9, 1000).unwrap().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_no_room_waits_for_it_in_order_and_not_for_ever() {
    let queue = Arc::new(Queue::new());
    queue.open(SessionId(1));
    let limit = Duration::from_secs(1);
    let submit = || queue.submit(call(1), Kind::Execute, limit);
    let mut made: Vec<_> = (0..MAX_CALLS).map(|_| submit().unwrap()).collect();
    assert!(submit().is_err());
    let begun = Instant::now();
    assert!(queue.submit_later(call(1), Kind::Execute, limit).await.is_none());
    assert_eq!(begun.elapsed(), limit);

    let mut first = Box::pin(queue.submit_later(call(1), Kind::Execute, limit));
    let mut second = Box::pin(queue.submit_later(call(1), Kind::Execute, limit));
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    queue.take(1, usize::MAX).unwrap();
    queue.settle(|calls, told| calls.settle(1, applied(1), told));
    assert!(submit().is_err(), "others wait");
    assert!(futures::poll!(&mut second).is_pending(), "it is the turn of another");
    let made_later = first.await.unwrap();
    assert!(futures::poll!(&mut second).is_pending());
    drop(second);
    assert!(submit().is_err(), "it is full again");
    assert_eq!(made.remove(0).outcome().await, Some((0, applied(1))));
    drop(made_later);
    queue.end();
    assert_eq!(made.remove(0).outcome().await, None);
}

proptest! {
    /// A group that applies in order and once, behind a way that loses whole runs: every call
    /// is answered in order, with its own answer.
    #[test]
    fn every_call_is_answered_once_and_in_order(
        steps in prop::collection::vec((0u8..4, 1u64..5), 1..200),
    ) {
        let mut calls = Calls::default();
        calls.open(SessionId(1));
        let (mut pushed, mut expected, mut answers) = (0u64, 1u64, Vec::new());
        let mut deliver = |calls: &mut Calls<u64>, run: Batch| {
            if run.first > expected {
                return calls.rewind_to(expected);
            }
            let end = run.first + run.calls;
            for number in run.first..end {
                if number == expected {
                    expected += 1;
                    answers.extend(settle(calls, number).into_iter().map(|(w, _)| w));
                }
            }
        };
        for (what, size) in steps {
            match what {
                0 => for _ in 0..size {
                    calls.push(call(1), Kind::Execute, pushed, later());
                    pushed += 1;
                },
                1 => drop(calls.take(size, 1000)),
                2 => if let Some(run) = calls.take(size, 1000) { deliver(&mut calls, run) },
                _ => calls.rewind(),
            }
        }
        calls.rewind();
        while let Some(run) = calls.take(3, 1000) {
            deliver(&mut calls, run);
        }
        prop_assert_eq!(answers, (0..pushed).collect::<Vec<_>>());
        prop_assert_eq!(calls.len(), 0);
    }
}
