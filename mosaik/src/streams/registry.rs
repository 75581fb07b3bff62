//! Which streams this node produces: one producer for each, whoever asks for it.

use std::{
    any::TypeId,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::{
    codec::Codec,
    meter::Unserved,
    producer::{BuilderError, Core, Handle, Producer, ProducerConfig, Undelivered, Worker},
};
use crate::{
    discovery::{Discovery, PeerInfo},
    id::{PeerId, StreamId},
    random::Random,
    tasks::Tasks,
    telemetry::Meters,
};

pub(super) struct Registry {
    producers: Mutex<Producers>,
    discovery: Discovery,
    local: PeerId,
    random: Random,
    tasks: Tasks,
    telemetry: Meters,
    /// Of subscriptions that no producer answers for.
    pub(super) unserved: Arc<Unserved>,
}

#[derive(Debug, Default)]
struct Producers {
    by_stream: BTreeMap<StreamId, Registered>,
    next_number: u64,
}

#[derive(Debug)]
struct Registered {
    number: u64,
    handle: Weak<Handle>,
    datum: TypeId,
    datum_name: &'static str,
}

/// A producer's place in the registry.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Weak<Registry>,
    stream: StreamId,
    number: u64,
}

impl Registration {
    /// The producer has ended: the stream is no longer announced, unless it is produced anew.
    pub(super) fn end(self) {
        let Some(registry) = self.registry.upgrade() else { return };
        let mut producers = registry.lock();
        let registered = producers.by_stream.get(&self.stream);
        if registered.is_some_and(|registered| registered.number == self.number) {
            producers.by_stream.remove(&self.stream);
            registry.discovery.remove_description(self.stream);
            // Removing never makes an entry too large.
            let _ = registry.discovery.remove_stream(self.stream);
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("producers", &self.lock().by_stream)
            .finish_non_exhaustive()
    }
}

impl Registry {
    pub(super) fn new(
        discovery: Discovery,
        local: PeerId,
        random: Random,
        tasks: Tasks,
        telemetry: Meters,
    ) -> Self {
        let unserved = Arc::<Unserved>::default();
        telemetry.add(unserved.clone());
        Self { producers: Mutex::default(), discovery, local, random, tasks, telemetry, unserved }
    }

    fn lock(&self) -> MutexGuard<'_, Producers> {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The producer of a stream, as its subscribers see it.
    pub(super) fn get(&self, stream: &StreamId) -> Option<Arc<Core>> {
        let handle = self.lock().by_stream.get(stream)?.handle.upgrade()?;
        // Dropped without the lock: it may be the last one meanwhile.
        Some(handle.core().clone())
    }

    /// The consumers of all streams that are produced here.
    pub(super) fn consumers(&self) -> Vec<(StreamId, PeerId)> {
        // Handles are dropped without the lock: each may be the last one meanwhile.
        let handles: Vec<_> = self.lock().by_stream.values().map(|it| it.handle.clone()).collect();
        let handles = handles.iter().filter_map(Weak::upgrade);
        let channels = handles.flat_map(|handle| handle.channels());
        channels.map(|channel| (*channel.stream_id(), *channel.consumer_id())).collect()
    }

    /// A peer, as producers judge it; none if it is not in the catalog.
    pub(super) fn peer(&self, peer: &PeerId, rtt: Option<Duration>) -> Option<PeerInfo> {
        Some(PeerInfo::new(self.discovery.catalog().get(peer)?.clone(), rtt))
    }

    /// Opens the producer of a stream; an error if there is one.
    pub(super) fn open<D: 'static>(
        self: &Arc<Self>,
        config: ProducerConfig,
        codec: Codec<D>,
        undelivered: Option<Undelivered>,
    ) -> Result<Producer<D>, BuilderError<D>> {
        let stream_id = config.stream_id;
        // A handle must not be dropped while the registry is locked: it would lock it again.
        let (existing, datum, existing_name) = {
            let mut producers = self.lock();
            let registered = producers.by_stream.get(&stream_id);
            let found = registered
                .and_then(|found| Some((found.handle.upgrade()?, found.datum, found.datum_name)));
            match found {
                Some(found) => found,
                None => return self.insert(&mut producers, config, codec, undelivered),
            }
        };
        if datum == TypeId::of::<D>() {
            Err(BuilderError::AlreadyExists(Producer::new(existing, codec)))
        } else {
            let requested = std::any::type_name::<D>();
            Err(BuilderError::TypeMismatch { stream_id, existing: existing_name, requested })
        }
    }

    fn insert<D: 'static>(
        self: &Arc<Self>,
        producers: &mut Producers,
        config: ProducerConfig,
        codec: Codec<D>,
        undelivered: Option<Undelivered>,
    ) -> Result<Producer<D>, BuilderError<D>> {
        let stream = config.stream_id;
        self.discovery.add_stream(stream).map_err(|error| BuilderError::NotAnnounced {
            stream_id: stream,
            reason: error.to_string(),
        })?;
        self.discovery.set_description(stream, codec.description());
        let number = producers.next_number;
        producers.next_number += 1;
        let registration = Registration { registry: Arc::downgrade(self), stream, number };
        let (handle, worker): (Handle, Worker) = Handle::new(
            config,
            codec,
            registration,
            self.discovery.clone(),
            self.local,
            u64::from_le_bytes(self.random.bytes()),
            undelivered,
        );
        let handle = Arc::new(handle);
        self.telemetry.add(handle.core().meter.clone());
        let registered = Registered {
            number,
            handle: Arc::downgrade(&handle),
            datum: TypeId::of::<D>(),
            datum_name: std::any::type_name::<D>(),
        };
        producers.by_stream.insert(stream, registered);
        self.tasks.spawn("streams.producer", worker.run());
        tracing::debug!(%stream, intent = %codec.intent(), "producing");
        Ok(Producer::new(handle, codec))
    }
}
