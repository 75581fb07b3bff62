//! An honest pair in processes of their own, one of which is attacked.

use std::{
    fs::{self, File},
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use super::attacks::Attack;
use crate::{Process, scaled, secs};

/// How long a process may take to say what it is asked, on a busy machine.
const PATIENCE: Duration = secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// A process with what it wrote to its error output.
#[derive(Debug)]
pub(super) struct Program {
    process: Process,
    log: File,
}

impl Program {
    fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = tempfile::tempfile()?;
        let mut command = Command::new(program);
        let process = Process::start(command.args(arguments).stderr(log.try_clone()?))
            .with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self { process, log })
    }

    /// The next line that it prints.
    pub(super) fn line(&mut self, limit: Duration) -> anyhow::Result<String> {
        match self.process.line_within(limit) {
            Some(line) => Ok(line),
            None => bail!("it says nothing: {}", self.log()?),
        }
    }

    /// What it says when it is asked.
    fn ask(&mut self) -> anyhow::Result<String> {
        if self.process.say("report").is_err() {
            bail!("it has ended: {}", self.log()?);
        }
        self.line(PATIENCE)
    }

    /// In MiB.
    fn memory(&self, field: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("the kernel says how much memory a process has")? / 1024)
    }

    /// Seconds of CPU time so far; none if it has ended.
    pub(super) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        // The kernel counts in hundredths of a second on every platform that Rust supports.
        (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
    }

    fn log(&mut self) -> anyhow::Result<String> {
        let mut text = String::new();
        self.log.rewind()?;
        self.log.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// What the attacked node says of itself.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) at: Instant,
    /// Datums from its honest peer.
    pub(super) received: u64,
    /// What it refused since it started, by reason.
    pub(super) refused: String,
}

impl Report {
    /// Whether the node counts what it must.
    pub(super) fn counts(&self, attack: Attack) -> bool {
        let counted = |reason: &&str| self.refused.contains(&format!("\"{reason}\""));
        attack.expected().iter().all(|reasons| reasons.iter().any(counted))
    }
}

/// An attacked node and its honest peer.
#[derive(Debug)]
pub(super) struct Pair {
    program: PathBuf,
    name: String,
    ticket: String,
    directory: TempDir,
    node: Program,
    honest: Program,
}

impl Pair {
    /// Starts the pair with the `hostile` program.
    pub(super) fn start(program: &Path) -> anyhow::Result<Self> {
        let name = crate::unique_name();
        let directory = crate::private_dir()?;
        let path = directory.path().to_str().context("a path of ASCII characters")?;
        let mut node = Program::start(program, &["node", &name, path])?;
        let ticket = node.line(PATIENCE)?;
        let mut honest = Program::start(program, &["honest", &name, &ticket])?;
        honest.line(PATIENCE)?;
        let program = program.into();
        let mut pair = Self { program, name, ticket, directory, node, honest };
        pair.go_on().context("nothing flows")?;
        Ok(pair)
    }

    /// Starts the attackers.
    pub(super) fn attackers(&self, attack: Attack, span: Duration) -> anyhow::Result<Program> {
        let directory = self.directory.path().to_str().context("a path of ASCII characters")?;
        let seconds = span.as_secs_f64().to_string();
        let whom = [self.name.as_str(), &self.ticket, directory];
        Program::start(
            &self.program,
            &[&["attack"], &whom[..], &[attack.name(), &seconds]].concat(),
        )
    }

    pub(super) fn report(&mut self) -> anyhow::Result<Report> {
        let line = self.node.ask()?;
        let (received, refused) = line.split_once(' ').context("a count and more")?;
        Ok(Report { at: Instant::now(), received: received.parse()?, refused: refused.into() })
    }

    /// Waits until both have received more than now. Says what the node counts then.
    pub(super) fn go_on(&mut self) -> anyhow::Result<Report> {
        let received = |pair: &mut Self| -> anyhow::Result<[u64; 2]> {
            Ok([pair.report()?.received, pair.honest.ask()?.parse()?])
        };
        let before = received(self)?;
        let deadline = Instant::now() + scaled(PATIENCE);
        loop {
            let now = received(self)?;
            if now.iter().zip(before).all(|(now, before)| *now > before) {
                return self.report();
            }
            let late = Instant::now() > deadline;
            ensure!(!late, "honest peers stand still: {before:?}, then {now:?}");
            thread::sleep(LOOK);
        }
    }

    /// Datums a second over this time.
    pub(super) fn rate(&mut self, span: Duration) -> anyhow::Result<f64> {
        let before = self.report()?;
        thread::sleep(span);
        let after = self.report()?;
        let elapsed = (after.at - before.at).as_secs_f64();
        Ok((after.received - before.received) as f64 / elapsed)
    }

    /// Seconds of CPU time of the attacked node.
    pub(super) fn cpu(&self) -> f64 {
        self.node.cpu()
    }

    /// What the attacked node has in memory, and the most that it had, in MiB.
    pub(super) fn memory(&self) -> anyhow::Result<[u64; 2]> {
        Ok([self.node.memory("VmRSS:")?, self.node.memory("VmHWM:")?])
    }

    /// Ends both: all that was sent has come, and the node has not panicked.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.honest.process.end_input();
        let sent: u64 = self.honest.line(PATIENCE)?.parse().context("how much was sent")?;
        let deadline = Instant::now() + scaled(PATIENCE);
        loop {
            let received = self.report()?.received;
            if received == sent {
                break;
            }
            ensure!(received < sent, "{sent} were sent, {received} received");
            ensure!(Instant::now() < deadline, "{sent} were sent, only {received} received");
            thread::sleep(LOOK);
        }
        self.node.process.end_input();
        let ended = self.node.process.end_within(PATIENCE)?;
        let log = self.node.log()?;
        let status = ended.with_context(|| format!("the node does not end: {log}"))?;
        ensure!(status.success(), "the node ended with {status}: {log}");
        ensure!(!log.contains("panicked"), "the node panicked: {log}");
        Ok(())
    }
}
