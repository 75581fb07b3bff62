//! Runs of a few nodes with one group under faults that a seed decides, and their verdicts.
//!
//! `cargo run --release -p mosaik-tests --bin sim -- groups --runs 1000` runs them by the thousand;
//! CI runs a few of the same as a test.

mod clients;
mod journal;
mod oracle;
mod plan;
mod run;

pub use self::{plan::Plan, run::Outcome};

use mosaik::testing::simulate;

use super::panics;

/// Runs one seed.
#[must_use]
pub fn run_seed(seed: u64) -> Outcome {
    super::limited(seed, play, |finding| Outcome { findings: vec![finding], ..Outcome::default() })
}

/// Runs `runs` seeds from `first` on, on all cores, and hands each outcome over when it is there.
pub fn run_seeds(first: u64, runs: u64, each: impl FnMut(u64, Outcome) + Send) {
    super::on_all_cores(first, runs, run_seed, each);
}

fn play(seed: u64) -> Outcome {
    let plan = Plan::new(seed);
    let (outcome, panics) =
        panics::recorded(|| simulate(seed, |simulation| run::run(simulation, seed, plan)));
    let mut outcome = outcome.unwrap_or_default();
    outcome.findings.extend(panics);
    outcome
}

/// The command that runs one seed alone.
#[must_use]
pub fn command(seed: u64) -> String {
    format!("cargo run --release -p mosaik-tests --bin sim -- groups --runs 1 --seed {seed}")
}
