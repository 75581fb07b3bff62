//! The attacks one after the other, each beside the honest pair's own traffic, in processes of
//! their own: what the pair loses, and what the attacked node spends.

use std::{
    fmt,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use super::attacks::Attack;
use crate::{scaled, secs};

/// What the attacked node may take, in MiB.
const MEMORY_MAX_MIB: u64 = 256;
/// The part of the undisturbed rate that must be left.
const GOAL: f64 = 0.5;
/// How long an attack goes on before the rate is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// Refusals are counted and published so long after an attack, at the latest.
const COUNTED_AFTER: Duration = Duration::from_secs(8);

/// How long each part takes.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The rate is measured for so long without an attack, before each.
    pub quiet: Duration,
    /// Each attack lasts so long.
    pub attack: Duration,
}

/// What one attack did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which one.
    pub attack: Attack,
    /// How often the attackers tried.
    pub tries: u64,
    /// How often they were let in.
    pub entered: u64,
    /// Datums a second of the honest pair, before and during the attack.
    pub rates: [f64; 2],
    /// Cores that the attacked node and the attackers used.
    pub cores: [f64; 2],
    /// The attacked node's resident memory after it, in MiB.
    pub resident_mib: u64,
    /// The most that it had, in MiB.
    pub most_mib: u64,
    /// What the node refused since it started, as it says itself.
    pub refused: String,
}

impl Outcome {
    /// Whether enough of the undisturbed rate was left.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.ratio() >= GOAL
    }

    /// Whether the attack took place, and the node counted what it must.
    #[must_use]
    pub fn took_place(&self) -> bool {
        let inside = self.entered > 0 || !self.attack.is_from_within();
        inside && self.tries > 0 && counts(&self.refused, self.attack)
    }

    /// The part of the undisturbed rate that was left.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.rates[1] / self.rates[0]
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attack, tries, rates: [quiet, attacked], cores: [node, attackers], .. } = self;
        let ratio = self.ratio();
        let verdict = if self.is_met() { "met" } else { "short" };
        write!(
            f,
            "figure: hostile/{attack} | quiet {quiet:.0}/s | attacked {attacked:.0}/s | ratio \
             {ratio:.2} | goal {GOAL} | {verdict} | tries {tries}, let in {} | cores: node {node:.2}, \
             attackers {attackers:.2} | resident {} MiB",
            self.entered, self.resident_mib
        )
    }
}

/// An attacked node and its honest peer.
#[derive(Debug)]
pub struct Campaign {
    program: PathBuf,
    name: String,
    ticket: String,
    node: Process,
    honest: Process,
}

fn counts(refused: &str, attack: Attack) -> bool {
    let counted = |reason: &&str| refused.contains(&format!("\"{reason}\""));
    attack.expected().iter().all(|reasons| reasons.iter().any(counted))
}

/// A child that is killed when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: File,
}

impl Process {
    fn start(program: &PathBuf, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = tempfile::tempfile()?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let stdout = BufReader::new(child.stdout.take().context("its output is piped")?);
        let (sender, lines) = mpsc::channel();
        // A blocking read needs a thread; it ends with the process.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, log })
    }

    /// What it says when it is asked.
    fn ask(&mut self) -> anyhow::Result<String> {
        let input = self.child.stdin.as_mut().context("its input is open")?;
        let asked = writeln!(input, "report").and_then(|()| input.flush());
        match asked.map_err(anyhow::Error::from).and_then(|()| self.line()) {
            Ok(line) => Ok(line),
            Err(error) => bail!("it says nothing ({error}): {}", self.log()?),
        }
    }

    fn line(&self) -> anyhow::Result<String> {
        Ok(self.lines.recv_timeout(scaled(secs(20)))?)
    }

    fn status(&self, field: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("the kernel says how much memory a process has")? / 1024)
    }

    /// Seconds of CPU time so far; none if it has ended.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
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

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the attacked node says of itself.
#[derive(Debug)]
struct Report {
    at: Instant,
    received: u64,
    refused: String,
}

impl Campaign {
    /// Starts the honest pair with the `hostile` program.
    fn start(program: PathBuf) -> anyhow::Result<Self> {
        let name = crate::unique_name();
        let node = Process::start(&program, &["node", &name])?;
        let ticket = node.line()?;
        let honest = Process::start(&program, &["honest", &name, &ticket])?;
        honest.line()?;
        let mut campaign = Self { program, name, ticket, node, honest };
        let deadline = Instant::now() + scaled(secs(10));
        while campaign.received()?.contains(&0) {
            ensure!(Instant::now() < deadline, "nothing flows");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(campaign)
    }

    /// What the node and its honest peer have received.
    fn received(&mut self) -> anyhow::Result<[u64; 2]> {
        Ok([self.report()?.received, self.honest.ask()?.parse()?])
    }

    /// One attack on a node that was not attacked before.
    ///
    /// # Errors
    /// As those of its parts.
    pub fn once(program: PathBuf, attack: Attack, scale: Scale) -> anyhow::Result<Outcome> {
        let mut campaign = Self::start(program)?;
        let outcome = campaign.attack(attack, scale)?;
        campaign.end()?;
        Ok(outcome)
    }

    /// Waits until both have received more, and the node has counted what it refused.
    fn recover(&mut self, attack: Attack) -> anyhow::Result<String> {
        let before = self.received()?;
        let begun = Instant::now();
        loop {
            let now = self.received()?;
            let refused = self.report()?.refused;
            let goes_on = now.iter().zip(before).all(|(now, before)| *now > before);
            if goes_on && counts(&refused, attack) {
                return Ok(refused);
            }
            if begun.elapsed() > scaled(COUNTED_AFTER) {
                ensure!(goes_on, "{attack}: honest peers stand still: {before:?}, then {now:?}");
                return Ok(refused);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn report(&mut self) -> anyhow::Result<Report> {
        let line = self.node.ask()?;
        let (received, refused) = line.split_once(' ').context("a count and more")?;
        Ok(Report { at: Instant::now(), received: received.parse()?, refused: refused.into() })
    }

    /// Datums a second over this time.
    fn rate(&mut self, span: Duration) -> anyhow::Result<f64> {
        let before = self.report()?;
        thread::sleep(span);
        let after = self.report()?;
        let elapsed = (after.at - before.at).as_secs_f64();
        Ok((after.received - before.received) as f64 / elapsed)
    }

    /// Attacks the node in one way.
    fn attack(&mut self, attack: Attack, scale: Scale) -> anyhow::Result<Outcome> {
        let scale = Scale { attack: scale.attack.max(attack.least()), ..scale };
        let quiet = self.rate(scale.quiet)?;
        let seconds = scale.attack.as_secs_f64().to_string();
        let arguments = ["attack", &self.name, &self.ticket, attack.name(), &seconds];
        let attackers = Process::start(&self.program, &arguments)?;
        thread::sleep(WARM_UP.min(scale.attack / 4));
        let cpu = |this: &Self| [this.node.cpu(), attackers.cpu()];
        let (before, begun) = (cpu(self), Instant::now());
        let attacked = self.rate(scale.attack.mul_f64(0.6))?;
        let (after, elapsed) = (cpu(self), begun.elapsed().as_secs_f64());
        let said = attackers.line()?;
        let (tries, entered) = said.split_once(' ').context("two numbers")?;
        drop(attackers);
        let refused = self.recover(attack)?;
        let outcome = Outcome {
            attack,
            tries: tries.parse()?,
            entered: entered.parse()?,
            rates: [quiet, attacked],
            cores: [0, 1].map(|at| (after[at] - before[at]).max(0.0) / elapsed),
            resident_mib: self.node.status("VmRSS:")?,
            most_mib: self.node.status("VmHWM:")?,
            refused,
        };
        self.check()?;
        Ok(outcome)
    }

    /// Whether both live, and the node has kept within its memory and has not panicked.
    fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.honest.child.try_wait()? {
            bail!("the honest peer ended with {status}: {}", self.honest.log()?);
        }
        let most = self.node.status("VmHWM:")?;
        ensure!(most < MEMORY_MAX_MIB, "the node took {most} MiB");
        let log = self.node.log()?;
        ensure!(!log.contains("panicked"), "the node panicked: {log}");
        Ok(())
    }

    /// Ends both.
    fn end(mut self) -> anyhow::Result<()> {
        self.check()?;
        drop(self.node.child.stdin.take());
        let status = self.node.child.wait()?;
        ensure!(status.success(), "the node ended with {status}: {}", self.node.log()?);
        Ok(())
    }
}
