//! A share group: consumers of which each datum goes to exactly one.
//!
//! The group as a whole has one place in the ring. What it takes from there goes to the member with
//! the most free window, and is kept until that has acknowledged it; when a member goes before, the
//! others get it, marked as redelivered.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::ring::{CursorId, Progress, Taken, Window};
use crate::streams::frames::Mark;

/// One frame of the stream, on its way to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its place in the stream.
    pub(super) number: u64,
    /// With its prefix.
    pub(super) bytes: Bytes,
    /// Of the body.
    pub(super) payload_bytes: usize,
    /// It was given to another member before.
    pub(super) redelivered: bool,
}

impl Frame {
    fn body(&self) -> Bytes {
        self.bytes.slice(self.bytes.len() - self.payload_bytes..)
    }
}

#[derive(Debug)]
struct Member {
    id: CursorId,
    /// What it was given and has not acknowledged.
    given: VecDeque<Frame>,
    given_bytes: usize,
    /// So many of those, the last ones, were not handed to the transport yet.
    unsent: usize,
    /// So many before those were handed to it last: it may still be at them.
    writing: usize,
    /// So many it has acknowledged.
    acknowledged: u64,
    /// Nobody believes that it takes anything, and it has acknowledged nothing since.
    on_probation: bool,
}

impl Member {
    /// How much more it may be given.
    fn free(&self, window: Window) -> Window {
        Window {
            frames: window.frames.saturating_sub(self.given.len()),
            bytes: window.bytes.saturating_sub(self.given_bytes),
        }
    }
}

#[derive(Debug)]
pub(super) struct Group {
    window: Window,
    members: Vec<Member>,
    /// What no member has, by its place in the stream.
    pending: BTreeMap<u64, Frame>,
    /// So many datums were skipped, and no member was told.
    skipped: u64,
    /// Which of several equal members is next.
    turn: usize,
}

impl Group {
    pub(super) fn new(window: Window) -> Self {
        Self { window, members: Vec::new(), pending: BTreeMap::new(), skipped: 0, turn: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn join(&mut self, id: CursorId) {
        let given = VecDeque::new();
        let (given_bytes, unsent, writing, acknowledged) = (0, 0, 0, 0);
        let on_probation = false;
        self.members.push(Member {
            id,
            given,
            given_bytes,
            unsent,
            writing,
            acknowledged,
            on_probation,
        });
        self.dispatch();
    }

    /// Until the member has acknowledged something, nobody waits for it.
    pub(super) fn put_on_probation(&mut self, id: CursorId) {
        if let Some(member) = self.member(id) {
            member.on_probation = true;
        }
    }

    /// Whether the member is one that can be waited for.
    pub(super) fn is_awaited(&self, id: CursorId) -> bool {
        self.members.iter().any(|member| member.id == id && !member.on_probation)
    }

    /// Whether there is such a member.
    pub(super) fn has_awaited(&self) -> bool {
        self.members.iter().any(|member| !member.on_probation)
    }

    /// A member is gone: the others get what it has not acknowledged.
    pub(super) fn leave(&mut self, id: CursorId) {
        let Some(at) = self.members.iter().position(|member| member.id == id) else { return };
        let member = self.members.swap_remove(at);
        for mut frame in member.given {
            // Whether it was sent or not: it comes late now, and first deliveries are in order.
            frame.redelivered = true;
            self.pending.insert(frame.number, frame);
        }
        self.dispatch();
    }

    pub(super) fn contains(&self, id: CursorId) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    fn member(&mut self, id: CursorId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// How much the members can still be given, beyond what waits for them already.
    pub(super) fn room(&self) -> Window {
        let mut sum = Window { frames: 0, bytes: 0 };
        for member in &self.members {
            let free = member.free(self.window);
            if free.frames > 0 && free.bytes > 0 {
                sum.frames += free.frames;
                sum.bytes += free.bytes;
            }
        }
        sum.frames = sum.frames.saturating_sub(self.pending.len());
        sum
    }

    /// Takes what the ring has for the group.
    pub(super) fn add(&mut self, frames: impl IntoIterator<Item = Frame>, skipped: u64) {
        self.skipped += skipped;
        self.pending.extend(frames.into_iter().map(|frame| (frame.number, frame)));
        self.dispatch();
    }

    /// Gives what waits to the members, each frame to the one with the most free window.
    fn dispatch(&mut self) {
        while !self.pending.is_empty() {
            let (window, turn) = (self.window, self.turn);
            let count = self.members.len();
            let roomy = self.members.iter_mut().enumerate().filter_map(|(i, member)| {
                let free = member.free(window);
                // Equal ones take turns.
                let order = (i + count - turn % count.max(1)) % count.max(1);
                (free.frames > 0 && free.bytes > 0).then_some((
                    (free.frames, free.bytes, usize::MAX - order),
                    i,
                    member,
                ))
            });
            let Some((_, at, member)) = roomy.max_by_key(|(free, ..)| *free) else { return };
            let Some((_, frame)) = self.pending.pop_first() else { return };
            member.given_bytes += frame.bytes.len();
            member.unsent += 1;
            member.given.push_back(frame);
            self.turn = at + 1;
        }
    }

    /// A member's application has taken so many of those that it was given.
    pub(super) fn acknowledge(&mut self, id: CursorId, count: u64) {
        let Some(member) = self.member(id) else { return };
        // Nobody can have what was not sent.
        while member.acknowledged < count && member.given.len() > member.unsent {
            let Some(frame) = member.given.pop_front() else { break };
            member.given_bytes -= frame.bytes.len();
            member.acknowledged += 1;
            member.on_probation = false;
        }
        self.dispatch();
    }

    /// Whether the member was given something that was not handed to the transport yet.
    pub(super) fn has_more(&self, id: CursorId) -> bool {
        self.members.iter().any(|member| member.id == id && member.unsent > 0)
    }

    /// Whether there is something that no member has room for.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether any other member has something that it has not acknowledged: if it goes, that is for
    /// those that stay.
    pub(super) fn others_owe(&self, id: CursorId) -> bool {
        self.members.iter().any(|member| member.id != id && !member.given.is_empty())
    }

    /// Whether any other member was.
    pub(super) fn others_have_more(&self, id: CursorId) -> bool {
        self.members.iter().any(|member| member.id != id && member.unsent > 0)
    }

    /// Whether there is a member that can be waited for, and a frame before this one that was not
    /// written for any of these.
    pub(super) fn has_unwritten(&self, frames: u64) -> bool {
        let before = |frame: &Frame| frame.number < frames;
        let of_member = |member: &Member| {
            let written = member.given.len().saturating_sub(member.unsent + member.writing);
            member.given.range(written..).any(before)
        };
        self.has_awaited()
            && (self.pending.keys().next().is_some_and(|first| *first < frames)
                || self.members.iter().filter(|member| !member.on_probation).any(of_member))
    }

    pub(super) fn progress(&self, id: CursorId) -> Option<Progress> {
        let member = self.members.iter().find(|member| member.id == id)?;
        let sent = (member.given.len() - member.unsent) as u64;
        Some(Progress {
            written: member.acknowledged + sent,
            acknowledged: member.acknowledged,
            waiting: !member.given.is_empty(),
            unsent: member.unsent > 0 || (self.has_pending() && !member.given.is_empty()),
        })
    }

    /// What the member is to be sent next; what it was given before has been written.
    pub(super) fn next_batch(&mut self, id: CursorId, batch: &mut Vec<Bytes>) -> Taken {
        let skipped = self.skipped;
        let Some(member) = self.member(id) else { return Taken::default() };
        let first = member.given.len() - member.unsent;
        let mut taken = Taken::default();
        if member.unsent > 0 && skipped > 0 {
            batch.push(Mark::Skipped(skipped).encode());
        }
        for frame in member.given.iter().skip(first) {
            if frame.redelivered {
                batch.push(Mark::Redelivered(1).encode());
            }
            batch.push(frame.bytes.clone());
            taken.frames += 1;
            taken.payload_bytes += frame.payload_bytes;
        }
        (member.unsent, member.writing) = (0, taken.frames);
        if taken.frames > 0 {
            self.skipped = 0;
        }
        taken
    }

    /// The group is over: what nobody has acknowledged.
    pub(super) fn into_undelivered(self) -> impl Iterator<Item = Bytes> {
        let given = self.members.into_iter().flat_map(|member| member.given);
        given.chain(self.pending.into_values()).map(|frame| frame.body())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::streams::frames::{Item, Splitter};

    fn frame(number: u64) -> Frame {
        let bytes = Bytes::from(vec![1, u8::try_from(number).unwrap()]);
        Frame { number, bytes, payload_bytes: 1, redelivered: false }
    }

    fn group(frames: usize) -> Group {
        Group::new(Window { frames, bytes: 1 << 20 })
    }

    /// What a member is sent: the number, and whether it is marked.
    fn sent(group: &mut Group, id: CursorId) -> Vec<(u64, bool)> {
        let mut batch = Vec::new();
        let taken = group.next_batch(id, &mut batch);
        let (mut out, mut marked) = (Vec::new(), false);
        let mut splitter = Splitter::new();
        for bytes in batch {
            splitter.room()[0] = bytes;
            splitter.filled(1, 0);
            while let Some(item) = splitter.next().unwrap() {
                match item {
                    Item::Datum(body) => {
                        out.push((u64::from(body[0]), std::mem::take(&mut marked)));
                    }
                    Item::Mark(Mark::Redelivered(1)) => marked = true,
                    Item::Mark(mark) => panic!("{mark:?}"),
                }
            }
        }
        assert_eq!(out.len(), taken.frames);
        out
    }

    fn fresh(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, bool)> {
        numbers.into_iter().map(|number| (number, false)).collect()
    }

    fn ids() -> impl Iterator<Item = CursorId> {
        (0..).map(CursorId::new)
    }

    #[test]
    fn equal_members_take_turns_and_the_freest_comes_first() {
        let mut group = group(4);
        let ids: Vec<_> = ids().take(2).collect();
        ids.iter().for_each(|id| group.join(*id));
        assert_eq!(group.room().frames, 8);
        group.add((0..4).map(frame), 0);
        assert_eq!(sent(&mut group, ids[0]), fresh([0, 2]));
        assert_eq!(sent(&mut group, ids[1]), fresh([1, 3]));
        group.acknowledge(ids[1], 2);
        group.add((4..6).map(frame), 0);
        assert_eq!(sent(&mut group, ids[1]), fresh([4, 5]));
        assert_eq!(sent(&mut group, ids[0]), []);
        group.add((6..12).map(frame), 0);
        assert_eq!((group.room().frames, group.pending.len()), (0, 2));
        sent(&mut group, ids[0]);
        group.acknowledge(ids[0], 1);
        assert_eq!(sent(&mut group, ids[0]), fresh([10]), "who has room gets what waits");
    }

    #[test]
    fn what_a_member_has_not_acknowledged_goes_to_another_and_is_marked() {
        let mut group = group(8);
        let ids: Vec<_> = ids().take(2).collect();
        group.join(ids[0]);
        group.add((0..4).map(frame), 0);
        assert_eq!(sent(&mut group, ids[0]), fresh(0..4));
        group.acknowledge(ids[0], 1);
        group.add([frame(4)], 0);
        group.leave(ids[0]);
        assert!(group.is_empty());
        group.join(ids[1]);
        let marked = [(1, true), (2, true), (3, true), (4, true)];
        assert_eq!(sent(&mut group, ids[1]), marked);
        group.acknowledge(ids[1], 99);
        assert_eq!(group.into_undelivered().count(), 0);
    }

    proptest! {
        /// Every frame is taken by somebody, in order among those that are not marked; and twice
        /// only if a member has left meanwhile.
        #[test]
        fn every_datum_is_taken(
            window in 1usize..5,
            steps in prop::collection::vec((0u8..5, 0usize..3), 0..200),
        ) {
            let mut group = group(window);
            let mut ids = ids();
            // Each member: its id, what it has taken, the last number that was not marked.
            let mut members: Vec<(CursorId, u64, Option<u64>)> = Vec::new();
            let (mut next, mut taken, mut left) = (0, BTreeSet::new(), false);
            let mut take = |group: &mut Group, member: &mut (CursorId, u64, Option<u64>), left| {
                for (number, marked) in sent(group, member.0) {
                    if !marked {
                        assert!(member.2 < Some(number), "in order");
                        member.2 = Some(number);
                    }
                    assert!(taken.insert(number) || left);
                    member.1 += 1;
                }
                taken.len() as u64
            };
            for (step, which) in steps {
                let member = (!members.is_empty()).then(|| which % members.len());
                match (step, member) {
                    (0, _) if members.len() < 4 => {
                        let id = ids.next().unwrap();
                        group.join(id);
                        members.push((id, 0, None));
                    }
                    (1, Some(at)) => {
                        group.leave(members.swap_remove(at).0);
                        left = true;
                    }
                    (2, Some(at)) => { take(&mut group, &mut members[at], left); }
                    (3, Some(at)) => {
                        let (id, count, _) = members[at];
                        group.acknowledge(id, count);
                    }
                    _ if next < 200 && group.room().frames > 0 => {
                        group.add([frame(next)], 0);
                        next += 1;
                    }
                    _ => {}
                }
                prop_assert!(group.members.iter().all(|member| member.given.len() <= window));
            }
            let mut last = (ids.next().unwrap(), 0, None);
            for (id, ..) in members { group.leave(id) }
            group.join(last.0);
            let mut count = 0;
            for _ in 0..=next {
                count = take(&mut group, &mut last, true);
                group.acknowledge(last.0, last.1);
            }
            prop_assert_eq!(count, next);
        }
    }
}
