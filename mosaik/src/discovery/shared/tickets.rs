//! The part of tickets in what is shared: who is let in, and what is to be fetched for that.

use std::{collections::BTreeSet, sync::PoisonError};

use super::{Events, Shared};
use crate::{
    discovery::{
        catalog::Claim, entry::SignedPeerEntry, gate::Gate, refusal::Refusal,
        version::PeerEntryVersion,
    },
    id::{PeerId, UniqueId},
    ticket::{Denial, Ticket},
};

/// What is to be fetched from peers themselves.
#[derive(Debug, Default)]
pub(in crate::discovery) struct Wanted {
    /// Peers that say that there is a newer version of their entries.
    pub(in crate::discovery) entries: BTreeSet<PeerId>,
    /// Peers whose tickets somebody reads and that are not here.
    pub(in crate::discovery) tickets: BTreeSet<PeerId>,
}

impl Shared {
    /// Lets in only peers that pass this gate, if there is one.
    pub(in crate::discovery) fn with_gate(mut self, gate: Option<Box<dyn Gate>>) -> Self {
        let guarded = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        guarded.state.set_gated(gate.is_some());
        Self { gate, ..self }
    }

    /// Puts a peer to the gate; without the lock, since validators are users' code.
    pub(super) fn judge(&self, peer: &PeerId, events: Events) {
        let Some(gate) = &self.gate else { return };
        let Some(entry) = self.read(|state| state.record(peer)) else { return };
        let now = self.date();
        let verdict = gate.judge(&entry, now);
        self.change_and(events, |state, effects| state.judged(&entry, verdict, now, effects));
        if gate.lacks_tickets(&entry) {
            self.want_tickets(*peer);
        }
    }

    /// Whether the gate lets a peer in now.
    pub(in crate::discovery) fn admits(&self, peer: &PeerId) -> Result<(), Denial> {
        let now = self.date();
        self.read(|state| state.admits(peer, now))
    }

    /// Has the tickets of a peer fetched that are not here.
    pub(in crate::discovery) fn want_tickets(&self, peer: PeerId) {
        self.lock().wanted.tickets.insert(peer);
        self.wanted.notify_one();
    }

    /// A peer says that it has an entry of this version now, with other tickets.
    pub(in crate::discovery) fn want_newer(&self, peer: PeerId, version: PeerEntryVersion) {
        let known = self.read(|state| state.record(&peer).map(|entry| entry.update_version()));
        if known < Some(version) {
            self.lock().wanted.entries.insert(peer);
            self.wanted.notify_one();
        }
    }

    /// What is wanted since this was last asked.
    pub(in crate::discovery) fn take_wanted(&self) -> Wanted {
        std::mem::take(&mut self.lock().wanted)
    }

    /// The ids of a peer's tickets that are not here.
    pub(in crate::discovery) fn lacking_tickets(&self, peer: &PeerId) -> BTreeSet<UniqueId> {
        let entry = self.read(|state| state.record(peer));
        entry.iter().flat_map(|entry| entry.lacking_tickets()).collect()
    }

    /// Takes in tickets that a peer has sent beside its entry; those that the entry does not name
    /// are counted as forged.
    pub(in crate::discovery) fn attach_tickets(&self, peer: &PeerId, tickets: Vec<Ticket>) {
        let attach = |is_let_in, tickets| {
            // Only the peer itself is asked for the bodies of its tickets.
            let claim = Claim { is_met: true, is_let_in };
            self.change(|state, effects| state.attach_tickets(claim, peer, tickets, effects))
        };
        let mut attached = attach(false, tickets.clone());
        if attached == Err(Refusal::Full)
            && let Some(mut entry) = self.read(|state| state.record(peer))
        {
            entry.attach_tickets(tickets.clone());
            if self.would_let_in(&entry) {
                attached = attach(true, tickets);
            }
        }
        let _ = self.counted(attached);
    }

    /// What the gate would say of an entry that there is no room for: who is let in has more of a
    /// claim than all who are not.
    pub(super) fn would_let_in(&self, entry: &SignedPeerEntry) -> bool {
        let Some(gate) = &self.gate else { return false };
        let mut entry = entry.clone();
        if let Some(known) = self.read(|state| state.record(entry.id())) {
            entry.attach_tickets(known.tickets().values().cloned());
        }
        let now = self.date();
        gate.judge(&entry, now).renew(None, now).is_ok()
    }
}
