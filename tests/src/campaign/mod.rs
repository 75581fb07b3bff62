//! Runs of a few nodes with streams under faults that a seed decides, and their verdicts.
//!
//! `cargo run --release -p mosaik-tests --bin sim -- --runs 1000` runs them by the thousand; CI
//! runs a few of the same as a test.

mod fault;
pub mod groups;
mod oracle;
mod outages;
mod panics;
mod plan;
mod run;
mod workload;

use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use mosaik::testing::{Simulation, simulate};

pub use self::{fault::Fault, plan::Plan, run::Outcome};
use crate::scaled;

/// So much real time a run gets. It takes less than a second; but virtual time stands still while
/// tasks wake each other without end.
const LIMIT: Duration = Duration::from_secs(120);

/// What came of one seed, in whichever campaign.
trait Verdict: Default + Send + 'static {
    /// What is wrong.
    fn findings(&mut self) -> &mut Vec<String>;
}

/// Plays a seed in a thread of its own, for a bounded time.
fn play<T: Verdict, Run>(seed: u64, run: impl FnOnce(Simulation) -> Run + Send + 'static) -> T
where
    Run: Future<Output = T>,
{
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (outcome, panics) = panics::recorded(|| simulate(seed, run));
        let mut outcome: T = outcome.unwrap_or_default();
        outcome.findings().extend(panics);
        sender.send(outcome)
    });
    receiver.recv_timeout(scaled(LIMIT)).unwrap_or_else(|_| {
        // The thread is left to itself: nothing stops one that spins.
        let mut outcome = T::default();
        let text = "of real time: something goes round in circles";
        outcome.findings().push(format!("no end after {LIMIT:?} {text}"));
        outcome
    })
}

impl Verdict for Outcome {
    fn findings(&mut self) -> &mut Vec<String> {
        &mut self.findings
    }
}

/// Runs one seed.
#[must_use]
pub fn run_seed(seed: u64) -> Outcome {
    play(seed, move |simulation| run::run(simulation, seed, Plan::new(seed)))
}

/// Runs `runs` seeds from `first` on, on all cores, and hands each outcome over when it is there.
pub fn run_seeds(first: u64, runs: u64, each: impl FnMut(u64, Outcome) + Send) {
    on_all_cores(first, runs, run_seed, each);
}

fn on_all_cores<T>(
    first: u64,
    runs: u64,
    run_seed: impl Fn(u64) -> T + Sync,
    each: impl FnMut(u64, T) + Send,
) {
    let next = AtomicU64::new(0);
    let each = Mutex::new(each);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return;
                    }
                    let seed = first.wrapping_add(number);
                    let outcome = run_seed(seed);
                    each.lock().unwrap_or_else(PoisonError::into_inner)(seed, outcome);
                }
            });
        }
    });
}

/// The command that runs one seed alone.
#[must_use]
pub fn command(seed: u64) -> String {
    format!("cargo run --release -p mosaik-tests --bin sim -- --runs 1 --seed {seed}")
}
