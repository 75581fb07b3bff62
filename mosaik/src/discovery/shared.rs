//! What the handle, the worker, hellos and syncs share: the catalog behind a lock that is held
//! for a few lines, and the channels through which its changes are told.

mod tickets;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use iroh::{EndpointAddr, SecretKey};
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(super) use tickets::Wanted;

use super::{
    beat::{Beat, Departure},
    catalog::{
        Catalog, Change, Claim, Effects, Input, Merged, PeerDeltas, PeerIndex, Rules, State,
        SyncItem,
    },
    config::Config,
    derived::NetworkTag,
    description::{Description, Descriptions},
    entry::{PeerEntry, RawEntry, SignedPeerEntry},
    error::Error,
    event::Event,
    gate::Gate,
    meter::Counts,
    refusal::{Refusal, Refusals},
    skew::{ClockSkew, Skews},
    version::{PeerEntryVersion, date, micros, span_micros},
};
use crate::{
    clock::Clock,
    id::{GroupId, NetworkId, PeerId, StreamId, UniqueId},
};

/// The node's own beat is signed anew when it is asked for and older than this, or than half the
/// interval of announcements if that is shorter.
const BEAT_AGE_MAX: Duration = Duration::from_secs(1);

/// What the worker is to see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// A peer started (again), and when it did; or somebody else with this node's own key.
    NewStart(PeerId, u64),
    /// The clocks of a peer and of this node differ too much; the peer may not know it yet.
    Skew(ClockSkew),
}

type OnNotice = dyn Fn(Notice) + Send + Sync;

/// Whether those who listen hear of a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Events {
    Told,
    Untold,
}

pub(super) struct Shared {
    key: SecretKey,
    tag: NetworkTag,
    network_id: NetworkId,
    clock: Clock,
    max_time_drift: u64,
    state: Mutex<Guarded>,
    catalog: watch::Sender<Catalog>,
    events: broadcast::Sender<Event>,
    refusals: Arc<Refusals>,
    pub(super) counts: Counts,
    /// A sync has been completed since this node last was without neighbours: it knows what its
    /// part of the network knows.
    established: AtomicBool,
    /// Told when the own entry changed.
    pub(super) edited: Notify,
    /// Told when something of a peer is wanted.
    pub(super) wanted: Notify,
    gate: Option<Box<dyn Gate>>,
    on_notice: Box<OnNotice>,
    skews: Mutex<Skews>,
    skew: watch::Sender<Option<ClockSkew>>,
    /// Cancelled when a twin with a newer start makes this node stop.
    superseded: CancellationToken,
    descriptions: Descriptions,
}

struct Guarded {
    state: State,
    streams: PeerIndex,
    groups: PeerIndex,
    wanted: Wanted,
}

impl Shared {
    /// The node's state at its start; `on_notice` must not block.
    pub(super) fn new(
        network_id: NetworkId,
        key: SecretKey,
        clock: Clock,
        config: &Config,
        start: u64,
        address: EndpointAddr,
        on_notice: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let rules = Rules::new(network_id, config.purge_after, config.max_time_drift)
            .with_announce_interval(config.announce_interval)
            .with_max_rtt(config.max_rtt);
        let version = PeerEntryVersion::new(start, micros(clock.now()).max(start));
        let entry = PeerEntry::starting(network_id, address, version).add_tags(config.tags.clone());
        let tickets = config.tickets.iter().cloned();
        let entry = tickets.fold(entry, PeerEntry::add_ticket).at_version(version);
        let tag = rules.tag;
        let state = State::new(rules, entry.sign(&key)?);
        Ok(Self {
            key,
            tag,
            network_id,
            clock,
            max_time_drift: span_micros(config.max_time_drift),
            catalog: watch::Sender::new(state.catalog()),
            state: Mutex::new(Guarded {
                state,
                streams: PeerIndex::of_streams(),
                groups: PeerIndex::of_groups(),
                wanted: Wanted::default(),
            }),
            events: broadcast::Sender::new(config.events_backlog),
            refusals: Arc::default(),
            counts: Counts::default(),
            established: AtomicBool::new(false),
            edited: Notify::new(),
            wanted: Notify::new(),
            gate: None,
            on_notice: Box::new(on_notice),
            skews: Mutex::default(),
            skew: watch::Sender::new(None),
            superseded: CancellationToken::new(),
            descriptions: Descriptions::default(),
        })
    }

    pub(super) fn me(&self) -> PeerId {
        self.key.public()
    }

    pub(super) fn network_id(&self) -> &NetworkId {
        &self.network_id
    }

    pub(super) fn now(&self) -> u64 {
        micros(self.date())
    }

    pub(super) fn date(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    pub(super) fn catalog(&self) -> Catalog {
        self.catalog.borrow().clone()
    }

    pub(super) fn catalog_watch(&self) -> watch::Receiver<Catalog> {
        self.catalog.subscribe()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Looks at all that is known.
    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock().state)
    }

    /// Changes what is known and tells what followed from it, in order.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, &mut Effects) -> T) -> T {
        self.change_and(Events::Told, change)
    }

    fn change_and<T>(
        &self,
        events: Events,
        change: impl FnOnce(&mut State, &mut Effects) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let result = {
            let mut guard = self.lock();
            let result = change(&mut guard.state, &mut effects);
            for change in &effects.changes {
                guard.streams.apply(change);
                guard.groups.apply(change);
            }
            if !effects.changes.is_empty() {
                self.catalog.send_replace(guard.state.catalog());
            }
            if events == Events::Told {
                for event in &effects.events {
                    self.counts.told(event);
                    // Nobody listening is fine.
                    let _ = self.events.send(event.clone());
                }
            }
            result
        };
        for Change { peer, old, new, .. } in &effects.changes {
            let start = |entry: &Option<PeerEntry>| {
                entry.as_ref().map_or(0, |entry| entry.update_version().start())
            };
            if start(new) > start(old) {
                (self.on_notice)(Notice::NewStart(*peer, start(new)));
            }
        }
        if let Some(start) = effects.newer_self {
            (self.on_notice)(Notice::NewStart(self.me(), start));
        }
        effects.judge.iter().for_each(|peer| self.judge(peer, events));
        result
    }

    /// Takes in what was heard of a peer, once its signatures are verified; counts it if it is
    /// refused.
    pub(super) fn merge(&self, input: Input) -> Result<Merged, Refusal> {
        self.merge_with(Claim::default(), input)
    }

    /// As [`Shared::merge`], for what a peer has shown itself.
    pub(super) fn meet(&self, entry: SignedPeerEntry) -> Result<Merged, Refusal> {
        self.merge_with(Claim { is_met: true, is_let_in: false }, Input::Entry(entry))
    }

    fn merge_with(&self, claim: Claim, input: Input) -> Result<Merged, Refusal> {
        let now = self.now();
        let (peer, dated) = (*input.peer(), input.latest_date());
        let merge = |claim, input| {
            self.change(|state, effects| state.merge_with(claim, input, now, effects))
        };
        let entry = match &input {
            Input::Entry(entry) => self.gate.is_some().then(|| entry.clone()),
            Input::Beat(_) | Input::Departure(_) => None,
        };
        let mut merged = merge(claim, input);
        if merged == Err(Refusal::Full)
            && let Some(entry) = entry
            && self.would_let_in(&entry)
        {
            merged = merge(Claim { is_let_in: true, ..claim }, Input::Entry(entry));
        }
        if merged == Err(Refusal::Future) {
            self.notice_skew(ClockSkew { peer, ours: date(now), theirs: date(dated) });
        }
        self.counted(merged)
    }

    /// What a peer's clock showed when ours showed the other date: of no interest unless the two
    /// differ by more than is believed. Says whether they do.
    pub(super) fn compare_clocks(&self, skew: ClockSkew) -> bool {
        let difference = micros(skew.ours).abs_diff(micros(skew.theirs));
        let is_skewed = difference > self.max_time_drift;
        if is_skewed {
            self.notice_skew(skew);
        }
        is_skewed
    }

    fn notice_skew(&self, skew: ClockSkew) {
        let mut skews = self.skews.lock().unwrap_or_else(PoisonError::into_inner);
        if skews.is_news(&skew.peer, Instant::now()) {
            drop(skews);
            tracing::warn!("{skew}: set the clock that is wrong");
            self.skew.send_replace(Some(skew));
            (self.on_notice)(Notice::Skew(skew));
        }
    }

    pub(super) fn clock_skew(&self) -> watch::Receiver<Option<ClockSkew>> {
        self.skew.subscribe()
    }

    /// What an id stands for, if this node can say.
    pub(super) fn description(&self, id: &UniqueId) -> Option<Description> {
        self.descriptions.get(id)
    }

    pub(super) fn describe(&self, id: UniqueId, description: Description) {
        self.descriptions.insert(id, description);
    }

    pub(super) fn forget_description(&self, id: &UniqueId) {
        self.descriptions.remove(id);
    }

    /// The round-trip time to a peer, as it was measured last.
    pub(super) fn rtt(&self, peer: &PeerId) -> Option<Duration> {
        self.read(|state| state.rtt(peer))
    }

    /// The same as it was told last to those who use the peer.
    pub(super) fn told_rtt(&self, peer: &PeerId) -> Option<Duration> {
        self.read(|state| state.told_rtt(peer))
    }

    /// The round-trip time to a peer was measured; those who use it are told of a change.
    pub(super) fn sample_rtt(&self, peer: &PeerId, sample: Duration) {
        self.change(|state, effects| state.sample_rtt(peer, sample, effects));
    }

    /// Where the peers are that something on this node could use.
    pub(super) fn used_peers(&self) -> Vec<EndpointAddr> {
        // The members of a group are connected, and measured by that.
        let Guarded { state, streams, .. } = &*self.lock();
        state.used_peers(streams)
    }

    pub(super) fn followed_streams(&self) -> BTreeSet<StreamId> {
        self.lock().streams.followed()
    }

    pub(super) fn superseded(&self) -> &CancellationToken {
        &self.superseded
    }

    /// The node's own entry as that of a run that began at `start`.
    pub(super) fn renew(&self, start: u64) -> Result<(), Error> {
        self.edit_at(
            |version, now| PeerEntryVersion::new(start, version.next(now).update()),
            |entry| entry,
        )
    }

    /// As [`Shared::merge`], without an event; says whether it brought anything new.
    pub(super) fn feed(&self, entry: SignedPeerEntry) -> bool {
        if !entry.is_of(&self.tag) {
            return self.counted::<()>(Err(Refusal::Foreign)).is_ok();
        }
        let now = self.now();
        let version = entry.update_version();
        let peer = *entry.id();
        let known = |state: &State| state.record(&peer).map(|entry| entry.update_version());
        let (before, merged) = self.change_and(Events::Untold, |state, effects| {
            (known(state), state.merge(Input::Entry(entry), now, effects))
        });
        self.counted(merged).is_ok() && before != Some(version)
    }

    /// Verifies and takes in something from a sync or an announcement.
    pub(super) fn take(&self, item: SyncItem) -> Result<Merged, Refusal> {
        let input = match item {
            SyncItem::Entry(raw) => self.verify(raw).map(Input::Entry),
            SyncItem::Beat(raw) => raw.verify(&self.tag).map(Input::Beat),
            SyncItem::Departure(raw) => raw.verify(&self.tag).map(Input::Departure),
        };
        self.merge(self.counted(input)?)
    }

    /// As [`Shared::take`], for what is to be passed on: refused if the neighbours were told all
    /// of it before, if it is about a peer of which too much was passed on lately, and if there
    /// is more in it than its owner has signed.
    pub(super) fn take_announced(&self, item: SyncItem) -> Result<Merged, Refusal> {
        let peer = self.counted(self.inspect_announced(&item))?;
        let merged = self.take(item)?;
        let now = self.now();
        let is_news = self.change(|state, _| state.tell(&peer, now));
        self.counted(if is_news { Ok(merged) } else { Err(Refusal::Stale) })
    }

    /// Whom an announcement is about; before anything is verified.
    fn inspect_announced(&self, item: &SyncItem) -> Result<PeerId, Refusal> {
        // Nobody has signed the bodies of tickets: whoever adds some would have all pass them on.
        if matches!(item, SyncItem::Entry(raw) if raw.has_tickets()) {
            return Err(Refusal::Malformed);
        }
        let peer = item.peer().ok_or(Refusal::Malformed)?;
        let now = self.now();
        let may_tell = self.read(|state| state.may_tell(&peer, now));
        if may_tell { Ok(peer) } else { Err(Refusal::Flooded) }
    }

    /// Verifies an entry; one that is known already costs no signature check.
    /// Bodies of tickets that it does not name are left out, and counted.
    pub(super) fn verify(&self, mut raw: RawEntry) -> Result<SignedPeerEntry, Refusal> {
        let tickets = raw.take_tickets();
        let mut entry = raw.verify(&self.tag, |peer| self.read(|state| state.record(peer)))?;
        if !entry.attach_tickets(tickets) {
            self.refusals.count(Refusal::Forged);
        }
        Ok(entry)
    }

    pub(super) fn counted<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(refusal) = &result {
            self.refusals.count(*refusal);
        }
        result
    }

    /// Changes and signs the node's own entry; visible in the catalog at return, then announced.
    pub(super) fn edit(&self, edit: impl FnOnce(PeerEntry) -> PeerEntry) -> Result<(), Error> {
        self.edit_at(PeerEntryVersion::next, edit)
    }

    fn edit_at(
        &self,
        next: impl FnOnce(PeerEntryVersion, u64) -> PeerEntryVersion,
        edit: impl FnOnce(PeerEntry) -> PeerEntry,
    ) -> Result<(), Error> {
        let now = self.now();
        self.change(|state, _| {
            let old = state.local().entry().clone();
            let version = next(old.update_version(), now);
            let local = edit(old).at_version(version).sign(&self.key)?;
            state.set_local(local);
            self.catalog.send_replace(state.catalog());
            Ok::<_, Error>(())
        })?;
        self.edited.notify_one();
        Ok(())
    }

    /// The node's own entry with a recent sign of life.
    pub(super) fn local(&self) -> SignedPeerEntry {
        let now = self.now();
        let mut guard = self.lock();
        let local = guard.state.local();
        let interval = guard.state.announce_interval();
        let age_max = span_micros(BEAT_AGE_MAX.min(interval / 2));
        let is_recent = |beat: &Beat| {
            beat.version() == local.update_version() && beat.time().saturating_add(age_max) > now
        };
        if local.beat().is_some_and(is_recent) {
            return local.clone();
        }
        let version = local.update_version();
        let beat = Beat::sign(&self.key, &self.tag, version, now, interval);
        let local = local.clone().with_beat(Some(beat));
        guard.state.set_local(local.clone());
        local
    }

    /// Whether this node knows what its part of the network knows: what it learns after that is
    /// news to its neighbours.
    pub(super) fn is_established(&self) -> bool {
        self.established.load(Ordering::Relaxed)
    }

    pub(super) fn set_established(&self, established: bool) {
        self.established.store(established, Ordering::Relaxed);
    }

    pub(super) fn departure(&self) -> Departure {
        let version = self.read(|state| state.local().update_version());
        Departure::sign(&self.key, &self.tag, version, self.now())
    }

    pub(super) fn stream_peers(&self, stream: StreamId) -> PeerDeltas {
        let Guarded { state, streams, .. } = &mut *self.lock();
        streams.subscribe(stream, &state.catalog())
    }

    pub(super) fn group_peers(&self, group: GroupId) -> PeerDeltas {
        let Guarded { state, groups, .. } = &mut *self.lock();
        groups.subscribe(group, &state.catalog())
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("me", &self.me()).finish_non_exhaustive()
    }
}
