//! A few seeds of the campaign that `--bin sim` runs by the thousand.

use std::sync::Mutex;

use mosaik_tests::campaign::{command, run_seed, run_seeds};

#[test]
fn twenty_seeds_of_faults_lose_double_and_reorder_nothing() {
    let failed = Mutex::new(Vec::new());
    run_seeds(1, 20, |seed, outcome| {
        if !outcome.findings.is_empty() {
            let text = format!("seed {seed}: {:?}\n    {}", outcome.findings, command(seed));
            failed.lock().unwrap().push(text);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_seed_has_the_same_faults_at_the_same_times_again() {
    for seed in [7, 8] {
        let [once, again] = [run_seed(seed), run_seed(seed)].map(|outcome| outcome.done);
        assert!(!once.is_empty());
        assert_eq!(once, again, "seed {seed}");
    }
}
