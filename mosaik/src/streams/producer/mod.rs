//! The sending end of a stream.

mod builder;
mod config;
mod core;
mod error;
mod group;
mod groups;
mod member;
mod outlet;
mod place;
mod ring;
mod sink;
mod slow;
mod stall;
mod subscriber;
mod undelivered;
mod worker;

use std::{cell::Cell, fmt, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures::{channel::mpsc::unbounded as channel, future::poll_fn};
use tokio::time::{Instant, timeout_at};

use self::core::{Rejected, Room, Then};
pub use self::{
    builder::{Builder, BySerde, Named, Unnamed},
    config::{OnLag, ProducerConfig},
    error::{BuilderError, Error, SendError},
};
pub(super) use self::{
    config::OnlineWhen, core::Core, subscriber::Subscriber, undelivered::Undelivered,
    worker::Worker,
};
use super::{
    codec::Codec,
    frames::{MAX_DATUM_BYTES, MAX_PREFIX},
    registry::Registration,
    status::{ChannelInfo, When},
};
use crate::{
    discovery::Discovery,
    id::{NetworkId, PeerId, StreamId},
};

/// Longer than anything lasts: what is added to a date must not overflow.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// When so much time will have passed; the longest times mean never.
fn after(span: Duration) -> Instant {
    Instant::now() + span.min(FOR_EVER)
}

/// What a thread keeps for encoding the next datum.
const SCRATCH_KEPT_BYTES: usize = 256 * 1024;

thread_local! {
    /// Datums are encoded here, without any lock: encoding is the user's code.
    static SCRATCH: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// The sending end of a stream: everything sent goes to every consumer that is subscribed.
///
/// Clones share the stream; it ends, and is no longer announced, with the last of them. What was
/// sent before still reaches the consumers that go on taking it.
///
/// # Backpressure
/// A send waits while the producer is offline (by default: nobody is subscribed) and while the
/// slowest consumer is `with_buffer_size` datums behind. Nothing is lost between the producer and
/// a consumer that stays subscribed. A cycle of nodes that each wait for the next can block itself.
///
/// # As a [`Sink`](futures::Sink)
/// `feed` gathers datums, `flush` waits until they have been handed to the transport for every
/// consumer that the producer waits for, and so does `close`. What is gathered for a consumer that
/// has not confirmed the last 128 writes, less than 16 KiB, is not waited for. [`Producer::send`]
/// needs no `mut` and no import, and does not wait for that: the stream goes on with the datum by
/// itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyhow::Result<()> {
/// # use mosaik::Network;
/// # let name = mosaik::UniqueId::random();
/// # let n0 = Network::builder(name).offline().build().await?;
/// # let n1 = Network::builder(name).offline().build().await?;
/// let mut consumer = n1.streams().consume::<String>();
///
/// let producer = n0.streams().produce::<String>();
/// producer.when().online().await;
/// producer.send("hello, world".to_string()).await?;
///
/// assert_eq!(consumer.recv().await.as_deref(), Some("hello, world"));
/// # Ok(())
/// # }
/// ```
pub struct Producer<D> {
    handle: Arc<Handle>,
    codec: Codec<D>,
    /// A datum that the sink took while online and could not pass on before the producer went
    /// offline.
    parked: Option<BytesMut>,
    /// Where this handle waits, if it has had to.
    key: Option<u64>,
    /// The number of the frame up to which the flush that is under way waits.
    flushing: Option<u64>,
    /// This handle was closed as a sink.
    closed: bool,
}

/// What the clones of a producer share. The stream ends with it.
#[derive(Debug)]
pub(super) struct Handle {
    core: Arc<Core>,
    /// None if the stream never was registered.
    registration: Option<Registration>,
}

impl Handle {
    /// A producer's shared part, and the worker that is to be run.
    pub(super) fn new<D>(
        config: ProducerConfig,
        codec: Codec<D>,
        registration: Registration,
        discovery: Discovery,
        local: PeerId,
        epoch: u64,
        undelivered: Option<Undelivered>,
    ) -> (Self, Worker) {
        // A channel of tokio would take more than 1 KB before the first.
        let (requests, receiver) = channel();
        let core = Arc::new(Core::new(config, epoch, codec.schema(), requests, undelivered));
        let worker = Worker::new(core.clone(), receiver, discovery, local);
        (Self { core, registration: Some(registration) }, worker)
    }

    /// The handle of a producer that never was: everything fails.
    fn closed(stream_id: StreamId) -> Self {
        let config = ProducerConfig::new(stream_id, NetworkId::zero());
        let (requests, _) = channel();
        let core = Arc::new(Core::new(config, 0, None, requests, None));
        core.end();
        core.close();
        core.roster.close();
        Self { core, registration: None }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The channels to the consumers of this moment.
    pub(super) fn channels(&self) -> impl Iterator<Item = ChannelInfo> + use<> {
        self.core.channels.iter()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(registration) = self.registration.take() {
            registration.end();
        }
        // What was fed but not flushed still goes out.
        self.core.flush();
        self.core.end();
    }
}

impl<D> Producer<D> {
    pub(super) fn new(handle: Arc<Handle>, codec: Codec<D>) -> Self {
        Self { handle, codec, parked: None, key: None, flushing: None, closed: false }
    }

    /// The producer in a builder's answer: the one that exists if there is one already. If that is
    /// of another type, a producer that is closed from the start; the error is logged.
    pub(crate) fn opened(built: Result<Self, BuilderError<D>>) -> Self {
        let error = match built {
            Ok(producer) | Err(BuilderError::AlreadyExists(producer)) => return producer,
            Err(error) => error,
        };
        tracing::error!(%error, "a producer could not be opened; its sends fail");
        let mut closed = Self::new(Arc::new(Handle::closed(error.stream_id())), Codec::none());
        closed.closed = true;
        closed
    }

    /// The stream.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.handle.core.config.stream_id
    }

    /// What can be waited for.
    #[must_use]
    pub fn when(&self) -> &When {
        &self.handle.core.when
    }

    /// What the producer was built with.
    #[must_use]
    pub fn config(&self) -> &ProducerConfig {
        &self.handle.core.config
    }

    /// Whether the condition of `online_when` is met: by default, whether anybody is subscribed.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.when().is_online()
    }

    /// The channels to the consumers of this moment.
    pub fn consumers(&self) -> impl Iterator<Item = ChannelInfo> + use<D> {
        self.handle.core.channels.iter()
    }

    /// Sends a datum to all consumers; waits while the producer is offline or the slowest consumer
    /// is too far behind. It does not wait until the datum is received.
    ///
    /// Cancel safe: a cancelled send has either sent the whole datum or nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::Encoding`], [`SendError::TooLarge`]; the datum was not
    /// sent and is in the error.
    pub async fn send(&self, datum: D) -> Result<(), SendError<D>> {
        let core = &self.handle.core;
        let mut place = Place { core, key: None };
        loop {
            if self.closed || poll_fn(|cx| core.poll_ready(&mut place.key, cx)).await.is_err() {
                return Err(SendError::Closed(Some(datum)));
            }
            let pushed = match self
                .with_encoded(&datum, |frame| core.push(frame, Room::Nobody, Then::Flush))
            {
                Ok(pushed) => pushed,
                Err(refused) => return Err(refused.with(datum)),
            };
            match pushed {
                Ok(()) => return Ok(()),
                // It went offline in between: wait again.
                Err(Rejected::Offline | Rejected::Full) => {}
                Err(Rejected::Closed) => return Err(SendError::Closed(Some(datum))),
            }
        }
    }

    /// Sends a datum as [`send`](Producer::send) does, but waits at most so long: not at all if the
    /// time is zero, for ever if it is `Duration::MAX`. The way out of a cycle of nodes that wait
    /// for each other.
    ///
    /// # Errors
    /// Those of [`try_send`](Producer::try_send): after the time, [`SendError::Offline`] or
    /// [`SendError::Full`]. The datum was not sent and is in the error.
    pub async fn send_timeout(&self, datum: D, limit: Duration) -> Result<(), SendError<D>> {
        let core = &self.handle.core;
        let deadline = after(limit);
        let mut place = Place { core, key: None };
        let mut datum = datum;
        loop {
            let ready = poll_fn(|cx| core.poll_ready(&mut place.key, cx));
            let in_time = timeout_at(deadline, ready).await.is_ok();
            match self.try_send(datum) {
                // Others were faster.
                Err(SendError::Offline(back) | SendError::Full(back))
                    if in_time && Instant::now() < deadline =>
                {
                    datum = back;
                }
                sent => return sent,
            }
        }
    }

    /// Sends a datum to all consumers, or says at once why not.
    ///
    /// # Errors
    /// [`SendError::Offline`], [`SendError::Full`], [`SendError::Closed`],
    /// [`SendError::Encoding`], [`SendError::TooLarge`]; the datum was not sent and is in the
    /// error.
    pub fn try_send(&self, datum: D) -> Result<(), SendError<D>> {
        if self.closed {
            return Err(SendError::Closed(Some(datum)));
        }
        let core = &self.handle.core;
        let push = |frame: &mut BytesMut| match core.push(frame, Room::Everybody, Then::Flush) {
            Err(Rejected::Full) => {
                // What fills the window may be what nobody has flushed yet.
                core.flush();
                core.push(frame, Room::Awaited, Then::Flush)
            }
            pushed => pushed,
        };
        match self.with_encoded(&datum, push) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Rejected::Offline)) => Err(SendError::Offline(datum)),
            Ok(Err(Rejected::Full)) => Err(SendError::Full(datum)),
            Ok(Err(Rejected::Closed)) => Err(SendError::Closed(Some(datum))),
            Err(refused) => Err(refused.with(datum)),
        }
    }

    /// Encodes the datum behind room for a prefix, and passes it on.
    fn with_encoded<T>(
        &self,
        datum: &D,
        then: impl FnOnce(&mut BytesMut) -> T,
    ) -> Result<T, Unfit> {
        // A datum whose encoding sends another one finds an empty scratch, not a locked one.
        let mut frame = SCRATCH.take();
        frame.clear();
        frame.extend_from_slice(&[0; MAX_PREFIX]);
        (self.codec.encode)(datum, &mut frame).map_err(Unfit::Encoding)?;
        let bytes = frame.len() - MAX_PREFIX;
        if bytes > MAX_DATUM_BYTES {
            return Err(Unfit::TooLarge(bytes));
        }
        let out = then(&mut frame);
        if frame.capacity() == 0 {
            // It was long and was taken as it is; the next one may be as long.
            frame.reserve((bytes + MAX_PREFIX).min(SCRATCH_KEPT_BYTES));
        }
        if frame.capacity() <= SCRATCH_KEPT_BYTES {
            SCRATCH.set(frame);
        }
        Ok(out)
    }
}

/// Where one `send` waits.
struct Place<'a> {
    core: &'a Core,
    key: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.forget(self.key);
    }
}

/// Why a datum cannot be sent at all.
enum Unfit {
    Encoding(super::CodecError),
    TooLarge(usize),
}

impl Unfit {
    fn with<D>(self, datum: D) -> SendError<D> {
        match self {
            Self::Encoding(error) => SendError::Encoding(datum, error),
            Self::TooLarge(bytes) => SendError::TooLarge { datum, bytes, limit: MAX_DATUM_BYTES },
        }
    }
}

impl<D> Drop for Producer<D> {
    fn drop(&mut self) {
        if let Some(frame) = self.parked.take() {
            self.handle.core.push_last(frame);
        }
        self.handle.core.forget(self.key);
    }
}

impl<D> Clone for Producer<D> {
    /// Another handle to the same stream.
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.handle.clone(), self.codec);
        clone.closed = self.closed;
        clone
    }
}

impl<D> fmt::Debug for Producer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("stream_id", self.stream_id())
            .field("is_online", &self.is_online())
            .field("consumers", &self.consumers().count())
            .finish_non_exhaustive()
    }
}
