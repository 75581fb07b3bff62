//! Subscribing and unsubscribing leaves nothing behind.

use mosaik_tests::NodeProcess;

/// Tasks and resident bytes after so many cycles, as the process says them.
fn measured(line: &str) -> (usize, usize, u64) {
    let numbers: Vec<u64> =
        line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let [cycles, tasks, resident] = numbers[..] else { panic!("three numbers, not {line:?}") };
    (cycles as usize, tasks as usize, resident)
}

/// In a process of its own, so that no other test's memory is counted.
#[test]
fn a_thousand_cycles_leave_neither_tasks_nor_memory() {
    let name = mosaik_tests::unique_name();
    let process = NodeProcess::start(env!("CARGO_BIN_EXE_test-node"), &[&name, "cycles"]);
    let (settled, tasks, resident) = measured(&process.line());
    let (cycles, tasks_left, grown) = measured(&process.line());
    assert_eq!((settled, cycles), (200, 1_000));
    println!("resident: {resident} bytes after {settled} cycles, {grown} after {cycles}");
    assert!(tasks_left <= tasks, "{tasks} tasks have become {tasks_left}");
    assert!(grown <= resident + resident / 20, "{resident} bytes have become {grown}");
}
