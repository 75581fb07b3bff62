//! Discovery's sections of the hello: two nodes that meet exchange their entries before anything
//! else, so that whoever is admitted is known.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    catalog::{SyncItem, Want},
    entry::RawEntry,
    refusal::Refusal,
    shared::Shared,
    version::PeerEntryVersion,
};
use crate::{
    id::{PeerId, UniqueId},
    schema,
    ticket::{Denial, Ticket},
    transport::CloseReason,
};

/// What each side says of itself and of what it knows of the other. Later versions append fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offer {
    version: PeerEntryVersion,
    digest: [u8; 32],
    /// The version of the other's entry that is known already.
    known: Option<PeerEntryVersion>,
    /// The other's tickets that are here already.
    held: BTreeSet<UniqueId>,
}

/// What the other side lacks. Later versions append fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bodies {
    /// The entry with a sign of life.
    pub(super) entry: Option<RawEntry>,
    pub(super) tickets: Vec<Ticket>,
}

/// What discovery says in hellos, and what it makes of what it hears.
#[derive(Clone, Debug)]
pub(crate) struct HelloSections {
    shared: Arc<Shared>,
}

impl HelloSections {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What this node offers to a peer that it meets.
    pub(crate) fn offer(&self, peer: &PeerId) -> Bytes {
        let offer = self.shared.read(|state| {
            let known = state.record(peer);
            Offer {
                version: state.local().update_version(),
                digest: *state.local().digest().as_bytes(),
                known: known.as_ref().map(|entry| entry.update_version()),
                held: known.iter().flat_map(|entry| entry.tickets().keys().copied()).collect(),
            }
        });
        encode(&offer)
    }

    /// What the peer lacks, by its offer: this node's entry with a sign of life, and tickets.
    pub(crate) fn bodies(&self, their_offer: &[u8]) -> Result<Bytes, CloseReason> {
        let offer: Offer = decode(their_offer)?;
        let local = self.shared.local();
        let lacks_entry = offer.known != Some(local.update_version());
        let lacking = local.tickets().iter().filter(|(id, _)| !offer.held.contains(id));
        Ok(encode(&Bodies {
            entry: lacks_entry.then(|| local.to_raw()),
            tickets: lacking.map(|(_, ticket)| ticket.clone()).collect(),
        }))
    }

    /// What proves to a peer that there is a newer run of it: the newest record of it here.
    pub(crate) fn newer_run(&self, peer: &PeerId) -> Bytes {
        let want = Want { peer: *peer.as_bytes(), version: None };
        let item = self.shared.read(|state| state.item(&want));
        item.map(|item| encode(&item)).unwrap_or_default()
    }

    /// A peer shows what is to prove that there is a newer run of this node.
    pub(crate) fn hear_of_newer_run(&self, proof: &[u8]) {
        if let Some(item) = newer_run(proof) {
            // Refused as every record of the own id, after it was looked at.
            let _ = self.shared.take(item);
        }
    }

    /// Takes in the peer's entry and tickets, and says whether it is let in.
    ///
    /// An entry that does not come in time, or is dated in the future, is no reason to turn the
    /// peer away: it may come later by other ways. One that is forged or somebody else's is, and
    /// so is one without the tickets that this node requires of everybody.
    pub(crate) fn admit(
        &self,
        peer: &PeerId,
        their_offer: &[u8],
        their_bodies: &[u8],
    ) -> Result<(), CloseReason> {
        let offer: Offer = decode(their_offer)?;
        if !their_bodies.is_empty() {
            self.take_in(peer, &offer, decode(their_bodies)?)?;
        }
        self.shared.admits(peer).map_err(|denial| match denial {
            Denial::Pending => CloseReason::TicketsPending,
            Denial::Invalid => CloseReason::NoTicket,
        })
    }

    fn take_in(&self, peer: &PeerId, offer: &Offer, bodies: Bodies) -> Result<(), CloseReason> {
        let Bodies { entry: raw, tickets } = bodies;
        let Some(mut raw) = raw else {
            self.shared.attach_tickets(peer, tickets);
            return Ok(());
        };
        raw.set_tickets(tickets);
        let verified = self.shared.counted(self.shared.verify(raw));
        let entry = verified.map_err(|_| CloseReason::ProtocolViolation)?;
        let version = entry.update_version();
        // Between its offer and this the peer may have changed its entry.
        let is_offered = version == offer.version && *entry.digest().as_bytes() == offer.digest;
        if entry.id() != peer || !(is_offered || version > offer.version) {
            self.shared.refusals().count(Refusal::Forged);
            return Err(CloseReason::ProtocolViolation);
        }
        if let Err(refusal) = self.shared.meet(entry) {
            tracing::debug!(%peer, %refusal, "the entry of a peer was refused");
        }
        Ok(())
    }
}

fn encode<T: Serialize>(section: &T) -> Bytes {
    postcard::to_stdvec(section).expect("writing plain data to memory cannot fail").into()
}

pub(super) fn decode<T: DeserializeOwned>(section: &[u8]) -> Result<T, CloseReason> {
    // Fields beyond those known are those of a later version.
    schema::decode_prefix(section).map_err(|_| CloseReason::ProtocolViolation)
}

/// What a peer shows as a record of a newer run; to be verified.
pub(super) fn newer_run(proof: &[u8]) -> Option<SyncItem> {
    schema::decode_prefix(proof).ok()
}

/// With and without a known version of the other's entry.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn samples() -> Vec<Offer> {
    let version = PeerEntryVersion::new(1, 2);
    let offer = |known, held: &[UniqueId]| {
        let held = held.iter().copied().collect();
        Offer { version, digest: [9; 32], known, held }
    };
    vec![offer(None, &[]), offer(Some(version), &[1_u8, 2].map(UniqueId::from_u8))]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use iroh::SecretKey;

    use super::*;
    use crate::{
        clock::Clock,
        discovery::{beat::Raw, catalog::Merged, config::Config, entry::PeerEntry, gate::Gate},
        id::Tag,
        ticket::{Expiration, Verdict},
    };

    fn hello(node: &Arc<Shared>) -> HelloSections {
        HelloSections::new(node.clone())
    }

    fn node(seed: u8, network: &str) -> Arc<Shared> {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let clock = Clock::system();
        let start = crate::discovery::version::micros(clock.now());
        let address = key.public().into();
        let shared =
            Shared::new(network.into(), key, clock, &Config::default(), start, address, |_| {});
        Arc::new(shared.unwrap())
    }

    /// Both sides of the sections; what each side says of the other.
    fn meet(a: &Arc<Shared>, b: &Arc<Shared>) -> [Result<(), CloseReason>; 2] {
        let offers = [hello(a).offer(&b.me()), hello(b).offer(&a.me())];
        let bodies_a = hello(a).bodies(&offers[1]).unwrap();
        let bodies_b = hello(b).bodies(&offers[0]).unwrap();
        assert!(offers[0].len() <= 1024);
        [
            hello(a).admit(&b.me(), &offers[1], &bodies_b),
            hello(b).admit(&a.me(), &offers[0], &bodies_a),
        ]
    }

    #[tokio::test]
    async fn two_nodes_that_meet_know_each_other() {
        let (a, b) = (node(1, "net"), node(2, "net"));
        assert_eq!(meet(&a, &b), [Ok(()), Ok(())]);
        assert!(a.catalog().get(&b.me()).is_some() && b.catalog().get(&a.me()).is_some());
        // The second time, nothing needs to be told.
        let again = hello(&b).offer(&a.me());
        let nothing = hello(&a).bodies(&again).unwrap();
        assert_eq!(nothing.len(), 2);
        a.edit(|entry| entry.add_tags("new")).unwrap();
        assert_eq!(meet(&a, &b), [Ok(()), Ok(())]);
        assert_eq!(b.catalog().get(&a.me()).unwrap().tags().len(), 1);
    }

    #[tokio::test]
    async fn a_peer_that_shows_the_entry_of_another_is_turned_away() {
        let (a, b, c) = (node(1, "net"), node(2, "net"), node(3, "net"));
        let offer_of_c = hello(&c).offer(&a.me());
        let bodies_of_c = hello(&c).bodies(&hello(&a).offer(&c.me())).unwrap();
        let refused = hello(&a).admit(&b.me(), &offer_of_c, &bodies_of_c);
        assert_eq!(refused, Err(CloseReason::ProtocolViolation));
        assert_eq!(a.refusals().of(Refusal::Forged), 1);
        assert_eq!(a.catalog().peers_count(), 0);
    }

    #[tokio::test]
    async fn garbage_is_turned_away_and_missing_bodies_are_not() {
        let (a, b) = (node(1, "net"), node(2, "net"));
        let offer_of_b = hello(&b).offer(&a.me());
        assert_eq!(hello(&a).admit(&b.me(), &offer_of_b, &[]), Ok(()));
        assert!(hello(&a).admit(&b.me(), &offer_of_b, b"\x01garbage").is_err());
        assert!(hello(&a).admit(&b.me(), b"", &[]).is_err());
        // What a later version appends is passed over.
        let longer = [&offer_of_b, &b"more"[..]].concat();
        assert_eq!(hello(&a).admit(&b.me(), &longer, &[]), Ok(()));
        assert!(hello(&a).bodies(b"garbage").is_err());
    }

    /// A gate that lets in whoever shows this ticket.
    struct Only(Ticket);

    impl Gate for Only {
        fn judge(&self, peer: &PeerEntry, _: DateTime<Utc>) -> Verdict {
            if peer.tickets().contains_key(&self.0.id()) {
                Verdict::Valid(Expiration::Never)
            } else if self.lacks_tickets(peer) {
                Verdict::Pending
            } else {
                Verdict::Invalid
            }
        }

        fn lacks_tickets(&self, peer: &PeerEntry) -> bool {
            peer.lacks_tickets_of(self.0.class)
        }
    }

    fn ticket(data: &'static [u8]) -> Ticket {
        Ticket::new("class".into(), Bytes::from_static(data))
    }

    fn gated(seed: u8) -> Arc<Shared> {
        let shared = Arc::into_inner(node(seed, "net")).unwrap();
        Arc::new(shared.with_gate(Some(Box::new(Only(ticket(b"good"))))))
    }

    #[tokio::test]
    async fn tickets_come_with_the_hello_and_only_those_that_are_lacking() {
        let (a, b) = (node(1, "net"), node(2, "net"));
        b.edit(|entry| entry.add_ticket(ticket(b"one"))).unwrap();
        assert_eq!(meet(&a, &b), [Ok(()), Ok(())]);
        let seen = |node: &Arc<Shared>| node.catalog().get(&b.me()).unwrap().tickets().len();
        assert_eq!(seen(&a), 1);
        b.edit(|entry| entry.add_ticket(ticket(b"two"))).unwrap();
        let bodies = hello(&b).bodies(&hello(&a).offer(&b.me())).unwrap();
        let bodies: Bodies = decode(&bodies).unwrap();
        assert_eq!(bodies.tickets, [ticket(b"two")]);
        assert_eq!(meet(&a, &b), [Ok(()), Ok(())]);
        assert_eq!(seen(&a), 2);
    }

    #[tokio::test]
    async fn forged_tickets_are_counted_and_not_taken_in() {
        let (a, b) = (gated(1), node(2, "net"));
        b.edit(|entry| entry.add_ticket(ticket(b"bad"))).unwrap();
        let offer = hello(&b).offer(&a.me());
        let entry = Some(b.local().to_raw());
        let forged = encode(&Bodies { entry, tickets: vec![ticket(b"good")] });
        let refused = hello(&a).admit(&b.me(), &offer, &forged);
        assert_eq!(refused, Err(CloseReason::TicketsPending), "the real one did not come");
        assert_eq!(a.refusals().of(Refusal::Forged), 1);
        assert_eq!(a.catalog().peers_count(), 0);
        // Alone, for an entry that is known.
        let forged = encode(&Bodies { entry: None, tickets: vec![ticket(b"good")] });
        assert!(hello(&a).admit(&b.me(), &offer, &forged).is_err());
        assert_eq!(a.refusals().of(Refusal::Forged), 2);
    }

    #[tokio::test]
    async fn a_gate_lets_in_those_that_pass_and_shows_nobody_else() {
        let (a, b) = (gated(1), node(2, "net"));
        assert_eq!(meet(&a, &b), [Err(CloseReason::NoTicket), Ok(())]);
        assert_eq!(a.catalog().peers_count(), 0);
        b.edit(|entry| entry.add_ticket(ticket(b"good"))).unwrap();
        // Its entry comes by another way, without the ticket: that is wanted.
        assert!(a.take(SyncItem::Entry(b.local().to_raw())).is_ok());
        assert_eq!(a.admits(&b.me()), Err(Denial::Pending));
        assert!(a.take_wanted().tickets.contains(&b.me()));
        let offer = hello(&b).offer(&a.me());
        assert_eq!(hello(&a).admit(&b.me(), &offer, &[]), Err(CloseReason::TicketsPending));
        assert_eq!(meet(&a, &b), [Ok(()), Ok(())]);
        assert_eq!(a.catalog().peers_count(), 1);
        b.edit(|entry| entry.remove_tickets_of(ticket(b"").class)).unwrap();
        assert!(a.take(SyncItem::Entry(b.local().to_raw())).is_ok());
        assert_eq!((a.admits(&b.me()), a.catalog().peers_count()), (Err(Denial::Invalid), 0));
    }

    /// A node whose entry takes about so many times 32 bytes.
    fn large(seed: u8, tags: u64) -> Arc<Shared> {
        let node = node(seed, "net");
        node.edit(|entry| entry.add_tags((0..tags).map(Tag::from_u64).collect::<Vec<_>>()))
            .unwrap();
        node
    }

    #[tokio::test]
    async fn strangers_without_a_ticket_do_not_take_the_room_of_members() {
        let a = gated(1);
        a.change(|state, _| state.set_max_bytes(8 * 1024));
        let strangers = |seeds: std::ops::Range<u8>, tags| {
            for seed in seeds {
                assert!(meet(&a, &large(seed, tags))[0].is_err());
            }
        };
        // Both those that take much and those that take little.
        strangers(100..120, 60);
        strangers(120..160, 0);
        assert_eq!(a.catalog().peers_count(), 0);
        for seed in 10..13 {
            let member = large(seed, 30);
            member.edit(|entry| entry.add_ticket(ticket(b"good"))).unwrap();
            assert_eq!(meet(&a, &member), [Ok(()), Ok(())]);
        }
        strangers(160..200, 0);
        strangers(200..220, 60);
        assert_eq!(a.catalog().peers_count(), 3);
        // Of whom others tell: the ticket comes by itself.
        let member = large(13, 30);
        member.edit(|entry| entry.add_ticket(ticket(b"good"))).unwrap();
        assert!(a.take(SyncItem::Entry(member.local().to_raw_with_tickets())).is_ok());
        assert_eq!(a.catalog().peers_count(), 4);
    }

    #[tokio::test]
    async fn who_shows_itself_finds_room_in_a_catalog_full_of_those_that_were_only_heard_of() {
        let (a, newcomer) = (node(1, "net"), large(2, 30));
        a.change(|state, _| state.set_max_bytes(8 * 1024));
        let hear = |seed, tags| a.take(SyncItem::Entry(large(seed, tags).local().to_raw()));
        let heard: Vec<_> = (10..30).map(|seed| hear(seed, 30)).collect();
        assert!(heard[0].is_ok());
        assert_eq!(heard.last(), Some(&Err(Refusal::Full)));
        assert_eq!(meet(&a, &newcomer)[0], Ok(()));
        assert!(a.catalog().get(&newcomer.me()).is_some());
        // However little others take, they do not push it out.
        for seed in 30..200 {
            let _ = hear(seed, 0);
        }
        assert!(a.catalog().get(&newcomer.me()).is_some());
        // Once it is not connected any more, it is one of many.
        a.change(|state, _| state.set_met(&newcomer.me(), false));
        for seed in 200..220 {
            let _ = hear(seed, 0);
        }
        assert!(a.catalog().get(&newcomer.me()).is_none());
    }

    #[tokio::test]
    async fn an_entry_that_changed_during_the_hello_is_taken_in() {
        let (a, b) = (node(1, "net"), node(2, "net"));
        let offer = hello(&b).offer(&a.me());
        b.edit(|entry| entry.add_tags("new")).unwrap();
        let bodies = hello(&b).bodies(&hello(&a).offer(&b.me())).unwrap();
        assert_eq!(hello(&a).admit(&b.me(), &offer, &bodies), Ok(()));
        assert_eq!(a.catalog().get(&b.me()).unwrap().tags().len(), 1);
    }

    #[tokio::test]
    async fn what_is_known_is_passed_on_once() {
        let (a, b) = (node(1, "net"), node(2, "net"));
        // Known from the hello, but nobody was told yet.
        assert_eq!(meet(&a, &b), [Ok(()), Ok(())]);
        let entry = a.catalog().get_signed(&b.me()).unwrap().clone();
        let announced = || SyncItem::Entry(b.local().to_raw());
        let with_beat = announced();
        assert!(a.take_announced(with_beat.clone()).is_ok());
        assert_eq!(a.take_announced(with_beat), Err(Refusal::Stale));
        // The same without its beat is another message that tells nothing new.
        let bare = SyncItem::Entry(entry.with_beat(None).to_raw());
        assert_eq!(a.take_announced(bare), Err(Refusal::Stale));
        assert_eq!(a.refusals().of(Refusal::Stale), 2);
        b.edit(|entry| entry.add_tags("new")).unwrap();
        assert_eq!(a.take_announced(announced()), Ok(Merged::New));
        let departure = SyncItem::Departure(Raw::from(b.departure()));
        assert_eq!(a.take_announced(departure.clone()), Ok(Merged::New));
        assert_eq!(a.take_announced(departure), Err(Refusal::Stale));
    }

    #[tokio::test]
    async fn an_announcement_with_bodies_of_tickets_is_not_passed_on() {
        let (a, b) = (node(1, "net"), node(2, "net"));
        b.edit(|entry| entry.add_ticket(ticket(b"good"))).unwrap();
        for junk in [ticket(b"good"), ticket(b"junk")] {
            let mut raw = b.local().to_raw();
            raw.set_tickets(vec![junk]);
            assert_eq!(a.take_announced(SyncItem::Entry(raw)), Err(Refusal::Malformed));
        }
        assert_eq!(a.catalog().peers_count(), 0);
        assert_eq!(a.take_announced(SyncItem::Entry(b.local().to_raw())), Ok(Merged::New));
    }

    #[tokio::test]
    async fn a_peer_that_announces_too_often_is_not_passed_on_and_others_are() {
        let (a, b, c) = (node(1, "net"), node(2, "net"), node(3, "net"));
        let announce = |node: &Shared| {
            node.edit(|entry| entry).unwrap();
            let version = node.local().update_version();
            let mut raw = node.local().to_raw();
            raw.set_tickets(Vec::new());
            (a.take_announced(SyncItem::Entry(raw)), version)
        };
        let outcomes: Vec<_> = (0..200).map(|_| announce(&b)).collect();
        let news = outcomes.iter().filter(|(outcome, _)| *outcome == Ok(Merged::New)).count();
        assert!((30..100).contains(&news), "{news}");
        assert_eq!(outcomes[199].0, Err(Refusal::Flooded));
        assert_eq!(a.refusals().of(Refusal::Flooded), 200 - news as u64);
        assert_eq!(announce(&c).0, Ok(Merged::New));
        // By other ways its newest entry is taken all the same.
        assert!(a.take(SyncItem::Entry(b.local().to_raw())).is_ok());
        let known = a.catalog().get(&b.me()).unwrap().update_version();
        assert_eq!(known, outcomes[199].1);
    }

    #[tokio::test]
    async fn an_edit_is_visible_at_once_and_counts_the_version_up() {
        let a = node(1, "net");
        let before = a.catalog().local().update_version();
        a.edit(|entry| entry).unwrap();
        assert!(a.catalog().local().update_version() > before);
        a.edit(|entry| entry.add_streams("s")).unwrap();
        assert_eq!(a.catalog().local().streams().len(), 1);
        let beat_time = a.local().beat().map(|beat| beat.time());
        assert!(beat_time.is_some());
        tokio::time::timeout(Duration::from_secs(1), a.edited.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn feeding_tells_whether_it_brought_anything_and_makes_no_event() {
        let (a, b, foreign) = (node(1, "net"), node(2, "net"), node(3, "other"));
        let mut events = a.events();
        let mut catalog = a.catalog_watch();
        catalog.borrow_and_update();
        assert!(a.feed(b.local()));
        assert!(catalog.has_changed().unwrap());
        assert!(!a.feed(b.local()));
        assert!(!a.feed(foreign.local()));
        assert!(!a.feed(a.local()));
        assert!(events.try_recv().is_err());
        assert_eq!(a.refusals().of(Refusal::Foreign), 1);
    }
}
