//! What can be done to the simulated network while nodes run on it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::{Instant, sleep};

use super::{
    connection::Shared,
    net::SimNet,
    path::{Change, Path},
    quality::LinkQuality,
    traffic::Event,
};
use crate::id::PeerId;

impl SimNet {
    /// Cuts every link between nodes of different groups, both ways; a node in no group keeps all
    /// of its links.
    pub(crate) fn partition(&self, groups: &[Vec<PeerId>]) {
        for (i, group) in groups.iter().enumerate() {
            for a in group {
                for b in groups[i + 1..].iter().flatten() {
                    self.cut(*a, *b);
                    self.cut(*b, *a);
                }
            }
        }
    }

    /// Nothing gets from one node to the other any more; the way back stays as it is.
    pub(crate) fn cut(&self, from: PeerId, to: PeerId) {
        self.change(from, to, |path, now| path.set_cut(true, now));
    }

    /// Undoes [`SimNet::cut`].
    pub(crate) fn mend(&self, from: PeerId, to: PeerId) {
        self.change(from, to, |path, now| path.set_cut(false, now));
    }

    /// Undoes every cut; how good the links are stays as it is.
    pub(crate) fn heal(&self) {
        for (from, to) in self.known_paths() {
            self.mend(from, to);
        }
    }

    /// Sets how good the link is from one node to the other.
    pub(crate) fn set_link(&self, from: PeerId, to: PeerId, quality: &LinkQuality) {
        self.change(from, to, |path, now| path.set_quality(quality.clone(), now));
    }

    /// Sets how good all links are, those to come as well.
    pub(crate) fn set_links(&self, quality: &LinkQuality) {
        self.lock().quality = quality.clone();
        for (from, to) in self.known_paths() {
            self.set_link(from, to, quality);
        }
    }

    /// How good the link is from one node to the other.
    pub(crate) fn link(&self, from: PeerId, to: PeerId) -> LinkQuality {
        with(&self.path(from, to), |path| path.quality().clone())
    }

    /// A node falls silent: it says goodbye to nobody, and its connections time out at the peers.
    pub(crate) fn crash(&self, id: PeerId) {
        if self.remove(&id, |_| true) {
            self.record(&id, &id, Event::Crashed);
        }
        let connections = self.lock().connections();
        for connection in connections {
            if let Some(side) = connection.side_of(id) {
                connection.die(side);
                self.lapse_later(connection, 1 - side);
            }
        }
    }

    fn known_paths(&self) -> BTreeSet<(PeerId, PeerId)> {
        self.lock().paths.keys().copied().collect()
    }

    fn change(&self, from: PeerId, to: PeerId, set: impl FnOnce(&mut Path, Instant) -> Change) {
        let path = self.path(from, to);
        let change = with(&path, |path| set(path, Instant::now()));
        if change == Change::None {
            return;
        }
        let connections = self.lock().connections();
        for connection in connections {
            let Some(side) = connection.side_of(to) else { continue };
            if connection.side_of(from) != Some(1 - side) {
                continue;
            }
            match change {
                Change::Died(since) => self.await_word(connection, side, path.clone(), since),
                Change::Revived { since, again } => connection.delay(1 - side, since, again),
                Change::None => {}
            }
        }
    }

    /// The end of a connection that hears nothing any more times out, unless the path works again
    /// before.
    pub(super) fn await_word(
        &self,
        connection: Arc<Shared>,
        side: usize,
        path: Arc<Mutex<Path>>,
        since: Instant,
    ) {
        let net = self.clone();
        self.tasks().spawn("sim.silence", async move {
            sleep(net.config().idle_timeout).await;
            if with(&path, |path| path.dead_since() == Some(since)) && connection.lapse(side) {
                // From now on it says nothing: the other end hears nothing either.
                net.lapse_later(connection, 1 - side);
            }
        });
    }

    /// An end times out whose far end is silent from now on.
    fn lapse_later(&self, connection: Arc<Shared>, side: usize) {
        if connection.is_closed(side) {
            return;
        }
        let idle = self.config().idle_timeout;
        self.tasks().spawn("sim.lapse", async move {
            sleep(idle).await;
            connection.lapse(side);
        });
    }
}

pub(super) fn with<T>(path: &Mutex<Path>, f: impl FnOnce(&mut Path) -> T) -> T {
    f(&mut path.lock().unwrap_or_else(PoisonError::into_inner))
}
