//! A few seeds of the campaign that `--bin sim -- groups` runs by the thousand.

use std::sync::Mutex;

use mosaik_tests::campaign::groups::{DeliberateFault, command, run_seed, run_seeds};

#[test]
fn twenty_seeds_of_faults_lose_and_double_nothing_and_heal() {
    let failed = Mutex::new(Vec::new());
    run_seeds(1, 20, None, |seed, outcome| {
        if !outcome.findings.is_empty() {
            let text = format!("seed {seed}: {:?}\n    {}", outcome.findings, command(seed, None));
            failed.lock().unwrap().push(text);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Something is done wrong on purpose: it is found within so many seeds, by what the oracle says.
fn is_found(deliberate: DeliberateFault, seeds: u64, words: &[&str]) {
    let of_the_oracle = |finding: &String| words.iter().any(|word| finding.contains(word));
    for seed in 1..=seeds {
        let outcome = run_seed(seed, Some(deliberate));
        if let Some(finding) = outcome.findings.iter().find(|finding| of_the_oracle(finding)) {
            println!("{deliberate} was found by seed {seed}: {finding}");
            return;
        }
    }
    panic!("{deliberate} was not found by {seeds} seeds");
}

#[test]
fn answers_before_a_quorum_has_stored_are_found() {
    is_found(DeliberateFault::AcknowledgesEarly, 10, &["not linearizable", "is lost", "never was"]);
}

#[test]
fn reads_at_a_leader_that_may_be_none_are_found() {
    is_found(DeliberateFault::ReadsUnchecked, 10, &["not linearizable: a read"]);
}

#[test]
fn snapshots_without_sessions_are_found() {
    is_found(DeliberateFault::ForgetsSessions, 20, &["not linearizable", "differs", "twice"]);
}
