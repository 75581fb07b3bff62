//! The ring by itself.

use proptest::prelude::*;

use super::{cursor::BATCH_BYTES, *};
use crate::streams::frames::{Item, Mark, Splitter};

fn ring_of(window: Window, on_lag: OnLag, retain: usize, recover: bool) -> Ring {
    Ring::new(RingConfig { window, on_lag, retain, recover })
}

fn ring(frames: usize) -> Ring {
    ring_of(Window { frames, bytes: 1 << 20 }, OnLag::Block, 0, false)
}

fn retaining(retain: usize) -> Ring {
    ring_of(Window { frames: 100, bytes: 1 << 20 }, OnLag::Block, retain, false)
}

fn own(body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::zeroed(MAX_PREFIX);
    frame.extend_from_slice(body);
    frame
}

fn join(ring: &mut Ring) -> CursorId {
    ring.join(Start::Retained).0
}

/// What a subscriber finds, in order: numbers of one byte, and how many are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Datum(Vec<u8>),
    Skipped(u64),
}

fn drain(ring: &mut Ring, id: CursorId) -> Vec<Found> {
    let mut out = Vec::new();
    loop {
        let mut batch = Vec::new();
        let taken = ring.next_batch(id, false, &mut batch);
        let before = out.len();
        let mut splitter = Splitter::new();
        for bytes in batch {
            splitter.room()[0] = bytes;
            splitter.filled(1, 0);
            while let Some(item) = splitter.next().unwrap() {
                out.push(match item {
                    Item::Datum(body) => Found::Datum(body.to_vec()),
                    Item::Mark(Mark::Skipped(count)) => Found::Skipped(count),
                    Item::Mark(mark) => panic!("{mark:?}"),
                });
            }
        }
        let datums = out[before..].iter().filter(|found| matches!(found, Found::Datum(_)));
        assert_eq!(datums.count(), taken.frames);
        if taken.frames == 0 {
            return out;
        }
    }
}

fn datums(bodies: impl IntoIterator<Item = u8>) -> Vec<Found> {
    bodies.into_iter().map(|body| Found::Datum(vec![body])).collect()
}

fn push(ring: &mut Ring, bodies: impl IntoIterator<Item = u8>) {
    bodies.into_iter().for_each(|body| ring.push(&[body]));
}

#[test]
fn a_subscriber_starts_with_the_next_frame() {
    let mut ring = ring(8);
    push(&mut ring, [0]);
    let first = join(&mut ring);
    push(&mut ring, [1]);
    let second = join(&mut ring);
    push(&mut ring, [2]);
    assert_eq!(drain(&mut ring, first), datums([1, 2]));
    assert_eq!(drain(&mut ring, second), datums([2]));
    assert!(ring.written() == 3 && !ring.has_more(first));
}

#[test]
fn small_frames_are_one_slice() {
    let mut ring = ring(100);
    let id = join(&mut ring);
    (0..10).for_each(|_| ring.push(&[7; 64]));
    let mut batch = Vec::new();
    let taken = ring.next_batch(id, false, &mut batch);
    assert_eq!(taken, Taken { frames: 10, payload_bytes: 640 });
    assert_eq!(batch.len(), 1);
}

#[test]
fn the_slowest_subscriber_holds_the_producer() {
    let mut ring = ring(4);
    assert!(ring.has_room());
    let (fast, slow) = (join(&mut ring), join(&mut ring));
    push(&mut ring, 0..4);
    assert!(!ring.has_room());
    drain(&mut ring, fast);
    assert!(!ring.has_room());
    let mut batch = Vec::new();
    ring.next_batch(slow, false, &mut batch);
    assert!(!ring.has_room(), "taken is not yet written");
    ring.next_batch(slow, false, &mut batch);
    assert!(ring.has_room() && ring.is_half_free());
    push(&mut ring, 0..3);
    assert!(ring.has_room() && !ring.is_half_free());
    ring.leave(slow);
    drain(&mut ring, fast);
    assert!(ring.is_half_free());
}

#[test]
fn the_window_is_bounded_in_bytes_too() {
    let window = Window { frames: 100, bytes: 100 };
    let mut ring = ring_of(window, OnLag::Block, 0, false);
    let id = join(&mut ring);
    ring.push_own(own(&[0; 5000]), MAX_PREFIX);
    assert!(!ring.has_room());
    drain(&mut ring, id);
    assert!(ring.has_room());
}

#[test]
fn a_batch_is_limited_but_never_empty() {
    let mut ring = ring(100);
    let id = join(&mut ring);
    (0..4).for_each(|_| ring.push_own(own(&[1; BATCH_BYTES]), MAX_PREFIX));
    let mut batch = Vec::new();
    assert_eq!(ring.next_batch(id, false, &mut batch).frames, 1);
    ring.leave(id);
    assert_eq!(ring.next_batch(id, false, &mut batch), Taken::default());
}

#[test]
fn what_is_not_acknowledged_is_kept_up_to_a_limit_where_the_producer_waits() {
    let window = Window { frames: 1000, bytes: 1 << 30 };
    let mut ring = ring_of(window, OnLag::Block, 0, false);
    let id = join(&mut ring);
    let frame = 1 << 20;
    for _ in 0..KEPT_BYTES / frame {
        assert!(ring.has_room());
        ring.push_own(own(&vec![1; frame]), MAX_PREFIX);
        drain(&mut ring, id);
    }
    assert!(!ring.has_room() && ring.segments.len() == 32);
    ring.acknowledge(id, 20);
    assert!(ring.has_room() && ring.segments.len() == 12);
    let mut rolling = ring_of(window, OnLag::DropOldest, 0, false);
    let id = join(&mut rolling);
    for _ in 0..40 {
        rolling.push_own(own(&vec![1; frame]), MAX_PREFIX);
        drain(&mut rolling, id);
    }
    assert!(rolling.has_room() && rolling.segments.len() <= 32);
}

#[test]
fn what_one_on_probation_does_not_acknowledge_is_kept_up_to_the_same_limit() {
    let window = Window { frames: 1000, bytes: 4 << 20 };
    let mut ring = ring_of(window, OnLag::Block, 0, false);
    let (id, _) = ring.join(Start::Live);
    let awaited = join(&mut ring);
    let frame = 1 << 20;
    for i in 1..=40 {
        assert!(ring.has_room() && !ring.is_overrun());
        ring.push_own(own(&vec![1; frame]), MAX_PREFIX);
        drain(&mut ring, id);
        drain(&mut ring, awaited);
        ring.acknowledge(awaited, i);
    }
    assert!(ring.segments.len() <= KEPT_BYTES / frame, "{}", ring.segments.len());
    // The one that the producer waits for loses nothing by that.
    for i in 0..40 {
        if !ring.has_room() {
            assert!(i >= 30, "{i}");
            break;
        }
        ring.push_own(own(&vec![1; frame]), MAX_PREFIX);
        drain(&mut ring, id);
        drain(&mut ring, awaited);
    }
    assert!(!ring.has_room());
    assert_eq!(ring.hold(awaited).then(|| drain(&mut ring, awaited).len()), Some(32));
}

#[test]
fn who_holds_the_producer_by_acknowledging_nothing_does_not_rest() {
    let window = Window { frames: 1000, bytes: 4 << 20 };
    let mut ring = ring_of(window, OnLag::Block, 0, false);
    let id = join(&mut ring);
    let waits = |ring: &Ring| ring.progress(id).is_some_and(|progress| progress.waiting);
    let frame = 1 << 20;
    for _ in 0..KEPT_BYTES / frame {
        assert!(ring.has_room() && !waits(&ring));
        ring.push_own(own(&vec![1; frame]), MAX_PREFIX);
        drain(&mut ring, id);
    }
    assert!(!ring.has_room() && waits(&ring));
    ring.acknowledge(id, 1);
    assert!(ring.has_room() && !ring.is_half_free() && waits(&ring), "senders still wait");
    ring.acknowledge(id, 8);
    assert!(ring.is_half_free() && !waits(&ring));
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let mut ring = ring(100);
    let id = join(&mut ring);
    push(&mut ring, 0..20);
    drain(&mut ring, id);
    ring.acknowledge(id, 7);
    assert!(ring.hold(id));
    push(&mut ring, 20..30);
    let (back, from) = ring.join(Start::At(9));
    assert_eq!(from.frames, 9);
    ring.leave(id);
    assert_eq!(drain(&mut ring, back), datums(9..30));
    ring.acknowledge(back, 30);
    assert!(ring.segments.is_empty());
}

#[test]
fn one_that_is_held_holds_the_producer_and_no_flush() {
    let mut ring = ring(10);
    let id = join(&mut ring);
    push(&mut ring, 0..5);
    drain(&mut ring, id);
    assert!(ring.hold(id));
    assert_eq!(ring.written(), u64::MAX);
    push(&mut ring, 5..10);
    assert!(!ring.has_room());
    ring.leave(id);
    assert!(ring.has_room() && !ring.hold(id));
}

#[test]
fn who_comes_back_too_late_gets_what_is_still_there() {
    let mut ring = retaining(3);
    let id = join(&mut ring);
    push(&mut ring, 0..5);
    drain(&mut ring, id);
    ring.leave(id);
    // With somebody else there the frames are in segments of their own.
    let other = join(&mut ring);
    for i in 5..10 {
        push(&mut ring, [i]);
        drain(&mut ring, other);
        ring.acknowledge(other, u64::from(i) + 1);
    }
    let (back, from) = ring.join(Start::At(2));
    assert_eq!(from.frames, 7);
    assert_eq!(drain(&mut ring, back), datums(7..10));
    assert_eq!(ring.join(Start::At(99)).1.frames, 7, "it means another stream");
}

#[test]
fn who_comes_late_first_gets_what_is_retained() {
    let mut ring = retaining(4);
    push(&mut ring, 0..3);
    let first = join(&mut ring);
    assert_eq!(drain(&mut ring, first), datums(0..3));
    push(&mut ring, 3..90);
    drain(&mut ring, first);
    ring.acknowledge(first, 90);
    let second = join(&mut ring);
    assert_eq!(drain(&mut ring, second), datums(86..90));
    ring.leave(first);
    ring.leave(second);
    push(&mut ring, 90..200);
    let third = join(&mut ring);
    assert_eq!(drain(&mut ring, third), datums(196..200));
    assert!(ring.segments.iter().map(|segment| segment.taken.frames).sum::<usize>() < 70);
}

#[test]
fn under_drop_oldest_who_lags_skips_and_is_told() {
    let window = Window { frames: 16, bytes: 1 << 20 };
    let mut ring = ring_of(window, OnLag::DropOldest, 0, false);
    let id = join(&mut ring);
    let mut seen = Vec::new();
    for i in 0..40 {
        if ring.is_overrun() {
            assert!(ring.overrun().is_empty());
        }
        assert!(ring.has_room());
        push(&mut ring, [i]);
    }
    seen.extend(drain(&mut ring, id));
    let skipped: Vec<u64> = seen
        .iter()
        .filter_map(|found| if let Found::Skipped(count) = found { Some(*count) } else { None })
        .collect();
    let [skipped] = skipped[..] else { panic!("{seen:?}") };
    assert!((24..=32).contains(&skipped) && ring.dropped() == skipped, "{seen:?}");
    assert_eq!(seen[1..], datums(u8::try_from(skipped).unwrap()..40));
}

#[test]
fn under_disconnect_who_lags_is_cut_and_the_others_go_on() {
    let window = Window { frames: 4, bytes: 1 << 20 };
    let mut ring = ring_of(window, OnLag::Disconnect, 0, false);
    let (slow, fast) = (join(&mut ring), join(&mut ring));
    push(&mut ring, 0..4);
    assert!(ring.has_room() && ring.is_overrun());
    drain(&mut ring, fast);
    assert_eq!((ring.overrun(), ring.dropped()), (vec![slow], 4));
    assert!(!ring.is_overrun() && !ring.hold(slow));
    push(&mut ring, 4..6);
    assert_eq!(drain(&mut ring, fast), datums(4..6));
    assert!(drain(&mut ring, slow).is_empty());
}

#[test]
fn nobody_waits_for_one_that_was_cut_until_it_has_taken_something_new() {
    let mut ring = ring(4);
    push(&mut ring, 0..3);
    let (back, from) = ring.join(Start::Live);
    assert_eq!(from.frames, 3);
    push(&mut ring, 3..7);
    assert!(ring.has_room() && ring.is_overrun());
    assert_eq!(ring.overrun(), [back]);
    let (again, _) = ring.join(Start::Live);
    push(&mut ring, 7..10);
    drain(&mut ring, again);
    ring.acknowledge(again, 8);
    push(&mut ring, 10..14);
    assert!(!ring.is_overrun() && !ring.has_room(), "it has caught up: the producer waits again");
}

#[test]
fn what_nobody_has_acknowledged_comes_out_once() {
    let window = Window { frames: 100, bytes: 1 << 20 };
    let mut ring = ring_of(window, OnLag::Block, 2, true);
    let undelivered = |ring: &mut Ring| -> Vec<u8> {
        ring.take_undelivered().iter().map(|body| body[0]).collect()
    };
    push(&mut ring, 0..5);
    assert_eq!(undelivered(&mut ring), [0, 1, 2], "the rest is retained");
    let (one, two) = (join(&mut ring), join(&mut ring));
    push(&mut ring, 5..10);
    drain(&mut ring, one);
    drain(&mut ring, two);
    ring.acknowledge(one, 6);
    ring.acknowledge(two, 8);
    ring.leave(one);
    ring.leave(two);
    assert!(undelivered(&mut ring).is_empty(), "8 and 9 are retained");
    ring.push_own(own(&[10]), MAX_PREFIX);
    push(&mut ring, [11]);
    assert_eq!(undelivered(&mut ring), [8, 9]);
    ring.close();
    assert_eq!(undelivered(&mut ring), [10, 11]);
    ring.config.retain = 0;
    push(&mut ring, [12]);
    ring.push_own(own(&[13]), MAX_PREFIX);
    assert_eq!(undelivered(&mut ring), [12, 13]);
}

proptest! {
    #[test]
    fn everybody_gets_every_frame_in_order(
        steps in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..2000), any::<bool>(), 0usize..3),
            0..60,
        ),
    ) {
        let mut ring = ring(1 << 20);
        let ids = [join(&mut ring), join(&mut ring)];
        let (mut seen, mut all) = ([Vec::new(), Vec::new()], Vec::new());
        for (body, long, drained) in steps {
            if long { ring.push_own(own(&body), MAX_PREFIX) } else { ring.push(&body) }
            all.push(Found::Datum(body));
            if let Some(id) = ids.get(drained) {
                seen[drained].extend(drain(&mut ring, *id));
            }
        }
        for (seen, id) in seen.iter_mut().zip(ids) {
            seen.extend(drain(&mut ring, id));
            prop_assert_eq!(&*seen, &all);
            ring.acknowledge(id, u64::MAX);
        }
        prop_assert_eq!(ring.head().frames, all.len() as u64);
        prop_assert!(ring.segments.is_empty());
    }

    /// A subscriber that loses its connection again and again, anywhere, with any policy.
    #[test]
    fn who_comes_back_misses_only_what_it_is_told(
        policy in 0usize..2,
        retain in 0usize..4,
        steps in prop::collection::vec((0u8..6, 0usize..30), 0..100),
    ) {
        let on_lag = [OnLag::Block, OnLag::DropOldest][policy];
        let mut ring = ring_of(Window { frames: 16, bytes: 200 }, on_lag, retain, false);
        let (mut cursor, start) = ring.join(Start::Retained);
        let (mut sent, mut next) = (0u64, start.frames);
        for (step, count) in steps {
            match step {
                0..=2 => for _ in 0..count {
                    if ring.is_overrun() { prop_assert!(ring.overrun().is_empty()); }
                    if !ring.has_room() { break }
                    ring.push(&sent.to_le_bytes());
                    sent += 1;
                },
                3 => ring.acknowledge(cursor, next.saturating_sub(count as u64)),
                4 => for found in drain(&mut ring, cursor) {
                    match found {
                        Found::Skipped(count) => next += count,
                        Found::Datum(body) => {
                            prop_assert_eq!(body, next.to_le_bytes());
                            next += 1;
                        }
                    }
                },
                _ => {
                    // What was taken last may have been lost on the way: it is where it was told.
                    prop_assert!(ring.hold(cursor));
                    let (back, from) = ring.join(Start::At(next));
                    ring.leave(cursor);
                    prop_assert!(from.frames >= next);
                    prop_assert!(on_lag != OnLag::Block || from.frames == next);
                    (cursor, next) = (back, from.frames);
                }
            }
        }
    }
}

#[test]
fn short_writes_that_nobody_acknowledges_are_gathered() {
    let mut ring = ring(1000);
    let (id, _) = ring.join(Start::Live);
    let mut batch = Vec::new();
    let mut sent = 0;
    while ring.has_more(id) || sent < 128 {
        ring.push(&[7; 100]);
        sent += ring.next_batch(id, false, &mut batch).frames;
    }
    ring.push(&[7; 100]);
    assert!(!ring.has_more(id) && ring.next_batch(id, false, &mut batch) == Taken::default());
    let waits = |ring: &Ring| ring.progress(id).is_some_and(|progress| progress.waiting);
    assert!(!waits(&ring), "a consumer that rests has not stalled");
    // Several packets' worth, an acknowledgement, or the end: each lets it go on.
    (0..200).for_each(|_| ring.push(&[7; 100]));
    assert!(ring.has_more(id) && waits(&ring));
    assert_eq!(ring.next_batch(id, false, &mut batch).frames, 201);
    ring.push(&[7; 100]);
    assert!(!ring.has_more(id));
    ring.acknowledge(id, 1);
    assert_eq!(ring.next_batch(id, false, &mut batch).frames, 1);
    ring.push(&[7; 100]);
    assert_eq!(ring.next_batch(id, false, &mut batch).frames, 0);
    assert_eq!(ring.next_batch(id, true, &mut batch).frames, 1);
}

#[test]
fn a_flush_does_not_wait_for_what_is_gathered_nor_for_those_that_nobody_waits_for() {
    for on_lag in [OnLag::Block, OnLag::DropOldest, OnLag::Disconnect] {
        let window = Window { frames: 1000, bytes: 1 << 20 };
        let mut ring = ring_of(window, on_lag, 0, false);
        let id = join(&mut ring);
        let mut batch = Vec::new();
        for sent in 1..=128 {
            ring.push(&[7; 100]);
            assert_eq!(ring.next_batch(id, false, &mut batch).frames, 1);
            assert_eq!(ring.written() >= sent, on_lag != OnLag::Block, "taken is not yet written");
            ring.next_batch(id, false, &mut batch);
            assert!(ring.written() >= sent);
        }
        ring.push(&[7; 100]);
        assert!(!ring.has_more(id) && ring.written() >= 129);
    }
    let mut ring = ring(1000);
    ring.join(Start::Live);
    push(&mut ring, 0..3);
    assert!(ring.written() >= 3, "on probation");
}

#[test]
fn a_write_that_the_transport_does_not_take_is_no_rest() {
    let mut ring = ring(1000);
    let id = join(&mut ring);
    let mut batch = Vec::new();
    for _ in 0..129 {
        ring.push(&[7; 20_000]);
        ring.next_batch(id, false, &mut batch);
    }
    // The last batch is under way for ever; a little came after it.
    ring.push(&[7; 100]);
    assert!(!ring.has_more(id));
    assert!(ring.progress(id).is_some_and(|progress| progress.waiting));
    assert_eq!(ring.written(), 128);
}
