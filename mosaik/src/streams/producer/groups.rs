//! The ring, and the share groups that divide what they take from it among their members.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    OnLag,
    group::Group,
    ring::{CursorId, Position, Progress, Ring, RingConfig, Start, Taken, Window},
};
use crate::id::UniqueId;

/// What a member is given at most before it acknowledges some of it. Each may be a packet, and the
/// transport bears about 1,000 of them unread.
const MEMBER_DATUMS: usize = 512;

/// Whatever subscribers are sent: each alone, or as members of a group.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) ring: Ring,
    config: RingConfig,
    groups: BTreeMap<UniqueId, (CursorId, Group)>,
    /// Bodies of frames that were in groups that are over.
    undelivered: Vec<Bytes>,
}

impl Sending {
    pub(super) fn new(config: RingConfig) -> Self {
        Self { ring: Ring::new(config), config, groups: BTreeMap::new(), undelivered: Vec::new() }
    }

    fn group(&mut self, member: CursorId) -> Option<(&mut Ring, CursorId, &mut Group)> {
        if self.groups.is_empty() {
            return None;
        }
        let (cursor, group) = self.groups.values_mut().find(|(_, group)| group.contains(member))?;
        Some((&mut self.ring, *cursor, group))
    }

    /// A new subscriber, and the first frame that it may get.
    pub(super) fn join(&mut self, start: Start, group: Option<UniqueId>) -> (CursorId, Position) {
        let Some(name) = group else { return self.ring.join(start) };
        let ring = &mut self.ring;
        let Window { frames, bytes } = self.config.window;
        let window = Window { frames: frames.min(MEMBER_DATUMS), bytes };
        let (cursor, group) =
            self.groups.entry(name).or_insert_with(|| (ring.join_group(), Group::new(window)));
        let id = ring.new_id();
        ring.set_held(*cursor, false);
        group.join(id);
        settle(ring, *cursor, group);
        (id, ring.head())
    }

    /// A peer of which nobody believes that it takes anything: until it has taken something new,
    /// nobody waits for it, nor for a group of which all members are such.
    pub(super) fn put_on_probation(&mut self, id: CursorId) {
        let Some((ring, cursor, group)) = self.group(id) else {
            return self.ring.put_on_probation(id);
        };
        group.put_on_probation(id);
        settle(ring, cursor, group);
    }

    /// Whether the producer waits for the subscriber, or for its group because of it, when it is
    /// too far behind.
    pub(super) fn is_awaited(&mut self, id: CursorId) -> bool {
        let waits = self.config.on_lag == OnLag::Block;
        match self.group(id) {
            Some((_, _, group)) => waits && group.is_awaited(id),
            None => self.ring.is_awaited(id),
        }
    }

    /// The subscriber is gone for good. The last member takes its group with it.
    pub(super) fn leave(&mut self, id: CursorId) {
        let mut groups = self.groups.iter_mut();
        let found = groups.find(|(_, (_, group))| group.contains(id));
        let Some((name, (cursor, group))) = found else { return self.ring.leave(id) };
        group.leave(id);
        settle(&mut self.ring, *cursor, group);
        let name = *name;
        self.end_empty_group(&name);
    }

    /// The subscriber's connection broke: what it has not acknowledged is kept for it, or goes to
    /// others of its group. False if nothing is kept any more.
    pub(super) fn hold(&mut self, id: CursorId) -> bool {
        let Some((ring, cursor, group)) = self.group(id) else { return self.ring.hold(id) };
        group.leave(id);
        settle(ring, cursor, group);
        ring.set_held(cursor, group.is_empty());
        group.is_empty()
    }

    /// Ends a group unless it has members.
    pub(super) fn end_empty_group(&mut self, name: &UniqueId) {
        if self.groups.get(name).is_none_or(|(_, group)| !group.is_empty()) {
            return;
        }
        let Some((cursor, group)) = self.groups.remove(name) else { return };
        self.ring.leave(cursor);
        if self.config.recover {
            self.undelivered.extend(group.into_undelivered());
        }
    }

    /// The subscriber's application has taken so many frames. True if others may go on by that.
    pub(super) fn acknowledge(&mut self, id: CursorId, frames: u64) -> bool {
        let Some((ring, cursor, group)) = self.group(id) else {
            self.ring.acknowledge(id, frames);
            return false;
        };
        group.acknowledge(id, frames);
        pull(ring, cursor, group);
        settle(ring, cursor, group);
        true
    }

    /// Gives the subscriber its next batch; `last`: nothing follows. True if it took something for
    /// members of its group that have to send it now. Not for what they had before: two that are
    /// done would wake each other for ever, as long as a third cannot send.
    pub(super) fn next_batch(
        &mut self,
        id: CursorId,
        last: bool,
        batch: &mut Vec<Bytes>,
    ) -> (Taken, bool) {
        let Some((ring, cursor, group)) = self.group(id) else {
            return (self.ring.next_batch(id, last, batch), false);
        };
        let pulled = pull(ring, cursor, group);
        (group.next_batch(id, batch), pulled && group.others_have_more(id))
    }

    /// Whether there is anything that the subscriber should be sent, or take for its group.
    pub(super) fn has_more(&mut self, id: CursorId) -> bool {
        let Some((ring, cursor, group)) = self.group(id) else { return self.ring.has_more(id) };
        group.has_more(id) || (group.room().frames > 0 && ring.has_more(cursor))
    }

    /// Whether nothing follows for the subscriber if nothing more is sent. What waits for a group
    /// until its members have room is for any of them, and so is what another member has not
    /// acknowledged, should that go.
    pub(super) fn is_drained(&mut self, id: CursorId) -> bool {
        let Some((ring, cursor, group)) = self.group(id) else { return !self.ring.has_more(id) };
        let of_group = group.has_pending() || group.others_owe(id);
        !group.has_more(id) && !of_group && !ring.has_more(cursor)
    }

    pub(super) fn progress(&mut self, id: CursorId) -> Option<Progress> {
        match self.group(id) {
            Some((_, _, group)) => group.progress(id),
            None => self.ring.progress(id),
        }
    }

    /// Whether everything before this frame has been handed to the transport for everybody that
    /// the producer waits for, or is held back.
    pub(super) fn is_written(&self, frames: u64) -> bool {
        let waits = self.config.on_lag == OnLag::Block;
        self.ring.written() >= frames
            && !(waits && self.groups.values().any(|(_, group)| group.has_unwritten(frames)))
    }

    /// The stream has ended: nobody comes any more.
    pub(super) fn close(&mut self) {
        self.ring.close();
        let groups = std::mem::take(&mut self.groups);
        if self.config.recover {
            let frames = groups.into_values().flat_map(|(_, group)| group.into_undelivered());
            self.undelivered.extend(frames);
        }
    }

    /// What the producer lets go of though nobody has acknowledged it.
    pub(super) fn take_undelivered(&mut self) -> Vec<Bytes> {
        let mut bodies = self.ring.take_undelivered();
        bodies.append(&mut self.undelivered);
        bodies
    }
}

/// Takes what the members have room for. True if there was something.
fn pull(ring: &mut Ring, cursor: CursorId, group: &mut Group) -> bool {
    let room = group.room();
    if room.frames == 0 {
        return false;
    }
    let (frames, skipped) = ring.pull(cursor, room);
    let pulled = !frames.is_empty();
    if pulled || skipped > 0 {
        group.add(frames, skipped);
    }
    pulled
}

/// The producer waits for a group as long as there is a member for which it does. One without
/// members stays as the last one has left it.
fn settle(ring: &mut Ring, cursor: CursorId, group: &Group) {
    if group.has_awaited() {
        ring.end_probation(cursor);
    } else if !group.is_empty() {
        ring.put_on_probation(cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(on_lag: OnLag) -> Sending {
        let window = Window { frames: 8, bytes: 1 << 20 };
        Sending::new(RingConfig { window, on_lag, retain: 0, recover: false })
    }

    #[test]
    fn a_flush_waits_for_what_members_of_a_group_were_given_and_not_sent() {
        let mut sending = sending(OnLag::Block);
        let group = Some(UniqueId::from("a group"));
        let ids = [0; 2].map(|_| sending.join(Start::Retained, group).0);
        (0..4).for_each(|body| sending.ring.push(&[body]));
        let mut batch = Vec::new();
        // One takes from the ring for both.
        assert_eq!(sending.next_batch(ids[0], false, &mut batch).0.frames, 2);
        assert!(sending.ring.written() == 4 && sending.is_written(0));
        assert!(!sending.is_written(1), "it is under way, not yet written");
        sending.next_batch(ids[0], false, &mut batch);
        assert!(sending.is_written(1) && !sending.is_written(2));
        assert_eq!(sending.next_batch(ids[1], false, &mut batch).0.frames, 2);
        assert!(!sending.is_written(4));
        sending.next_batch(ids[1], false, &mut batch);
        assert!(sending.is_written(4));
        // What one leaves behind must be written again; without members nobody is waited for.
        sending.acknowledge(ids[0], 2);
        assert!(!sending.hold(ids[1]));
        assert!(!sending.is_written(4));
        assert!(sending.hold(ids[0]) && sending.is_written(4));
    }

    #[test]
    fn members_do_not_wake_each_other_over_a_third_that_cannot_send() {
        let mut sending = sending(OnLag::Block);
        let group = Some(UniqueId::from("a group"));
        let ids = [0; 3].map(|_| sending.join(Start::Retained, group).0);
        (0..3).for_each(|body| sending.ring.push(&[body]));
        let mut next = |id| {
            let (taken, others) = sending.next_batch(id, false, &mut Vec::new());
            (taken.frames, others)
        };
        assert_eq!(next(ids[0]), (1, true), "it takes for all three");
        assert_eq!(next(ids[1]), (1, false), "the third has been told");
        assert_eq!(next(ids[0]), (0, false));
        assert_eq!(next(ids[2]), (1, false));
    }

    #[test]
    fn nothing_follows_for_a_member_once_the_others_have_taken_what_they_were_given() {
        let mut sending = sending(OnLag::Block);
        let group = Some(UniqueId::from("a group"));
        let ids = [0; 2].map(|_| sending.join(Start::Retained, group).0);
        (0..4).for_each(|body| sending.ring.push(&[body]));
        for _ in 0..2 {
            for id in ids {
                sending.next_batch(id, true, &mut Vec::new());
            }
        }
        sending.acknowledge(ids[0], 2);
        assert!(!sending.is_drained(ids[0]), "the other one may go yet");
        assert!(sending.is_drained(ids[1]), "what it has not read is under way");
        sending.leave(ids[1]);
        assert!(sending.has_more(ids[0]) && !sending.is_drained(ids[0]));
        assert_eq!(sending.next_batch(ids[0], true, &mut Vec::new()).0.frames, 2);
        assert!(sending.is_drained(ids[0]), "there is nobody else");
    }

    #[test]
    fn nobody_waits_for_a_group_of_suspects_until_one_of_them_has_taken_something() {
        let mut sending = sending(OnLag::Block);
        let group = Some(UniqueId::from("a group"));
        let suspect = sending.join(Start::Retained, group).0;
        sending.put_on_probation(suspect);
        (0..20).for_each(|body| {
            assert!(sending.ring.has_room() && sending.is_written(20));
            if sending.ring.is_overrun() {
                assert_eq!(sending.ring.overrun(), [], "it skips");
            }
            sending.ring.push(&[body]);
        });
        assert!(!sending.is_awaited(suspect));
        // One that is no suspect is waited for, and that does not make the other one better.
        let member = sending.join(Start::Retained, group).0;
        assert!(sending.is_awaited(member) && !sending.is_awaited(suspect));
        assert!(!sending.is_written(20));
        sending.next_batch(suspect, false, &mut Vec::new());
        (20..40).for_each(|body| sending.ring.push(&[body]));
        assert!(!sending.ring.has_room());
        assert!(!sending.hold(member) && sending.ring.has_room());
        sending.acknowledge(suspect, 0);
        assert!(!sending.is_awaited(suspect), "that says nothing");
        sending.acknowledge(suspect, 1);
        assert!(sending.is_awaited(suspect));
        assert!(sending.hold(suspect) && !sending.ring.has_room(), "what is kept stays so");
        let suspect = sending.join(Start::Retained, group).0;
        sending.put_on_probation(suspect);
        assert!(sending.hold(suspect) && sending.ring.has_room(), "that, too");
    }

    #[test]
    fn a_flush_does_not_wait_for_groups_that_skip() {
        let mut sending = sending(OnLag::DropOldest);
        let group = Some(UniqueId::from("a group"));
        let ids = [0; 2].map(|_| sending.join(Start::Retained, group).0);
        (0..4).for_each(|body| sending.ring.push(&[body]));
        sending.next_batch(ids[0], false, &mut Vec::new());
        assert!(sending.is_written(4));
    }
}
