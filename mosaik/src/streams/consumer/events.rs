//! What a consumer tells about its channels, beside the datums.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::broadcast;

use crate::{id::PeerId, streams::SubscribeError};

/// Events that a listener may be behind; then it is told how many it has missed.
const BACKLOG: usize = 256;

/// Something has happened to one of a consumer's channels, see
/// [`Consumer::events`](super::Consumer::events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Data flow from this producer.
    Connected {
        /// The sending end.
        producer: PeerId,
    },
    /// No data flow from this producer any more. What has arrived can still be received; the
    /// consumer tries to get back as the error says.
    Disconnected {
        /// The sending end.
        producer: PeerId,
        /// Why.
        error: SubscribeError,
    },
    /// Datums of a producer are missing. It is told when everything that came before them was
    /// received, and before anything that came after them is.
    Gap(Gap),
}

/// Datums that a producer sent and that this consumer does not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Who sent them.
    pub producer: PeerId,
    /// How many there are; `None` if that cannot be known, since the producer has been started
    /// anew: all that it had sent has been received, or not.
    pub missed: Option<u64>,
}

/// A datum, with what is known about its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Delivery<D> {
    /// What was sent.
    pub datum: D,
    /// Who sent it.
    pub producer: PeerId,
    /// It was given to another member of the share group before, which may have worked on it.
    pub redelivered: bool,
}

/// Publishes events and counts what is missing.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Made for the first listener: its backlog takes more memory than all the rest of a consumer.
    sender: OnceLock<broadcast::Sender<Event>>,
    missed: AtomicU64,
}

impl Events {
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.get_or_init(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(super) fn tell(&self, event: Event) {
        if let Some(sender) = self.sender.get() {
            // Nobody listening any more is fine.
            let _ = sender.send(event);
        }
    }

    pub(super) fn gap(&self, producer: PeerId, missed: Option<u64>) {
        let sum = |before: u64| Some(before.saturating_add(missed.unwrap_or_default()));
        // The closure always gives a value.
        let _ = self.missed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
        tracing::debug!(%producer, ?missed, "datums are missing");
        self.tell(Event::Gap(Gap { producer, missed }));
    }
}
