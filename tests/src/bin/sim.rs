//! Campaigns on the simulated network.
//!
//! `sim --runs 1000 --seed 1`: as many seeds from the first on; `--verbose` shows every one, its
//! plan, and with `--runs 1` what the nodes log; `--twice` runs every one a second time, and says
//! how many went the same way from beginning to end. `sim groups --runs 1000 --seed 1`: the same with
//! one group and its clients; `--fault NAME` puts a deliberate fault into the code, which is to be
//! found (`acknowledges-early`, `reads-unchecked`, `forgets-sessions`, `forgets-grants`).
//! `sim converge [NODES ..]`: what it costs so many nodes to know each other.

use std::{
    collections::BTreeMap,
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mosaik_tests::{
    campaign::{Fault, Outcome, Plan, command, groups, run_seeds},
    converge::converge,
    trace,
};

fn main() -> Result<ExitCode> {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == "converge").is_some() {
        let nodes = arguments.map(|count| count.parse().context("a number of nodes"));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let nodes = if nodes.is_empty() { vec![50, 100, 200, 500] } else { nodes };
        nodes.into_iter().try_for_each(converge)?;
        return Ok(ExitCode::SUCCESS);
    }
    let of_groups = arguments.next_if(|argument| argument == "groups").is_some();
    let (mut runs, mut seed, mut verbose, mut twice) = (100, 1, false, false);
    let mut deliberate = None;
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().with_context(|| format!("{argument} needs something after it"));
        let number = |text: String| -> Result<u64> {
            text.parse().with_context(|| format!("{argument} needs a number, not `{text}`"))
        };
        match argument.as_str() {
            "--runs" => runs = number(value()?)?,
            "--seed" => seed = number(value()?)?,
            "--fault" if of_groups => deliberate = Some(value()?.parse()?),
            "--verbose" => verbose = true,
            "--twice" => twice = true,
            _ => bail!("unknown argument `{argument}`; see the top of tests/src/bin/sim.rs"),
        }
    }
    Ok(match (of_groups, twice) {
        (true, true) => repeat(runs, |each| {
            groups::run_seeds(seed, runs, deliberate, |seed, it| each(seed, (it.digest, it.done)));
        }),
        (true, false) => campaign_of_groups(runs, seed, deliberate, verbose),
        (false, true) => {
            repeat(runs, |each| run_seeds(seed, runs, |seed, it| each(seed, (it.digest, it.done))))
        }
        (false, false) => campaign(runs, seed, verbose),
    })
}

/// What a seed gave: the digest of all messages, and the faults with their times.
type Course = (u64, Vec<(Duration, Fault)>);

/// Fails if a seed did not have the same faults twice.
fn repeat(runs: u64, campaign: impl Fn(&mut (dyn FnMut(u64, Course) + Send))) -> ExitCode {
    let [mut once, mut again] = [BTreeMap::new(), BTreeMap::new()];
    for courses in [&mut once, &mut again] {
        campaign(&mut |seed, course| drop(courses.insert(seed, course)));
    }
    let mut equal = 0;
    let mut differ = Vec::new();
    for (seed, (digest, done)) in &once {
        equal += usize::from(*digest == again[seed].0);
        if *done != again[seed].1 {
            differ.push(*seed);
        }
    }
    println!(
        "{runs} seeds, twice: {equal} with the same messages at the same times, {} with the same \
         faults at the same times",
        once.len() - differ.len()
    );
    if differ.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("other faults: {differ:?}");
    ExitCode::FAILURE
}

fn campaign(runs: u64, first: u64, verbose: bool) -> ExitCode {
    trace();
    let begun = Instant::now();
    let mut total = Outcome::default();
    let mut failed = Vec::new();
    run_seeds(first, runs, |seed, outcome| {
        if verbose || runs == 1 {
            println!("seed {seed}: {outcome:?}\n{:#?}", Plan::new(seed));
        }
        if !outcome.findings.is_empty() {
            println!("seed {seed} failed: {}\n    {}", outcome.findings[0], command(seed));
            failed.push(seed);
        }
        total.faults += outcome.faults;
        total.received += outcome.received;
        total.missed += outcome.missed;
        total.elapsed += outcome.elapsed;
        total.healed = total.healed.max(outcome.healed);
    });
    println!(
        "{runs} seeds from {first}: {} failed; {} faults, {} datums received, {} reported as \
         missing, {:?} of virtual time, at most {:?} to heal; {:?}",
        failed.len(),
        total.faults,
        total.received,
        total.missed,
        total.elapsed,
        total.healed,
        begun.elapsed()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn campaign_of_groups(
    runs: u64,
    first: u64,
    deliberate: Option<groups::DeliberateFault>,
    verbose: bool,
) -> ExitCode {
    trace();
    let begun = Instant::now();
    let mut total = groups::Outcome::default();
    let mut failed = Vec::new();
    let (mut faults, mut stopped) = (0, 0);
    groups::run_seeds(first, runs, deliberate, |seed, outcome| {
        if verbose || runs == 1 {
            println!("seed {seed}: {outcome:#?}\n{:#?}", groups::Plan::new(seed, deliberate));
        }
        if !outcome.findings.is_empty() {
            let command = groups::command(seed, deliberate);
            println!("seed {seed} failed: {}\n    {command}", outcome.findings[0]);
            failed.push(seed);
        }
        faults += outcome.done.len();
        total.holders += outcome.holders;
        total.answered += outcome.answered;
        total.refused += outcome.refused;
        total.unknown += outcome.unknown;
        total.read += outcome.read;
        total.lost += outcome.lost;
        stopped += usize::from(outcome.stopped);
        total.elapsed += outcome.elapsed;
        total.healed = total.healed.max(outcome.healed);
    });
    println!(
        "{runs} seeds from {first}: {} failed; {} faults, {} commands answered, {} refused, {} \
         neither, {} strong reads, {} lost with a report, {} times somebody led, {} elastic groups \
         lost most of their logs and stopped, {:?} of virtual time, at most {:?} to heal; {:?}",
        failed.len(),
        faults,
        total.answered,
        total.refused,
        total.unknown,
        total.read,
        total.lost,
        total.holders,
        stopped,
        total.elapsed,
        total.healed,
        begun.elapsed()
    );
    // A deliberate fault is to be found.
    if failed.is_empty() == deliberate.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
