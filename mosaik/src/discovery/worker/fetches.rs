//! Getting the entries of which only a sign of life has come: large ones are not gossiped.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Command, Worker};
use crate::{
    discovery::{
        ask::{Question, ask},
        reach::Reach,
    },
    id::PeerId,
};

/// How soon an entry is asked for that a beat told of; one that is under way comes sooner.
const DELAY: Duration = Duration::from_millis(200);
/// How often a neighbour is asked that does not have it yet itself; each pause is twice as long.
const ATTEMPTS: u32 = 4;
/// Entries that are fetched at once; beyond that, catalogs are compared as a whole.
const MAX_AT_ONCE: usize = 16;

/// The peers whose entries are being fetched.
#[derive(Debug, Default)]
pub(super) struct Fetches(HashSet<PeerId>);

impl Worker {
    /// A neighbour told of an entry that is not here.
    pub(super) fn fetch(&mut self, peer: PeerId, from: PeerId) {
        if self.fetches.0.contains(&peer) {
            return;
        }
        // A newcomer lacks most: it learns all at once.
        if !self.shared.is_established() || self.fetches.0.len() >= MAX_AT_ONCE {
            return self.syncs.want(from, Instant::now() + DELAY);
        }
        self.fetches.0.insert(peer);
        let reach = self.reach.clone();
        self.tasks.spawn("discovery.fetch", async move {
            let fetched = fetch(&reach, peer, from).await;
            // When the worker is gone, the node is shutting down.
            let _ = reach.commands.send(Command::Fetched { peer, from, fetched }).await;
        });
    }

    pub(super) fn fetched(&mut self, peer: PeerId, from: PeerId, fetched: bool) {
        self.fetches.0.remove(&peer);
        if !fetched {
            self.syncs.want(from, Instant::now());
        }
    }
}

/// Asks a neighbour until the entry that belongs to the peer's last sign of life is here.
async fn fetch(reach: &Reach, peer: PeerId, from: PeerId) -> bool {
    let shared = reach.shared();
    let mut pause = DELAY;
    for _ in 0..ATTEMPTS {
        sleep(pause).await;
        pause *= 2;
        if !shared.read(|state| state.is_missing(&peer)) {
            return true;
        }
        let Some(link) = reach.transport.link(&from) else { return false };
        match ask(shared, &link, &Question::Fetch(peer)).await {
            Ok((answer, _)) => {
                shared.take_fetched(answer);
            }
            Err(error) => {
                tracing::debug!(%peer, %from, %error, "an entry was not fetched");
                return false;
            }
        }
        if !shared.read(|state| state.is_missing(&peer)) {
            return true;
        }
    }
    false
}
