//! Whose tickets are to be fetched, and when; and who is told that this node's have changed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use iroh::EndpointAddr;
use tokio::time::Instant;

use super::{Command, Worker};
use crate::{
    discovery::{entry::SignedPeerEntry, tickets},
    id::{PeerId, UniqueId},
    transport::Link,
};

/// The pause after the first attempt that did not bring all; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Fetches at once.
const MAX_AT_ONCE: usize = 16;

/// A hello takes no longer than this.
const HELLO_AT_MOST: Duration = Duration::from_secs(10);

/// This node's tickets, as the peers that are connected were told.
#[derive(Debug, Default)]
pub(super) struct OwnTickets {
    shown: BTreeSet<UniqueId>,
    changed_at: Option<Instant>,
}

/// The fetches that are due and under way; one at a time from each peer.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    due: HashMap<PeerId, Due>,
    under_way: HashSet<PeerId>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    next_pause: Duration,
}

impl Fetches {
    /// Tickets of this peer are wanted now.
    pub(super) fn want(&mut self, peer: PeerId, now: Instant) {
        self.due.insert(peer, Due { at: now, next_pause: FIRST_PAUSE });
    }

    /// An attempt is over; something `is_lacking` still, or not.
    pub(super) fn ended(&mut self, peer: PeerId, is_lacking: bool, now: Instant) {
        self.under_way.remove(&peer);
        let Some(due) = self.due.get_mut(&peer) else { return };
        if is_lacking {
            due.at = due.at.max(now + due.next_pause);
            due.next_pause = LONGEST_PAUSE.min(due.next_pause * 2);
        } else {
            self.due.remove(&peer);
        }
    }

    /// When the next one is to begin.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.under_way.len() >= MAX_AT_ONCE {
            return None;
        }
        let waiting = self.due.iter().filter(|(peer, _)| !self.under_way.contains(*peer));
        waiting.map(|(_, due)| due.at).min()
    }

    /// Takes those that are due.
    fn begin(&mut self, now: Instant) -> Vec<PeerId> {
        let room = MAX_AT_ONCE.saturating_sub(self.under_way.len());
        let is_due =
            |(peer, due): &(&PeerId, &Due)| due.at <= now && !self.under_way.contains(*peer);
        let due: Vec<_> =
            self.due.iter().filter(is_due).map(|(peer, _)| *peer).take(room).collect();
        self.under_way.extend(&due);
        due
    }
}

impl Worker {
    /// Notes whose tickets are wanted.
    pub(super) fn want_tickets(&mut self, now: Instant) {
        for peer in self.shared.take_wanted() {
            self.fetches.want(peer, now);
        }
    }

    /// This node's entry has changed: if its tickets have, all that are connected are told.
    pub(super) fn tell_tickets(&mut self, now: Instant) {
        let local = self.shared.local();
        let tickets: BTreeSet<_> = local.tickets().keys().copied().collect();
        if tickets != self.own_tickets.shown {
            self.own_tickets = OwnTickets { shown: tickets, changed_at: Some(now) };
            self.reach.transport.links().into_iter().for_each(|link| self.tell_of(&local, link));
        }
    }

    /// A link is up: its hello may have begun before this node's tickets changed.
    pub(super) fn tell_tickets_to(&self, link: Link, now: Instant) {
        let changed_at = self.own_tickets.changed_at;
        if changed_at.is_some_and(|at| now.duration_since(at) < HELLO_AT_MOST) {
            self.tell_of(&self.shared.local(), link);
        }
    }

    fn tell_of(&self, local: &SignedPeerEntry, link: Link) {
        let local = local.clone();
        self.tasks.spawn("discovery.tell_tickets", async move {
            if let Err(error) = tickets::tell(&link, &local).await {
                tracing::debug!(peer = %link.peer(), %error, "a peer was not told of tickets");
            }
        });
    }

    /// Begins the fetches that are due, each in a task of its own.
    pub(super) fn start_fetches(&mut self, now: Instant) {
        for peer in self.fetches.begin(now) {
            let reach = self.reach.clone();
            self.tasks.spawn("discovery.tickets", async move {
                // Where there was no link yet, the hello has brought all.
                match reach.connect(EndpointAddr::new(peer)).await {
                    Ok(link) => {
                        if let Err(error) = tickets::fetch(reach.shared(), &link).await {
                            tracing::debug!(%peer, %error, "tickets were not fetched");
                        }
                    }
                    Err(error) => tracing::debug!(%peer, %error, "tickets cannot be fetched"),
                }
                // When the worker is gone, the node is shutting down.
                let _ = reach.commands.send(Command::Fetched(peer)).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_bytes(&[seed; 32]).public()
    }

    #[test]
    fn what_did_not_come_is_asked_for_again_with_growing_pauses() {
        let now = Instant::now();
        let mut fetches = Fetches::default();
        fetches.want(peer(1), now);
        assert_eq!(fetches.begin(now), [peer(1)]);
        assert_eq!((fetches.next(), fetches.begin(now)), (None, vec![]));
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.next(), Some(now + FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        assert_eq!(fetches.begin(later), [peer(1)]);
        fetches.ended(peer(1), true, later);
        assert_eq!(fetches.next(), Some(later + FIRST_PAUSE * 2));
        // Something new is wanted: at once.
        fetches.want(peer(1), later);
        assert_eq!(fetches.begin(later), [peer(1)]);
        fetches.ended(peer(1), false, later);
        assert_eq!(fetches.next(), None);
    }

    #[test]
    fn only_so_many_are_fetched_at_once() {
        let now = Instant::now();
        let mut fetches = Fetches::default();
        (0..40).for_each(|seed| fetches.want(peer(seed), now));
        let first = fetches.begin(now);
        assert_eq!((first.len(), fetches.next()), (MAX_AT_ONCE, None));
        fetches.ended(first[0], false, now);
        assert_eq!(fetches.begin(now).len(), 1);
    }
}
