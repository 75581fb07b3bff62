//! Whose tickets are to be fetched, and when; and who is told that this node's have changed.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use iroh::EndpointAddr;
use tokio::time::Instant;

use super::{Command, Worker};
use crate::{
    discovery::{
        ask::{Answer, AskError, Question, ask},
        reach::Reach,
    },
    id::{PeerId, UniqueId},
    transport::Link,
};

/// The pause after the first attempt that did not bring all; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// TicketFetches at once.
const MAX_AT_ONCE: usize = 16;

/// A hello takes no longer than this.
const HELLO_AT_MOST: Duration = Duration::from_secs(10);

/// This node's tickets, as the peers that are connected were told.
#[derive(Debug, Default)]
pub(super) struct OwnTickets {
    shown: BTreeSet<UniqueId>,
    changed_at: Option<Instant>,
}

/// What is to be fetched from a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Its entry, of which there is a newer version.
    entry: bool,
    /// Those of its tickets that are not here, since somebody reads them.
    tickets: bool,
}

/// The fetches that are due and under way; one at a time from each peer.
#[derive(Debug, Default)]
pub(super) struct TicketFetches {
    due: HashMap<PeerId, Due>,
    under_way: HashMap<PeerId, Attempt>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    wanted: Wanted,
    /// The pause before the next attempt, if this one does not bring all.
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    wanted: Wanted,
    pause: Duration,
}

impl TicketFetches {
    /// Something of this peer is wanted now.
    fn want(&mut self, peer: PeerId, wanted: Wanted, now: Instant) {
        let before = self.due.get(&peer).map(|due| due.wanted).unwrap_or_default();
        self.due.insert(peer, Due { at: now, wanted: before.and(wanted), pause: FIRST_PAUSE });
    }

    /// An attempt is over; tickets may still be lacking.
    fn ended(&mut self, peer: PeerId, is_lacking: bool, now: Instant) {
        let Some(Attempt { wanted, pause }) = self.under_way.remove(&peer) else { return };
        // What has been wanted since is due already.
        if wanted.tickets && is_lacking {
            let again = Due {
                at: now + pause,
                wanted: Wanted { entry: false, tickets: true },
                pause: LONGEST_PAUSE.min(pause * 2),
            };
            self.due.entry(peer).or_insert(again);
        }
    }

    /// When the next one is to begin.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.under_way.len() >= MAX_AT_ONCE {
            return None;
        }
        let waiting = self.due.iter().filter(|(peer, _)| !self.under_way.contains_key(*peer));
        waiting.map(|(_, due)| due.at).min()
    }

    /// Takes those that are due.
    fn begin(&mut self, now: Instant) -> Vec<(PeerId, Wanted)> {
        let room = MAX_AT_ONCE.saturating_sub(self.under_way.len());
        let is_due =
            |(peer, due): &(&PeerId, &Due)| due.at <= now && !self.under_way.contains_key(*peer);
        let peers: Vec<_> =
            self.due.iter().filter(is_due).map(|(peer, _)| *peer).take(room).collect();
        let due = peers.into_iter().filter_map(|peer| self.due.remove_entry(&peer));
        let mut begun = Vec::new();
        for (peer, Due { wanted, pause, .. }) in due {
            self.under_way.insert(peer, Attempt { wanted, pause });
            begun.push((peer, wanted));
        }
        begun
    }
}

impl Wanted {
    fn and(self, other: Self) -> Self {
        Self { entry: self.entry || other.entry, tickets: self.tickets || other.tickets }
    }
}

impl Worker {
    /// Notes whose tickets are wanted.
    pub(super) fn take_wanted(&mut self, now: Instant) {
        let wanted = self.shared.take_wanted();
        for peer in wanted.entries {
            self.tickets.want(peer, Wanted { entry: true, tickets: false }, now);
        }
        for peer in wanted.tickets {
            self.tickets.want(peer, Wanted { entry: false, tickets: true }, now);
        }
    }

    /// Begins the fetches that are due, each in a task of its own.
    pub(super) fn start_ticket_fetches(&mut self, now: Instant) {
        for (peer, wanted) in self.tickets.begin(now) {
            let reach = self.reach.clone();
            self.tasks.spawn("discovery.tickets", async move {
                // Where there was no link yet, the hello brings all.
                match reach.connect(EndpointAddr::new(peer)).await {
                    Ok(link) => {
                        if let Err(error) = fetch(&reach, &link, wanted).await {
                            tracing::debug!(%peer, %error, "tickets were not fetched");
                        }
                    }
                    Err(error) => tracing::debug!(%peer, %error, "tickets cannot be fetched"),
                }
                // When the worker is gone, the node is shutting down.
                let _ = reach.commands.send(Command::TicketsFetched(peer)).await;
            });
        }
    }

    pub(super) fn tickets_fetched(&mut self, peer: PeerId, now: Instant) {
        let is_lacking = !self.shared.lacking_tickets(&peer).is_empty();
        self.tickets.ended(peer, is_lacking, now);
    }

    /// This node's entry has changed: if its tickets have, all that are connected are told at
    /// once. Whoever reads them is connected, and is not to wait for the gossip.
    pub(super) fn tell_tickets(&mut self, now: Instant) {
        let local = self.shared.read(|state| state.local().clone());
        let shown: BTreeSet<_> = local.tickets().keys().copied().collect();
        if shown != self.own_tickets.shown {
            self.own_tickets = OwnTickets { shown, changed_at: Some(now) };
            self.reach.transport.links().into_iter().for_each(|link| self.tell(link));
        }
    }

    /// A link is up: its hello may have begun before this node's tickets changed.
    pub(super) fn tell_tickets_to(&self, link: Link, now: Instant) {
        let changed_at = self.own_tickets.changed_at;
        if changed_at.is_some_and(|at| now.duration_since(at) < HELLO_AT_MOST) {
            self.tell(link);
        }
    }

    fn tell(&self, link: Link) {
        let shared = self.shared.clone();
        let version = shared.read(|state| state.local().update_version());
        self.tasks.spawn("discovery.tell_tickets", async move {
            if let Err(error) = ask(&shared, &link, &Question::TicketsChanged(version)).await {
                tracing::debug!(peer = %link.peer(), %error, "a peer was not told of tickets");
            }
        });
    }
}

/// Asks a peer for its entry and its tickets.
async fn fetch(reach: &Reach, link: &Link, wanted: Wanted) -> Result<(), AskError> {
    let (peer, shared) = (link.peer(), reach.shared());
    if wanted.entry {
        let (answer, _) = ask(shared, link, &Question::Fetch(peer)).await?;
        shared.take_fetched(answer);
    }
    let ids = shared.lacking_tickets(&peer);
    if wanted.tickets
        && !ids.is_empty()
        && let (Answer::Tickets(tickets), _) = ask(shared, link, &Question::Tickets(ids)).await?
    {
        shared.attach_tickets(&peer, tickets);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    const ENTRY: Wanted = Wanted { entry: true, tickets: false };
    const TICKETS: Wanted = Wanted { entry: false, tickets: true };

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_bytes(&[seed; 32]).public()
    }

    #[test]
    fn what_did_not_come_is_asked_for_again_with_growing_pauses() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        fetches.want(peer(1), TICKETS, now);
        assert_eq!(fetches.begin(now), [(peer(1), TICKETS)]);
        assert_eq!((fetches.next(), fetches.begin(now)), (None, vec![]));
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.next(), Some(now + FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        assert_eq!(fetches.begin(later), [(peer(1), TICKETS)]);
        fetches.ended(peer(1), true, later);
        assert_eq!(fetches.next(), Some(later + FIRST_PAUSE * 2));
        // Something new is wanted: at once.
        fetches.want(peer(1), TICKETS, later);
        assert_eq!(fetches.begin(later), [(peer(1), TICKETS)]);
        fetches.ended(peer(1), false, later);
        assert_eq!(fetches.next(), None);
    }

    #[test]
    fn what_is_wanted_during_an_attempt_is_fetched_right_after_it() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        fetches.want(peer(1), ENTRY, now);
        assert_eq!(fetches.begin(now), [(peer(1), ENTRY)]);
        fetches.want(peer(1), TICKETS, now);
        fetches.want(peer(1), ENTRY, now);
        assert_eq!(fetches.next(), None);
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.begin(now), [(peer(1), Wanted { entry: true, tickets: true })]);
        fetches.ended(peer(1), false, now);
        assert_eq!(fetches.next(), None);
    }

    #[test]
    fn tickets_that_nobody_reads_are_not_asked_for_again() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        fetches.want(peer(1), ENTRY, now);
        fetches.begin(now);
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.next(), None);
    }

    #[test]
    fn only_so_many_are_fetched_at_once() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        (0..40).for_each(|seed| fetches.want(peer(seed), TICKETS, now));
        let first = fetches.begin(now);
        assert_eq!((first.len(), fetches.next()), (MAX_AT_ONCE, None));
        fetches.ended(first[0].0, false, now);
        assert_eq!(fetches.begin(now).len(), 1);
    }
}
