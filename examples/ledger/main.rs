//! A bank that three processes run together: each has all accounts, and they agree on every change.
//!
//! In three terminals:
//!
//! ```sh
//! cargo run --example ledger
//! ```
//!
//! The three find each other, found the bank and elect a leader. Then type at any of them:
//! `deposit ann 5`, `transfer ann bob 2`, `balance ann`, `accounts`, `who`, `help`, `quit`.
//!
//! Kill the one that leads (`who` says which), with `kill -9` or by closing its terminal: the two
//! others elect another leader within some two seconds, and nothing is lost. Start another process,
//! and it gets all accounts and, ten seconds after the dead one was last heard of, its vote. Until
//! then both that are left are needed: two votes of three. The accounts are kept in memory. When
//! two of the three are gone at once, what the last one has cannot be changed any more; stop it, and
//! start anew.
//!
//! `bank.rs` is the bank, and the part to copy: a struct and its methods.

mod bank;

use mosaik::{
    Network, PeerId,
    groups::{CommandError, GroupEvent, GroupKey, QueryError},
    primitives::ShortFmtExt,
};
use mosaik_examples::{
    input,
    screen::{Screen, printable},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use bank::{Ledger, LedgerHandle, Refusal};

const HELP: &str = "deposit ACCOUNT AMOUNT, transfer FROM TO AMOUNT, balance ACCOUNT, accounts, \
                    who, help, quit";

// Nothing is logged that would disturb the screen; openraft warns of each heartbeat in vain.
#[mosaik::main("mosaik-examples", offline = true, log = "mosaik=warn")]
async fn main(network: Network) {
    let screen = Screen::new("ledger> ".into());
    let me = network.local().id();
    // Whoever knows the key is a member. Here everybody may; in earnest it is a secret.
    let ledger = Ledger::join(&network, GroupKey::from_secret("examples.ledger"));
    let events = ledger.events();
    screen.print(format!("* You are {}. The bank opens once there are three.", me.short()));
    tokio::select! {
        () = typing(&screen, &ledger, me) => {}
        () = tell(&screen, events, me) => {}
    }
    // In good order: a leader hands on, and the others need not find out by its silence. That it
    // was not heard matters to nobody here.
    let _ = ledger.leave().await;
}

/// Does what is typed. Ends with `quit` or the input.
async fn typing(screen: &Screen, ledger: &LedgerHandle, me: PeerId) {
    let mut input = input::lines();
    loop {
        screen.prompt();
        let Some(line) = input.recv().await else { return screen.end_prompt() };
        let line = printable(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            [] => continue,
            ["quit"] => return,
            ["help"] => HELP.into(),
            ["who"] => who(ledger, me),
            ["deposit", account, amount] => match amount.parse() {
                Ok(amount) => deposit(ledger, account, amount).await,
                Err(_) => not_an_amount(amount),
            },
            ["transfer", from, to, amount] => match amount.parse() {
                Ok(amount) => transfer(ledger, from, to, amount).await,
                Err(_) => not_an_amount(amount),
            },
            ["balance", account] => balance(ledger, account).await,
            ["accounts"] => accounts(ledger).await,
            _ => format!("? {HELP}"),
        };
        screen.print(answer);
    }
}

async fn deposit(ledger: &LedgerHandle, account: &str, amount: u64) -> String {
    // The group's answer, and in it that of the method: resolved when two of three have it, and
    // this member as well.
    changed(account, ledger.deposit(account.into(), amount).await)
}

async fn transfer(ledger: &LedgerHandle, from: &str, to: &str, amount: u64) -> String {
    changed(from, ledger.transfer(from.into(), to.into(), amount).await)
}

/// What became of a command.
fn changed(account: &str, done: Result<Result<u64, Refusal>, CommandError<Ledger>>) -> String {
    match done {
        Ok(Ok(balance)) => format!("{account} has {balance}"),
        Ok(Err(refusal)) => format!("refused: {refusal}"),
        // Each says whether the command was applied, or may still be.
        Err(error) => format!("failed: {error}"),
    }
}

async fn balance(ledger: &LedgerHandle, account: &str) -> String {
    // Reflects all that was answered before, to whomever; the leader is asked for that.
    match ledger.balance(account.into()).await {
        Ok(Some(balance)) => format!("{account} has {balance}"),
        Ok(None) => format!("there is no account {account}"),
        Err(error) => unanswered(ledger, &error),
    }
}

async fn accounts(ledger: &LedgerHandle) -> String {
    match ledger.accounts().await {
        Ok(accounts) if accounts.is_empty() => "there are no accounts".into(),
        Ok(accounts) => {
            let each = accounts.iter().map(|(account, balance)| format!("{account} {balance}"));
            each.collect::<Vec<_>>().join(", ")
        }
        Err(error) => unanswered(ledger, &error),
    }
}

/// Without a leader nobody knows what is true; what this member knows is still here.
fn unanswered(ledger: &LedgerHandle, error: &QueryError<Ledger>) -> String {
    let known = ledger.read(|ledger| ledger.accounts().len());
    format!("failed: {error}; this member knew {known} accounts when it last heard")
}

fn not_an_amount(text: &str) -> String {
    format!("`{text}` is no amount")
}

fn who(ledger: &LedgerHandle, me: PeerId) -> String {
    let leader = ledger.leader();
    let mut members = vec![me];
    members.extend(ledger.bonds().iter().map(|bond| bond.peer_id()));
    let name = |peer: &PeerId| {
        let you = if *peer == me { " (you)" } else { "" };
        let leads = if Some(*peer) == leader { " (leads)" } else { "" };
        format!("{}{you}{leads}", peer.short())
    };
    format!("* Here are {}", members.iter().map(name).collect::<Vec<_>>().join(", "))
}

/// Tells what happens in the group. Ends with it.
async fn tell(screen: &Screen, mut events: Receiver<GroupEvent>, me: PeerId) {
    loop {
        let line = match events.recv().await {
            Ok(GroupEvent::Online) => "* The bank is open".into(),
            Ok(GroupEvent::Offline) => "* The bank is closed for now".into(),
            Ok(GroupEvent::LeaderChanged { leader: Some(leader), .. }) if leader == me => {
                "* You lead".into()
            }
            Ok(GroupEvent::LeaderChanged { leader: Some(leader), .. }) => {
                format!("* {} leads", leader.short())
            }
            // The leader decides who votes, and tells.
            Ok(GroupEvent::VoterAdded(peer, why)) => {
                format!("* {} votes from now on: {why}", peer.short())
            }
            Ok(GroupEvent::VoterRemoved(peer, why)) => {
                format!("* {} votes no more: {why}", peer.short())
            }
            Ok(GroupEvent::TooManyFounders { founders, limit }) => {
                format!("* {founders} want to found the bank, and {limit} may at most")
            }
            Ok(GroupEvent::QuorumUnrecoverable { dead, voters }) => {
                format!("* {dead} of {voters} are gone for good: stop, and start anew")
            }
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        screen.print(line);
    }
}
