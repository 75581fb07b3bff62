//! Runs of a few nodes with streams under faults that a seed decides, and their verdicts.
//!
//! `cargo run --release -p mosaik-tests --bin sim -- --runs 1000` runs them by the thousand; CI
//! runs a few of the same as a test.

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

use mosaik::testing::simulate;

pub use self::{plan::Plan, run::Outcome};

/// So much real time a run gets. It takes less than a second; but virtual time stands still while
/// tasks wake each other without end.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs one seed.
#[must_use]
pub fn run_seed(seed: u64) -> Outcome {
    limited(seed, play, |finding| Outcome { findings: vec![finding], ..Outcome::default() })
}

/// Plays a seed in a thread of its own, for a bounded time.
fn limited<T: Send + 'static>(
    seed: u64,
    play: fn(u64) -> T,
    failed: impl FnOnce(String) -> T,
) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(play(seed)));
    receiver.recv_timeout(LIMIT).unwrap_or_else(|_| {
        // The thread is left to itself: nothing stops one that spins.
        failed(format!("no end after {LIMIT:?} of real time: something goes round in circles"))
    })
}

fn play(seed: u64) -> Outcome {
    let plan = Plan::new(seed);
    let (outcome, panics) =
        panics::recorded(|| simulate(seed, |simulation| run::run(simulation, seed, plan)));
    let mut outcome = outcome.unwrap_or_default();
    outcome.findings.extend(panics);
    outcome
}

/// Runs `runs` seeds from `first` on, on all cores, and hands each outcome over when it is there.
pub fn run_seeds(first: u64, runs: u64, each: impl FnMut(u64, Outcome) + Send) {
    on_all_cores(first, runs, run_seed, each);
}

fn on_all_cores<T>(first: u64, runs: u64, run_seed: fn(u64) -> T, each: impl FnMut(u64, T) + Send) {
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
