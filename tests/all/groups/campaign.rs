//! A few seeds of the campaign that `--bin sim -- groups` runs by the thousand.

use std::sync::Mutex;

use mosaik_tests::campaign::groups::{command, run_seeds};

#[test]
fn twenty_seeds_of_faults_lose_and_double_nothing_and_heal() {
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
