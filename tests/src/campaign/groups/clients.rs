//! What the members of a run are asked for meanwhile.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mosaik::groups::{CommandError, Committed, Consistency, FencingToken, Group, GroupEvent};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinSet,
    time::sleep,
};

use super::{
    journal::{Extent, Journal},
    oracle::{Floor, Oracle, Place, Told},
    plan::Plan,
    register::Register,
};

/// How often a client asks again for a command that was not answered.
const RETRIES: u32 = 20;
/// How often a leader works at the register.
const WORK: Duration = Duration::from_millis(20);

/// What all clients of a run share.
#[derive(Clone, Debug)]
pub struct Shared {
    oracle: Arc<Mutex<Oracle>>,
    register: Arc<Mutex<Register>>,
    /// Whether clients are to ask for anything.
    busy: watch::Sender<bool>,
    /// How many clients wait for an answer.
    asking: Arc<AtomicUsize>,
    seed: u64,
}

impl Shared {
    pub fn new(seed: u64, strict: bool) -> Self {
        let oracle = Arc::new(Mutex::new(Oracle::new(strict)));
        let register = Arc::new(Mutex::new(Register::new(strict)));
        Self { oracle, register, busy: watch::Sender::new(true), asking: Arc::default(), seed }
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_busy(&self, busy: bool) {
        self.busy.send_replace(busy);
    }

    /// Whether somebody still waits for an answer.
    pub fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Relaxed) > 0
    }
}

/// Counts one client for as long as it waits.
struct Asking(Arc<AtomicUsize>);

impl Asking {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client of a member, which gives every command another number.
pub struct Client {
    group: Group<Journal>,
    place: Place,
    shared: Shared,
    rng: StdRng,
    next: u64,
}

impl Client {
    /// The client of this number of a member.
    pub fn new(group: Group<Journal>, place: Place, number: u32, shared: Shared) -> Self {
        let first =
            ((place.node as u64) << 48) | (u64::from(place.run) << 40) | (u64::from(number) << 32);
        let rng = StdRng::seed_from_u64(shared.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ first);
        Self { group, place, shared, rng, next: first }
    }

    async fn run(mut self, pause: Duration, only_reads: bool) {
        let mut busy = self.shared.busy.subscribe();
        while busy.wait_for(|busy| *busy).await.is_ok() {
            sleep(pause.mul_f64(self.rng.random())).await;
            if !*busy.borrow() {
                continue;
            }
            let _asking = Asking::new(&self.shared.asking);
            match self.rng.random_range(0..10) {
                _ if only_reads => self.read().await,
                0..=4 => drop(self.execute().await),
                5 => self.execute_many().await,
                6 => self.feed().await,
                _ => self.read().await,
            }
        }
    }

    fn entry(&mut self) -> (u64, Floor) {
        self.next += 1;
        let mut oracle = self.shared.oracle();
        oracle.calls(self.next, self.place);
        (self.next, oracle.asks())
    }

    /// Gives a command; whether it was answered.
    pub async fn execute(&mut self) -> bool {
        let (entry, floor) = self.entry();
        let answer = self.group.execute(entry).await.map(Committed::into_response);
        let told = self.settle(answer).await;
        self.shared.oracle().told(entry, floor, told);
        matches!(told, Told::Applied(_))
    }

    async fn settle(&mut self, answer: Result<Extent, CommandError<Journal>>) -> Told {
        let mut retries = if self.rng.random_bool(0.8) { RETRIES } else { 0 };
        let mut answer = answer;
        loop {
            answer = match answer {
                Ok(extent) => return Told::Applied(extent),
                Err(CommandError::Timeout(pending)) if retries > 0 => {
                    retries -= 1;
                    pending.retry().await.map(|committed| committed[0])
                }
                Err(error) => return self.failed(error),
            };
        }
    }

    fn failed(&self, error: CommandError<Journal>) -> Told {
        match error {
            CommandError::Offline(_) => Told::Refused,
            CommandError::Timeout(_) | CommandError::GroupTerminated => Told::Unknown,
            CommandError::Lagging { .. } => Told::Committed,
            other => {
                self.shared.oracle().found(format!("{:?} was told {other:?}", self.place));
                Told::Unknown
            }
        }
    }

    async fn execute_many(&mut self) {
        let count = self.rng.random_range(2..=4);
        let calls: Vec<_> = (0..count).map(|_| self.entry()).collect();
        let answer = self.group.execute_many(calls.iter().map(|(entry, _)| *entry)).await;
        match answer {
            Ok(committed) => {
                let extents = committed.into_responses();
                for ((entry, floor), extent) in calls.into_iter().zip(extents) {
                    self.shared.oracle().told(entry, floor, Told::Applied(extent));
                }
            }
            Err(error) => {
                let told = self.failed(error);
                for (entry, floor) in calls {
                    self.shared.oracle().told(entry, floor, told);
                }
            }
        }
    }

    async fn feed(&mut self) {
        let (entry, floor) = self.entry();
        let told = match self.group.feed(entry).await {
            Ok(_) => Told::Fed,
            Err(error) => self.failed(error),
        };
        self.shared.oracle().told(entry, floor, told);
    }

    async fn read(&mut self) {
        let floor = self.shared.oracle().asks();
        if let Ok(read) = self.group.query((), Consistency::Strong).await {
            self.shared.oracle().reads(floor, *read);
        }
    }
}

/// The clients of one run of one member; they end when this is dropped.
#[derive(Debug)]
pub struct Clients {
    pub group: Group<Journal>,
    _tasks: JoinSet<()>,
}

impl Clients {
    pub fn start(group: Group<Journal>, place: Place, plan: &Plan, shared: &Shared) -> Self {
        let mut tasks = JoinSet::new();
        for number in 1..=plan.clients + plan.readers {
            let client = Client::new(group.clone(), place, number, shared.clone());
            tasks.spawn(client.run(plan.pause, number > plan.clients));
        }
        tasks.spawn(listen(group.clone(), place, shared.clone()));
        tasks.spawn(lead(group.clone(), place, shared.clone()));
        Self { group, _tasks: tasks }
    }
}

/// Works at the register while the member leads.
async fn lead(group: Group<Journal>, place: Place, shared: Shared) {
    let work = async |token: FencingToken| {
        shared.register().begins(place, token);
        loop {
            sleep(WORK).await;
            shared.register().works(place, token);
        }
    };
    let _ended: Option<()> = group.while_leader(work).await;
}

/// Takes in what a member tells.
async fn listen(group: Group<Journal>, place: Place, shared: Shared) {
    let mut events = group.events();
    drop(group);
    loop {
        match events.recv().await {
            Ok(GroupEvent::Merged { dropped, .. }) => shared.oracle().merged(place, dropped),
            Ok(GroupEvent::Diverged { peer, index }) => {
                let text = format!("{place:?} differs from {peer} at {index}");
                shared.oracle().found(text);
            }
            Ok(GroupEvent::QuorumUnrecoverable { dead, voters }) => {
                tracing::info!(?place, dead, voters, "for good");
                shared.oracle().unrecoverable(place);
            }
            Ok(_) => {}
            Err(RecvError::Lagged(events)) => {
                shared.oracle().found(format!("{place:?} is {events} events behind"));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

impl Clients {
    /// Whether the member takes commands.
    pub fn online(&self) -> bool {
        use mosaik::futures::FutureExt;
        self.group.when().online().now_or_never().is_some()
    }
}
