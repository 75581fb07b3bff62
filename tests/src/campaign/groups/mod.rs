//! Runs of a few nodes with one group under faults that a seed decides, and their verdicts.
//!
//! `cargo run --release -p mosaik-tests --bin sim -- groups --runs 1000` runs them by the thousand;
//! CI runs a few of the same as a test. With a deliberate fault in the code (`--fault NAME`) it must
//! not take many until one is found to be wrong.

mod clients;
mod journal;
mod oracle;
mod plan;
mod register;
mod run;

pub use mosaik::private::DeliberateFault;

pub use self::{plan::Plan, run::Outcome};

use super::{Verdict, on_all_cores, play};

impl Verdict for Outcome {
    fn findings(&mut self) -> &mut Vec<String> {
        &mut self.findings
    }
}

/// Runs one seed, with a deliberate fault in all of its nodes if there is to be one.
#[must_use]
pub fn run_seed(seed: u64, deliberate: Option<DeliberateFault>) -> Outcome {
    play(seed, async move |simulation| {
        let _wrong = deliberate.map(DeliberateFault::begin);
        run::run(simulation, seed, Plan::new(seed, deliberate)).await
    })
}

/// Runs `runs` seeds from `first` on, on all cores, and hands each outcome over when it is there.
pub fn run_seeds(
    first: u64,
    runs: u64,
    deliberate: Option<DeliberateFault>,
    each: impl FnMut(u64, Outcome) + Send,
) {
    on_all_cores(first, runs, |seed| run_seed(seed, deliberate), each);
}

/// The command that runs one seed alone.
#[must_use]
pub fn command(seed: u64, deliberate: Option<DeliberateFault>) -> String {
    let fault = deliberate.map(|fault| format!(" --fault {fault}")).unwrap_or_default();
    let sim = "cargo run --release -p mosaik-tests --bin sim -- groups";
    format!("{sim} --runs 1 --seed {seed}{fault}")
}
