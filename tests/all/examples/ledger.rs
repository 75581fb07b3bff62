//! `cargo run --example ledger`, three times and once more.

use std::{process::Command, time::Duration};

use mosaik_tests::{Process, secs, unique_name};

const PATIENCE: Duration = secs(30);

/// Somebody at one of the bank's terminals.
struct Teller(Process);

impl Teller {
    fn start(network: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
        Self(Process::start(command.args(["--network", network])).unwrap())
    }

    fn say(&mut self, line: &str) {
        self.0.say(line).unwrap();
    }

    /// The next line that `is_it`; what comes before is news.
    fn hears(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut heard = Vec::new();
        while let Some(line) = self.0.line_within(PATIENCE) {
            if is_it(&line) {
                return line;
            }
            heard.push(line);
        }
        panic!("no {what}, but {heard:?}");
    }

    fn hears_line(&self, line: &str) {
        self.hears(line, |heard| heard == line);
    }

    /// Gives a command; what is answered.
    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hears(&format!("answer to `{line}`"), |heard| !heard.starts_with("* "))
    }

    /// The same, until it is done: while there is no leader, nothing is.
    fn ask_patiently(&mut self, line: &str) -> String {
        loop {
            let answer = self.ask(line);
            // A command whose outcome is not known must not be given twice.
            if answer != "failed: the group has no leader; nothing was applied" {
                return answer;
            }
        }
    }

    /// Everybody who is here, as this one sees it.
    fn who(&mut self) -> String {
        self.say("who");
        self.hears("list of members", |line| line.starts_with("* Here are "))
    }

    fn leads(&mut self) -> bool {
        self.who().contains(" (you) (leads)")
    }

    fn quits(mut self) {
        self.say("quit");
        let status = self.0.end_within(PATIENCE).unwrap();
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}

#[test]
fn a_bank_forms_by_itself_and_outlives_its_leader() {
    let network = unique_name();
    let mut tellers: Vec<_> = (0..3).map(|_| Teller::start(&network)).collect();
    tellers.iter().for_each(|teller| teller.hears_line("* The bank is open"));
    assert_eq!(tellers[0].ask("deposit ann 5"), "ann has 5");
    assert_eq!(tellers[1].ask("transfer ann bob 2"), "ann has 3");
    assert_eq!(tellers[2].ask("transfer ann bob 4"), "refused: there is only 3");
    assert_eq!(tellers[2].ask("balance bob"), "bob has 2");
    assert_eq!(tellers[0].ask("balance eve"), "there is no account eve");
    assert_eq!(tellers[0].ask("deposit ann much"), "`much` is no amount");

    let leaders: Vec<bool> = tellers.iter_mut().map(Teller::leads).collect();
    let leader = leaders.iter().position(|leads| *leads).expect("somebody leads");
    assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
    tellers.remove(leader).0.kill();
    tellers.iter().for_each(|teller| {
        teller.hears("new leader", |line| line.ends_with(" leads") || line == "* You lead");
    });
    assert_eq!(tellers[0].ask_patiently("deposit ann 4"), "ann has 7");
    assert_eq!(tellers[1].ask_patiently("accounts"), "ann 7, bob 2");

    let mut late = Teller::start(&network);
    late.hears_line("* The bank is open");
    assert_eq!(late.ask_patiently("accounts"), "ann 7, bob 2");
    assert_eq!(late.ask_patiently("transfer bob ann 2"), "bob has 0");
    // Ten seconds of silence, and the new one has the vote of the dead.
    let told: Vec<_> = tellers.iter_mut().map(|teller| (teller.leads(), teller)).collect();
    let (_, leader) = told.into_iter().find(|(leads, _)| *leads).expect("one of the two leads");
    leader.hears("removal", |line| line.ends_with("votes no more: silent for too long"));
    // So another may go.
    tellers.remove(0).quits();
    assert_eq!(late.ask_patiently("accounts"), "ann 9, bob 0");
    assert_eq!(tellers[0].ask_patiently("balance ann"), "ann has 9");
}
