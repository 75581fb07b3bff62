//! Formations, autopilots and a Raft in miniature on a network that loses, delays, reorders and
//! splits: seeded, without sockets or clocks.
//!
//! `MOSAIK_RUNS` and `MOSAIK_SEED` choose how many seeds are run, and the first.

mod check;
mod faults;
mod hosts;
mod links;
mod members;
mod plan;
mod raft;
mod world;

use self::{plan::Plan, world::World};
use crate::faults::Fault;

/// Runs so many seeds from the given one, or what the environment says.
fn seeds(runs: u64) -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("MOSAIK_SEED").unwrap_or(1);
    first..first + number("MOSAIK_RUNS").unwrap_or(runs)
}

fn campaign(name: &str, runs: u64, plan: impl Fn(u64) -> Plan) {
    let mut slowest = (std::time::Duration::ZERO, 0);
    let mut failed = Vec::new();
    for seed in seeds(runs) {
        let mut world = World::new(plan(seed), seed);
        world.run();
        match check::verdict(&world) {
            Ok(healed) => slowest = slowest.max((healed, seed)),
            Err(what) => failed.push(format!("seed {seed}: {what}")),
        }
        if std::env::var_os("MOSAIK_TRACE").is_some() {
            eprintln!("{}", world.trace.join("\n"));
        }
    }
    println!("{name}: slowest healing {:?} (seed {})", slowest.0, slowest.1);
    assert!(failed.is_empty(), "{name}: {} failed\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn strict_groups_never_live_twice() {
    campaign("strict", 20, Plan::strict);
}

#[test]
fn strict_groups_survive_restarts_of_a_minority() {
    campaign("strict, restarts", 20, Plan::strict_with_restarts);
}

#[test]
fn elastic_groups_become_one() {
    campaign("elastic", 20, Plan::elastic);
}

/// Founders that forget what they have stored found a second time.
#[test]
fn a_forgotten_grant_is_found() {
    const SEEDS: u64 = 20;
    let _wrong = Fault::ForgetsGrants.begin();
    let is_found = |seed: &u64| {
        let mut world = World::new(Plan::strict(*seed), *seed);
        world.run();
        check::verdict(&world).is_err_and(|what| what.contains("strict incarnations opened"))
    };
    let found = (1..=SEEDS).find(is_found);
    println!("found by seed {found:?}");
    assert!(found.is_some(), "two strict incarnations are never alive in {SEEDS} seeds");
}

#[test]
fn one_seed_is_one_run() {
    let run = |seed| {
        let mut world = World::new(Plan::elastic(seed), seed);
        world.run();
        world.trace
    };
    assert_eq!(run(3), run(3));
}
