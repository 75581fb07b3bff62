//! Nodes of the same user on the same machine: found through a directory, offline, at once.

use std::{collections::VecDeque, future::pending, io, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use rand::{rngs::StdRng, seq::SliceRandom};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{LocalDirectory, Reach, Source, directory::peer_of_entry};
use crate::{discovery::entry::SignedPeerEntry, id::PeerId, random::Random};

const NAME: &str = "discovery.local";
/// How often the directory is read when its changes cannot be watched.
const POLL: Duration = Duration::from_millis(500);
/// How often it is read all the same when they can: a dead node leaves no event.
const RESCAN: Duration = Duration::from_secs(30);
/// How long a node that has just come is left to dial us before we dial it.
const NEWCOMER: Duration = Duration::from_millis(200);
/// Changes that may wait; beyond that, the next pass over the directory finds them.
const BACKLOG: usize = 1024;

/// Watches the directory for other nodes, and keeps this node's entry in it current.
pub(in crate::discovery) struct LocalSource {
    directory: Arc<LocalDirectory>,
    rng: StdRng,
}

impl LocalSource {
    pub(in crate::discovery) fn new(directory: Arc<LocalDirectory>, random: &Random) -> Self {
        Self { directory, rng: random.fork() }
    }
}

impl Source for LocalSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(self: Box<Self>, reach: Reach) -> BoxFuture<'static, ()> {
        Box::pin(run(self.directory, self.rng, reach))
    }
}

async fn run(directory: Arc<LocalDirectory>, mut rng: StdRng, reach: Reach) {
    let (sender, mut changed) = mpsc::channel(BACKLOG);
    // The watcher is in place before the first pass, so that nobody slips through between.
    let watcher = watch(&directory, sender);
    let mut passes = interval(if watcher.is_some() { RESCAN } else { POLL });
    passes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut catalog = reach.shared().catalog_watch();
    let mut newcomers: VecDeque<(Instant, PeerId)> = VecDeque::new();
    let mut published = reach.shared().catalog().local().address().clone();
    loop {
        tokio::select! {
            _ = passes.tick() => match entries(&directory, &reach).await {
                Ok(mut entries) => {
                    // Nodes that start together should not all dial the same one.
                    entries.shuffle(&mut rng);
                    for entry in entries {
                        tell(&reach, &entry).await;
                    }
                }
                Err(error) => tracing::debug!(%error, "the local directory was not read"),
            },
            Some(peer) = changed.recv(), if newcomers.len() < BACKLOG => {
                newcomers.push_back((Instant::now() + NEWCOMER, peer));
            }
            peer = next_due(&mut newcomers) => {
                if let Some(entry) = reach.book.local_entry_of(peer).await {
                    tell(&reach, &entry).await;
                }
            }
            Ok(()) = catalog.changed() => {
                let local = catalog.borrow_and_update().local().clone();
                if *local.address() != published {
                    published = local.address().clone();
                    let directory = directory.clone();
                    let write = move || publish(&directory, &local);
                    reach.book.tasks.blocking("discovery.local.write", write).await;
                }
            }
        }
    }
}

/// The entries of all living nodes, read on a thread that may block.
async fn entries(
    directory: &Arc<LocalDirectory>,
    reach: &Reach,
) -> io::Result<Vec<SignedPeerEntry>> {
    let (directory, shared) = (directory.clone(), reach.shared().clone());
    let read = move || directory.entries(&shared);
    let entries = reach.book.tasks.blocking("discovery.local.read", read).await;
    entries.unwrap_or_else(|| Ok(Vec::new()))
}

/// Waits for the first newcomer's time to come. Cancel safe.
async fn next_due(newcomers: &mut VecDeque<(Instant, PeerId)>) -> PeerId {
    match newcomers.front() {
        None => pending().await,
        Some((at, peer)) => {
            let peer = *peer;
            sleep_until(*at).await;
            newcomers.pop_front();
            peer
        }
    }
}

/// Writes the entry; a node that cannot is still found by other ways.
pub(in crate::discovery) fn publish(directory: &LocalDirectory, entry: &SignedPeerEntry) {
    if let Err(error) = directory.publish(entry) {
        tracing::warn!(%error, path = %directory.path().display(), "cannot write the local entry");
    }
}

async fn tell(reach: &Reach, entry: &SignedPeerEntry) {
    reach.found(NAME, entry.address().clone()).await;
}

/// Tells of entries that are written from now on; `None` if the system cannot.
fn watch(directory: &LocalDirectory, changed: mpsc::Sender<PeerId>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_)) {
            return;
        }
        let names = event.paths.iter().filter_map(|path| path.file_name()?.to_str());
        for peer in names.filter_map(peer_of_entry) {
            // Full: the next pass finds it.
            let _ = changed.try_send(peer);
        }
    };
    let watching = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(directory.path(), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching.inspect_err(|error| tracing::debug!(%error, "the local directory is polled")).ok()
}
