//! The attacks one after the other, each beside an honest pair's own traffic, in processes of
//! their own: what the pair loses, and what the attacked node spends.

use std::{
    fmt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{attacks::Attack, pair::Pair};
use crate::{scaled, secs};

/// What the attacked node may take, in MiB: 256 MB.
const MEMORY_MAX_MIB: u64 = 256_000_000 / (1024 * 1024);
/// The part of the undisturbed rate that must be left.
const GOAL: f64 = 0.5;
/// How long an attack goes on before the rate is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// Refusals are counted and published so long after an attack, at the latest.
const COUNTED_AFTER: Duration = Duration::from_secs(8);
/// The shortest attack of [`withstand`], and the last try on a machine that is very busy.
const SHORTEST: Duration = Duration::from_millis(800);
const LONGEST: Duration = secs(30);

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
    /// Whether that is what it must refuse.
    pub counted: bool,
}

impl Outcome {
    /// Whether enough of the undisturbed rate was left.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.ratio() >= GOAL
    }

    /// Whether the node kept within its memory.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.most_mib < MEMORY_MAX_MIB
    }

    /// Whether the attack took place, and the node counted what it must.
    #[must_use]
    pub fn took_place(&self) -> bool {
        let inside = self.entered > 0 || !self.attack.is_from_within();
        inside && self.tries > 0 && self.counted
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
             attackers {attackers:.2} | resident {} MiB, at most {} MiB of {MEMORY_MAX_MIB}",
            self.entered, self.resident_mib, self.most_mib
        )
    }
}

/// One attack on a node that was not attacked before, and what it costs the honest pair.
///
/// # Errors
/// When the node or its honest peer ends, stands still or panics, or something that was sent does
/// not come.
pub fn measure(program: &Path, attack: Attack, scale: Scale) -> anyhow::Result<Outcome> {
    let mut pair = Pair::start(program)?;
    let outcome = run(&mut pair, attack, scale)?;
    pair.end()?;
    Ok(outcome)
}

/// The same, as short as can be: for as long as it takes until the node has refused what it must,
/// however busy the machine is.
///
/// # Errors
/// As those of [`measure`].
pub fn withstand(program: &Path, attack: Attack) -> anyhow::Result<Outcome> {
    let mut pair = Pair::start(program)?;
    let mut lasts = SHORTEST;
    let outcome = loop {
        let scale = Scale { quiet: Duration::from_millis(100), attack: lasts };
        let outcome = run(&mut pair, attack, scale)?;
        lasts *= 3;
        if outcome.took_place() || lasts > LONGEST {
            break outcome;
        }
    };
    pair.end()?;
    Ok(outcome)
}

fn run(pair: &mut Pair, attack: Attack, scale: Scale) -> anyhow::Result<Outcome> {
    let span = scale.attack.max(attack.least());
    let quiet = pair.rate(scale.quiet)?;
    let mut attackers = pair.attackers(attack, span)?;
    thread::sleep(WARM_UP.min(span / 4));
    let (before, begun) = ([pair.cpu(), attackers.cpu()], Instant::now());
    let attacked = pair.rate(span.mul_f64(0.6))?;
    let (after, elapsed) = ([pair.cpu(), attackers.cpu()], begun.elapsed().as_secs_f64());
    let said = attackers.line(span + secs(60)).context("the attackers")?;
    let (tries, entered) = said.split_once(' ').context("two numbers")?;
    drop(attackers);
    let ended = Instant::now();
    let mut report = pair.go_on()?;
    while !report.counts(attack) && ended.elapsed() < scaled(COUNTED_AFTER) {
        thread::sleep(Duration::from_millis(50));
        report = pair.report()?;
    }
    let [resident_mib, most_mib] = pair.memory()?;
    Ok(Outcome {
        attack,
        tries: tries.parse()?,
        entered: entered.parse()?,
        rates: [quiet, attacked],
        cores: [0, 1].map(|at| (after[at] - before[at]).max(0.0) / elapsed),
        resident_mib,
        most_mib,
        counted: report.counts(attack),
        refused: report.refused,
    })
}
