//! Whose tickets are to be fetched, and when; and who is told that this node's have changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use iroh::EndpointAddr;
use tokio::time::Instant;

use super::{Command, Worker};
use crate::{
    discovery::{
        ask::{Answer, AskError, Question, ask},
        reach::Reach,
        version::PeerEntryVersion,
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
    due: BTreeMap<PeerId, Due>,
    under_way: BTreeMap<PeerId, Attempt>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    wanted: Wanted,
    /// The version of the peer's entry whose tickets are wanted.
    version: Option<PeerEntryVersion>,
    /// The pause before the next attempt, if this one does not bring all.
    pause: Duration,
}

/// As it was when it was due.
type Attempt = Due;

impl TicketFetches {
    /// A newer entry of this peer is wanted now.
    fn want_entry(&mut self, peer: PeerId, now: Instant) {
        let new = Due { at: now, wanted: Wanted::default(), version: None, pause: FIRST_PAUSE };
        let due = self.due.entry(peer).or_insert(new);
        due.at = now.min(due.at);
        due.wanted.entry = true;
    }

    /// The tickets that an entry of this version names are wanted: now, unless they were wanted
    /// before and did not come. However often they are wanted, a peer that does not give them is
    /// asked no more often.
    fn want_tickets(&mut self, peer: PeerId, version: Option<PeerEntryVersion>, now: Instant) {
        let is_same = |due: &Due| due.wanted.tickets && due.version == version;
        let is_retried = self.due.get(&peer).is_some_and(is_same);
        let is_asked = self.under_way.get(&peer).is_some_and(is_same);
        if !is_retried && !is_asked {
            let entry = self.due.get(&peer).is_some_and(|due| due.wanted.entry);
            let wanted = Wanted { entry, tickets: true };
            self.due.insert(peer, Due { at: now, wanted, version, pause: FIRST_PAUSE });
        }
    }

    /// An attempt is over; tickets may still be lacking.
    fn ended(&mut self, peer: PeerId, is_lacking: bool, now: Instant) {
        let Some(attempt) = self.under_way.remove(&peer) else { return };
        if !attempt.wanted.tickets || !is_lacking {
            return;
        }
        let again = Due {
            at: now + attempt.pause,
            wanted: Wanted { entry: false, tickets: true },
            version: attempt.version,
            pause: LONGEST_PAUSE.min(attempt.pause * 2),
        };
        let due = self.due.entry(peer).or_insert(again);
        // What has been wanted since is due already; if it was only the entry, its tickets are
        // still asked for as seldom as before.
        if !due.wanted.tickets {
            *due = Due { at: due.at, wanted: Wanted { entry: true, tickets: true }, ..again };
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
        let due = self.due.iter().filter(is_due);
        let mut due: Vec<_> = due.map(|(peer, due)| (due.pause, due.at, *peer)).collect();
        // Peers that did not answer often before do not keep others waiting.
        due.sort_unstable();
        let mut begun = Vec::new();
        for (_, _, peer) in due.into_iter().take(room) {
            if let Some(due) = self.due.remove(&peer) {
                self.under_way.insert(peer, due);
                begun.push((peer, due.wanted));
            }
        }
        begun
    }
}

impl Worker {
    /// Notes whose tickets are wanted.
    pub(super) fn take_wanted(&mut self, now: Instant) {
        let wanted = self.shared.take_wanted();
        for peer in wanted.entries {
            self.tickets.want_entry(peer, now);
        }
        for peer in wanted.tickets {
            let version = self.shared.read(|state| state.version(&peer));
            self.tickets.want_tickets(peer, version, now);
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
    const VERSION: Option<PeerEntryVersion> = Some(PeerEntryVersion::new(1, 1));
    const NEWER: Option<PeerEntryVersion> = Some(PeerEntryVersion::new(1, 2));

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_bytes(&[seed; 32]).public()
    }

    #[test]
    fn what_did_not_come_is_asked_for_again_with_growing_pauses() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        fetches.want_tickets(peer(1), VERSION, now);
        assert_eq!(fetches.begin(now), [(peer(1), TICKETS)]);
        assert_eq!((fetches.next(), fetches.begin(now)), (None, vec![]));
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.next(), Some(now + FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        assert_eq!(fetches.begin(later), [(peer(1), TICKETS)]);
        fetches.ended(peer(1), true, later);
        assert_eq!(fetches.next(), Some(later + FIRST_PAUSE * 2));
        // Something new is wanted: at once.
        fetches.want_tickets(peer(1), NEWER, later);
        assert_eq!(fetches.begin(later), [(peer(1), TICKETS)]);
        fetches.ended(peer(1), false, later);
        assert_eq!(fetches.next(), None);
    }

    #[test]
    fn wanting_the_same_again_and_again_does_not_shorten_the_pauses() {
        let begun = Instant::now();
        let mut fetches = TicketFetches::default();
        let mut attempts = Vec::new();
        for second in 0..300 {
            let now = begun + Duration::from_secs(second);
            fetches.want_tickets(peer(1), VERSION, now);
            if !fetches.begin(now).is_empty() {
                fetches.want_tickets(peer(1), VERSION, now);
                fetches.ended(peer(1), true, now);
                attempts.push(second);
            }
        }
        assert!((10..20).contains(&attempts.len()), "{attempts:?}");
        // A newer entry is asked for at once, and its absence changes nothing.
        let now = begun + Duration::from_secs(300);
        fetches.want_entry(peer(1), now);
        assert_eq!(fetches.begin(now), [(peer(1), Wanted { entry: true, tickets: true })]);
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.next(), Some(now + LONGEST_PAUSE));
    }

    #[test]
    fn peers_that_never_answer_do_not_keep_others_waiting() {
        let begun = Instant::now();
        let mut fetches = TicketFetches::default();
        for seed in 0..60 {
            fetches.want_tickets(peer(seed), VERSION, begun);
        }
        for second in 0..100 {
            let now = begun + Duration::from_secs(second);
            for (peer, _) in fetches.begin(now) {
                fetches.ended(peer, true, now);
            }
        }
        let now = begun + Duration::from_secs(200);
        fetches.want_tickets(peer(100), VERSION, now);
        assert_eq!(fetches.begin(now)[0].0, peer(100));
    }

    #[test]
    fn what_is_wanted_during_an_attempt_is_fetched_right_after_it() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        fetches.want_entry(peer(1), now);
        assert_eq!(fetches.begin(now), [(peer(1), ENTRY)]);
        fetches.want_tickets(peer(1), VERSION, now);
        fetches.want_entry(peer(1), now);
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
        fetches.want_entry(peer(1), now);
        fetches.begin(now);
        fetches.ended(peer(1), true, now);
        assert_eq!(fetches.next(), None);
    }

    #[test]
    fn only_so_many_are_fetched_at_once_in_the_same_order_every_time() {
        let now = Instant::now();
        let mut fetches = TicketFetches::default();
        (0..40).for_each(|seed| fetches.want_tickets(peer(seed), VERSION, now));
        let first = fetches.begin(now);
        assert_eq!((first.len(), fetches.next()), (MAX_AT_ONCE, None));
        let mut peers: Vec<_> = (0..40).map(peer).collect();
        peers.sort();
        assert!(first.iter().map(|(peer, _)| peer).eq(&peers[..MAX_AT_ONCE]));
        fetches.ended(first[0].0, false, now);
        assert_eq!(fetches.begin(now).len(), 1);
    }
}
