//! `cargo run --example group-chat`, several times.

use std::{process::Command, time::Duration};

use mosaik_tests::{Process, secs, unique_name};

const PATIENCE: Duration = secs(30);
/// How many posts each member keeps for those who come late, as the example says.
const KEPT: usize = 20;

/// Somebody who is in the room.
struct Member(Process);

impl Member {
    /// Comes in by way of whom the arguments name.
    fn enter(network: &str, nickname: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_group-chat"));
        command.args(["--network", network, "--bind", "127.0.0.1:0", "--nickname", nickname]);
        Self(Process::start(command.args(arguments)).unwrap())
    }

    fn say(&mut self, line: &str) {
        self.0.say(line).unwrap();
    }

    /// Waits for a line that begins with this; says how it goes on.
    fn hears(&self, begin: &str) -> String {
        let mut heard = Vec::new();
        while let Some(line) = self.0.line_within(PATIENCE) {
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
            heard.push(line);
        }
        panic!("`{begin}` did not come, but {heard:?}");
    }

    /// What is said until these lines have come, in whatever order.
    fn hears_all(&self, mut last: Vec<String>) -> Vec<String> {
        let mut heard = Vec::new();
        while !last.is_empty() {
            let line = self.0.line_within(PATIENCE);
            let line = line.unwrap_or_else(|| panic!("{last:?} did not come, but {heard:?}"));
            last.retain(|awaited| *awaited != line);
            heard.push(line);
        }
        heard
    }

    fn leaves(mut self) {
        self.say("/quit");
        let status = self.0.end_within(PATIENCE).unwrap();
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}

#[test]
fn whoever_comes_late_is_shown_the_last_lines_of_everybody() {
    let network = unique_name();
    let mut alice = Member::enter(&network, "Alice", &[]);
    alice.say("/ticket");
    let ticket = alice.hears("* --bootstrap ");
    let mut bob = Member::enter(&network, "Bob", &["--bootstrap", &ticket]);
    // What comes through a pipe waits until somebody hears it: Bob hears all.
    let said: Vec<_> = (0..KEPT + 5).map(|number| format!("line {number}")).collect();
    said.iter().for_each(|line| alice.say(line));
    for line in &said {
        assert_eq!(bob.hears("Alice> "), *line);
    }
    bob.say("that is much");
    assert_eq!(alice.hears("Bob> "), "that is much");

    let carol = Member::enter(&network, "Carol", &["--bootstrap", &ticket]);
    let last = vec![format!("Alice> {}", said[said.len() - 1]), "Bob> that is much".into()];
    let heard = carol.hears_all(last);
    let of_alice: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("Alice> ")).collect();
    assert_eq!(of_alice, said[said.len() - KEPT..], "the last {KEPT}, in their order");
    alice.hears("* Carol has come");
    alice.say("hello Carol");
    assert_eq!(carol.hears("Alice> "), "hello Carol");
    [carol, bob, alice].into_iter().for_each(Member::leaves);
}
