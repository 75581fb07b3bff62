//! What many commands leave behind.

use mosaik_tests::{NodeProcess, unique_name};

/// In a debug build; a release build takes a million of them in as much time:
/// `cargo run --release -p mosaik-tests --bin test-node -- fill fill 1000000`.
const COMMANDS: u64 = 60_000;

#[test]
fn resident_memory_is_flat_after_the_first_snapshot() {
    let name = unique_name();
    let process = NodeProcess::start(
        env!("CARGO_BIN_EXE_test-node"),
        &[&name, "fill", &COMMANDS.to_string()],
    );
    let sizes: Vec<(u64, u64)> = (0..4)
        .map(|_| {
            let line = process.line();
            let (commands, bytes) = line.split_once(' ').expect("two numbers");
            (commands.parse().unwrap(), bytes.parse().unwrap())
        })
        .collect();
    println!("commands, bytes resident: {sizes:?}");
    assert_eq!(sizes[3].0, COMMANDS);
    let (early, late) = (sizes[0].1, sizes[3].1);
    // Three times as many commands; a log that is not purged would take 100 bytes for each, times
    // three members.
    assert!(late < early + early / 10 + (4 << 20), "{sizes:?}");
}
