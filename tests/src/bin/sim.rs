//! Campaigns on the simulated network.
//!
//! `sim --runs 1000 --seed 1`: as many seeds from the first on; `--verbose` shows every one, its
//! plan, and with `--runs 1` what the nodes log; `--twice` runs every one a second time, and says
//! how many went the same way from beginning to end. `sim groups --runs 1000 --seed 1`: the same with
//! one group and its clients. `sim converge [NODES ..]`: what it costs so many
//! nodes to know each other.

use std::{collections::BTreeMap, env, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use mosaik_tests::{
    campaign::{Outcome, Plan, command, groups, run_seeds},
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
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            text.parse().with_context(|| format!("{argument} needs a number, not `{text}`"))
        };
        match argument.as_str() {
            "--runs" => runs = number()?,
            "--seed" => seed = number()?,
            "--verbose" => verbose = true,
            "--twice" => twice = true,
            _ => bail!("unknown argument `{argument}`; see the top of tests/src/bin/sim.rs"),
        }
    }
    Ok(match (of_groups, twice) {
        (true, true) => bail!("`--twice` is not for groups"),
        (true, false) => campaign_of_groups(runs, seed, verbose),
        (false, true) => repeat(runs, seed),
        (false, false) => campaign(runs, seed, verbose),
    })
}

/// Fails if a seed did not have the same faults twice.
fn repeat(runs: u64, first: u64) -> ExitCode {
    let [mut once, mut again] = [BTreeMap::new(), BTreeMap::new()];
    run_seeds(first, runs, |seed, outcome| drop(once.insert(seed, outcome)));
    run_seeds(first, runs, |seed, outcome| drop(again.insert(seed, outcome)));
    let mut equal = 0;
    let mut differ = Vec::new();
    for (seed, outcome) in &once {
        equal += usize::from(outcome.digest == again[seed].digest);
        if outcome.done != again[seed].done {
            differ.push(*seed);
        }
    }
    println!(
        "{runs} seeds from {first}, twice: {equal} with the same messages at the same times, {} \
         with the same faults at the same times",
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

fn campaign_of_groups(runs: u64, first: u64, verbose: bool) -> ExitCode {
    trace();
    let begun = Instant::now();
    let mut total = groups::Outcome::default();
    let mut failed = Vec::new();
    groups::run_seeds(first, runs, |seed, outcome| {
        if verbose || runs == 1 {
            println!("seed {seed}: {outcome:#?}\n{:#?}", groups::Plan::new(seed));
        }
        if !outcome.findings.is_empty() {
            println!("seed {seed} failed: {}\n    {}", outcome.findings[0], groups::command(seed));
            failed.push(seed);
        }
        total.faults += outcome.faults;
        total.answered += outcome.answered;
        total.refused += outcome.refused;
        total.unknown += outcome.unknown;
        total.read += outcome.read;
        total.lost += outcome.lost;
        total.elapsed += outcome.elapsed;
        total.healed = total.healed.max(outcome.healed);
    });
    println!(
        "{runs} seeds from {first}: {} failed; {} faults, {} commands answered, {} refused, {} \
         neither, {} strong reads, {} lost with a report, {:?} of virtual time, at most {:?} to \
         heal; {:?}",
        failed.len(),
        total.faults,
        total.answered,
        total.refused,
        total.unknown,
        total.read,
        total.lost,
        total.elapsed,
        total.healed,
        begun.elapsed()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
