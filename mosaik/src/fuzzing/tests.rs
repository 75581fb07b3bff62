use std::{collections::BTreeSet, time::Duration};

use super::*;

/// Mutated inputs for each decoder. `mutate --runs 1000000` tries more.
const RUNS: usize = 10_000;
/// Far above what any input takes, so that a slow machine is no failure.
const LONGEST: Duration = Duration::from_secs(1);

#[test]
fn every_decoder_takes_its_samples_and_refuses_what_is_too_much() {
    let mut names = BTreeSet::new();
    for decoder in decoders() {
        assert!(names.insert(decoder.name), "{} is listed twice", decoder.name);
        assert!(!decoder.samples.is_empty(), "{} has no samples", decoder.name);
        for sample in &decoder.samples {
            assert!(decoder.run(sample), "{} refuses {sample:x?}", decoder.name);
        }
        for (number, bytes) in decoder.refused.iter().enumerate() {
            assert!(!decoder.run(bytes), "{} takes number {number}", decoder.name);
        }
    }
}

#[test]
fn no_mutated_input_makes_a_decoder_panic_or_hang() {
    for decoder in decoders() {
        let mut mutator = Mutator::new(1);
        let mut taken = 0;
        for run in 0..RUNS {
            let input = mutator.next(&decoder);
            let begun = thread_time();
            taken += usize::from(decoder.run(&input));
            let elapsed = thread_time() - begun;
            assert!(elapsed < LONGEST, "{}: input {run} took {elapsed:?}", decoder.name);
        }
        assert!(taken < RUNS, "{}: nothing is refused", decoder.name);
    }
}
