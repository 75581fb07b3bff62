//! What the nodes do meanwhile: producers that number their datums, consumers that read them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mosaik::{
    Bytes, Network, PeerId,
    streams::{
        Consumer, Producer,
        consumer::{Delivery, Event},
        producer::OnLag,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{
        broadcast::{self, error::TryRecvError},
        watch,
    },
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    oracle::{Oracle, Place, Received},
    plan::{Kind, Stream},
};

/// How many datums each producer sends after all is healed.
const LAST: u64 = 10;
/// How far consumers may be behind where they skip what is oldest.
const SHORT_BUFFER: usize = 8;
/// Longer than any run: what a share group has not received waits for its members to come back.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A numbered datum.
#[derive(Debug, Serialize, Deserialize)]
pub struct Numbered {
    node: u32,
    run: u32,
    n: u64,
    filling: Bytes,
}

/// What producers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Send at their own pace.
    Send,
    /// Send nothing.
    Hold,
    /// Send the last ones.
    Last,
}

/// What a producer has sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub count: u64,
    /// The last ones as well.
    pub all: bool,
}

/// What all streams of a run share.
#[derive(Clone, Debug)]
pub struct Shared {
    oracle: Arc<Mutex<Oracle>>,
    phase: watch::Sender<Phase>,
    sent: Arc<Mutex<BTreeMap<Place, Sent>>>,
    /// The nodes, by their places.
    ids: Arc<Vec<PeerId>>,
    seed: u64,
    begun: Instant,
}

impl Shared {
    pub fn new(seed: u64, ids: Vec<PeerId>, kinds: Vec<Kind>) -> Self {
        Self {
            oracle: Arc::new(Mutex::new(Oracle::new(kinds))),
            phase: watch::Sender::new(Phase::Send),
            sent: Arc::default(),
            ids: Arc::new(ids),
            seed,
            begun: Instant::now(),
        }
    }

    /// From when on time is counted.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_phase(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub fn sent(&self, producer: Place) -> Sent {
        self.sent_by().get(&producer).copied().unwrap_or_default()
    }

    fn sent_by(&self) -> MutexGuard<'_, BTreeMap<Place, Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a consumer was told before the datum that it has just received.
    fn take_reports(&self, consumer: Place, events: &mut broadcast::Receiver<Event>) {
        loop {
            match events.try_recv() {
                Ok(Event::Gap(gap)) => {
                    let node = self.ids.iter().position(|id| *id == gap.producer);
                    if let Some(node) = node {
                        self.oracle().reported(consumer, node, gap.missed);
                    }
                }
                Ok(_) => {}
                Err(TryRecvError::Lagged(events)) => {
                    self.oracle().found(format!("{consumer:?} is {events} events behind"));
                }
                Err(_) => return,
            }
        }
    }

    /// By the seed and the place alone.
    fn rng(&self, place: Place) -> StdRng {
        let Place { node, run, stream } = place;
        let place = ((node as u64) << 32) | ((stream as u64) << 16) | u64::from(run);
        StdRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ place)
    }
}

/// The streams of one run of one node; they end when this is dropped.
#[derive(Debug)]
pub struct Streams {
    pub producers: Vec<(Place, Arc<Producer<Numbered>>)>,
    pub consumers: Vec<(Place, Consumer<Numbered>)>,
    _tasks: JoinSet<()>,
}

impl Streams {
    /// Opens what the plan wants of this node.
    ///
    /// # Panics
    /// When a producer cannot be built.
    pub fn open(
        network: &Network,
        node: usize,
        run: u32,
        plan: &[Stream],
        shared: &Shared,
    ) -> Self {
        let (mut producers, mut consumers, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for (number, stream) in plan.iter().enumerate() {
            let place = Place { node, run, stream: number };
            let name = format!("campaign.{number}");
            if stream.producers.contains(&node) {
                let producer = network.streams().producer::<Numbered>();
                let producer = producer.with_stream_id(name.as_str());
                let producer = match stream.kind {
                    Kind::Block => producer,
                    Kind::DropOldest => {
                        producer.on_lag(OnLag::DropOldest).with_buffer_size(SHORT_BUFFER)
                    }
                    Kind::Shared => producer.with_resume_window(FOREVER),
                };
                let producer = producer.build();
                let producer = Arc::new(producer.expect("a new node produces nothing yet"));
                tasks.spawn(produce(place, producer.clone(), stream.clone(), shared.clone()));
                producers.push((place, producer));
            }
            if stream.consumers.contains(&node) {
                let consumer = network.streams().consumer::<Numbered>();
                let consumer = consumer.with_stream_id(name.as_str());
                let consumer = match stream.kind {
                    Kind::Block | Kind::DropOldest => consumer,
                    Kind::Shared => consumer.in_group("campaign"),
                }
                .build();
                let reading = consume(place, consumer.clone(), stream.kind, shared.clone());
                tasks.spawn(reading);
                consumers.push((place, consumer));
            }
        }
        Self { producers, consumers, _tasks: tasks }
    }
}

async fn produce(place: Place, producer: Arc<Producer<Numbered>>, plan: Stream, shared: Shared) {
    let mut rng = shared.rng(place);
    let mut phase = shared.phase.subscribe();
    let mut last = LAST;
    for n in 0.. {
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Send => break sleep(plan.pause.mul_f64(rng.random())).await,
                Phase::Last if last > 0 => break last -= 1,
                _ if phase.changed().await.is_err() => return,
                _ => {}
            }
        }
        let filling = Bytes::from(vec![0; rng.random_range(0..=plan.datum_bytes)]);
        let datum = Numbered { node: place.node as u32, run: place.run, n, filling };
        // Never cancelled: whether it was sent is known.
        if producer.send(datum).await.is_err() {
            return;
        }
        shared.sent_by().insert(place, Sent { count: n + 1, all: last == 0 });
    }
}

async fn consume(place: Place, mut consumer: Consumer<Numbered>, kind: Kind, shared: Shared) {
    let mut rng = shared.rng(Place { run: place.run + 1000, ..place });
    let mut events = consumer.events();
    // Now and then it is slow; slower than its producers on the whole only where it may skip.
    let slow_once_in = if kind == Kind::DropOldest { 20 } else { 1_000 };
    while let Some(Delivery { datum, redelivered, .. }) = consumer.recv_delivery().await {
        let Numbered { node, run, n, .. } = datum;
        shared.take_reports(place, &mut events);
        let producer = Place { node: node as usize, run, stream: place.stream };
        let at = shared.begun.elapsed();
        let received = Received { consumer: place, producer, n, redelivered, at };
        shared.oracle().received(received);
        if rng.random_ratio(1, slow_once_in) && *shared.phase.borrow() == Phase::Send {
            sleep(Duration::from_millis(rng.random_range(1..1_000))).await;
        }
    }
}
