//! Printing figures: each case beside its twin, alternating, one line a case.

#[allow(dead_code, reason = "each bench uses some")]
pub mod process;

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use mosaik::futures::FutureExt;
use serde_json::{Value, json};

/// How often case and twin are measured, in turns: an odd number, for the median.
const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 3;

/// What is measured, and which way is better.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each bench uses some")]
pub enum Unit {
    /// Things a second; more is better.
    PerSecond,
    /// Bytes a second; more is better.
    BytesPerSecond,
    /// Seconds; less is better.
    Seconds,
    /// Bytes; less is better.
    Bytes,
    /// A share of one; less is better.
    Share,
}

/// The goal of a case.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each bench uses some")]
pub enum Goal {
    /// As a ratio to its twin.
    Ratio(f64),
    /// By itself, whatever the twin does; in the unit of the case.
    Itself(f64),
    /// None is set: the figure is there to be compared with later ones.
    None,
}

impl Goal {
    /// Whether it is met; none is always met.
    fn is_met(self, unit: Unit, value: f64, ratio: f64) -> bool {
        let (value, goal) = match self {
            Self::Ratio(goal) => (ratio, goal),
            Self::Itself(goal) => (value, goal),
            Self::None => return true,
        };
        match unit {
            Unit::PerSecond | Unit::BytesPerSecond => value >= goal,
            Unit::Seconds | Unit::Bytes | Unit::Share => value <= goal,
        }
    }

    fn shown(self, unit: Unit) -> String {
        match self {
            Self::Ratio(ratio) => format!("{ratio:.2}"),
            Self::Itself(value) => Shown(value, unit).to_string(),
            Self::None => "none".to_owned(),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Ratio(ratio) => json!(ratio),
            Self::Itself(value) => json!({ "ours": value }),
            Self::None => Value::Null,
        }
    }
}

/// The cases of one bench.
pub struct Figures {
    subsystem: &'static str,
    quick: bool,
    filter: Option<String>,
    json: Option<PathBuf>,
    results: Vec<Value>,
    begun: Instant,
}

impl Figures {
    /// Reads the command line: `[NAME] [--quick] [--json FILE]`.
    pub fn from_args(subsystem: &'static str) -> Self {
        let mut this = Self {
            subsystem,
            quick: false,
            filter: None,
            json: None,
            results: Vec::new(),
            begun: Instant::now(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => this.quick = true,
                "--json" => this.json = args.next().map(PathBuf::from),
                // What cargo adds.
                "--bench" | "--test" => {}
                name => this.filter = Some(name.to_owned()),
            }
        }
        this
    }

    /// Whether the run should be short.
    #[allow(dead_code, reason = "each bench uses some")]
    pub fn is_quick(&self) -> bool {
        self.quick
    }

    fn rounds(&self) -> usize {
        if self.quick { QUICK_ROUNDS } else { ROUNDS }
    }

    /// How long one measurement should take.
    pub fn span(&self) -> Duration {
        if self.quick { Duration::from_millis(700) } else { Duration::from_secs(3) }
    }

    /// Whether the case of this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }

    /// Measures a case and its twin by turns and prints the line.
    #[allow(dead_code, reason = "each bench uses some")]
    pub async fn compare<O, T>(
        &mut self,
        name: &str,
        unit: Unit,
        goal: Goal,
        mut ours: impl FnMut(Duration) -> O,
        mut twin: impl FnMut(Duration) -> T,
    ) where
        O: Future<Output = f64>,
        T: Future<Output = f64>,
    {
        let ours = |span| ours(span).map(|value| [value]);
        let twin = |span| twin(span).map(|value| [value]);
        self.compare_all([(name, unit, goal)], ours, twin).await;
    }

    /// Measures several cases that one run gives together, and prints a line for each.
    pub async fn compare_all<const CASES: usize, O, T>(
        &mut self,
        cases: [(&str, Unit, Goal); CASES],
        mut ours: impl FnMut(Duration) -> O,
        mut twin: impl FnMut(Duration) -> T,
    ) where
        O: Future<Output = [f64; CASES]>,
        T: Future<Output = [f64; CASES]>,
    {
        if !cases.iter().any(|(name, ..)| self.wants(name)) {
            return;
        }
        let span = self.span();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..self.rounds() {
            // Who goes first changes, so that neither profits from a warm machine.
            if round % 2 == 0 {
                a.push(ours(span).await);
                b.push(twin(span).await);
            } else {
                b.push(twin(span).await);
                a.push(ours(span).await);
            }
        }
        for (at, (name, unit, goal)) in cases.into_iter().enumerate() {
            let of = |rounds: &[[f64; CASES]]| Spread::of(rounds.iter().map(|r| r[at]).collect());
            self.print(name, unit, goal, of(&a), Some(of(&b)));
        }
    }

    /// Measures several cases that one run gives together and that have no twin, and prints a line
    /// for each.
    #[allow(dead_code, reason = "each bench uses some")]
    pub async fn alone_all<const CASES: usize, O>(
        &mut self,
        cases: [(&str, Unit, Goal); CASES],
        mut ours: impl FnMut(Duration) -> O,
    ) where
        O: Future<Output = [f64; CASES]>,
    {
        if !cases.iter().any(|(name, ..)| self.wants(name)) {
            return;
        }
        let mut all = Vec::new();
        for _ in 0..self.rounds() {
            all.push(ours(self.span()).await);
        }
        for (at, (name, unit, goal)) in cases.into_iter().enumerate() {
            let spread = Spread::of(all.iter().map(|round| round[at]).collect());
            self.print(name, unit, goal, spread, None);
        }
    }

    fn print(&mut self, name: &str, unit: Unit, goal: Goal, ours: Spread, twin: Option<Spread>) {
        let ratio = twin.as_ref().map(|twin| ours.median / twin.median);
        let met = goal.is_met(unit, ours.median, ratio.unwrap_or(f64::NAN));
        let or_none = |shown: Option<String>| shown.unwrap_or_else(|| "none".to_owned());
        let range = |of: &Spread| format!("{} to {}", Shown(of.min, unit), Shown(of.max, unit));
        println!(
            "figure: {}/{name} | ours {} | twin {} | ratio {} | goal {} | {} | ours {} | twin {}",
            self.subsystem,
            Shown(ours.median, unit),
            or_none(twin.as_ref().map(|twin| Shown(twin.median, unit).to_string())),
            or_none(ratio.map(|ratio| format!("{ratio:.2}"))),
            goal.shown(unit),
            if met { "met" } else { "short" },
            range(&ours),
            or_none(twin.as_ref().map(range)),
        );
        self.results.push(json!({
            "figure": format!("{}/{name}", self.subsystem),
            "unit": format!("{unit:?}"),
            "ours": ours.json(),
            "twin": twin.map(|twin| twin.json()),
            "ratio": ratio,
            "goal": goal.json(),
            "met": met,
        }));
    }

    /// Writes the file that was asked for.
    pub fn finish(self) {
        println!("measured in {:.0?}", self.begun.elapsed());
        if let Some(path) = self.json {
            let text = serde_json::to_string_pretty(&self.results).expect("figures are plain data");
            if let Err(error) = std::fs::write(&path, text) {
                eprintln!("{}: {error}", path.display());
                std::process::exit(1);
            }
        }
    }
}

/// Counts things as they arrive, and gives their rate without the time of warming up: a fifth of
/// the span, in which windows open and the path's packet size is found.
#[allow(dead_code, reason = "each bench uses some")]
pub struct Meter {
    warm: Instant,
    count: u64,
    from: Option<(u64, Instant)>,
}

#[allow(dead_code, reason = "each bench uses some")]
impl Meter {
    /// Begins to warm up.
    pub fn new(span: Duration) -> Self {
        Self { warm: Instant::now() + span / 5, count: 0, from: None }
    }

    /// How many have arrived.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// One has arrived.
    #[inline]
    pub fn tick(&mut self) {
        self.count += 1;
        if self.from.is_none() && self.count.is_multiple_of(64) {
            let now = Instant::now();
            self.from = (now >= self.warm).then_some((self.count, now));
        }
    }

    /// How many arrived in a second since it was warm.
    pub fn rate(&self) -> f64 {
        self.from.map_or(f64::NAN, |(count, since)| {
            (self.count - count) as f64 / since.elapsed().as_secs_f64()
        })
    }
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { median: values[values.len() / 2], min: values[0], max: values[values.len() - 1] }
    }

    fn json(&self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

struct Shown(f64, Unit);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, unit) = *self;
        match unit {
            Unit::PerSecond if value >= 1e6 => write!(f, "{:.2} M/s", value / 1e6),
            Unit::PerSecond if value >= 1e3 => write!(f, "{:.1} k/s", value / 1e3),
            Unit::PerSecond => write!(f, "{value:.1} /s"),
            Unit::BytesPerSecond => write!(f, "{:.0} MB/s", value / 1e6),
            Unit::Seconds if value >= 1.0 => write!(f, "{value:.2} s"),
            Unit::Seconds if value >= 1e-3 => write!(f, "{:.2} ms", value * 1e3),
            Unit::Seconds => write!(f, "{:.1} us", value * 1e6),
            Unit::Bytes if value >= 1e6 => write!(f, "{:.2} MB", value / 1e6),
            Unit::Bytes => write!(f, "{:.0} kB", value / 1e3),
            Unit::Share => write!(f, "{:.2} %", value * 100.0),
        }
    }
}

/// The median of measured times, in seconds.
#[allow(dead_code, reason = "each bench uses some")]
pub fn median(times: Vec<Duration>) -> f64 {
    quantile_of(times, 0.5)
}

/// A quantile of measured times, in seconds.
#[allow(dead_code, reason = "each bench uses some")]
pub fn quantile_of(mut times: Vec<Duration>, quantile: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len() as f64 * quantile) as usize;
    times.get(at).map_or(f64::NAN, Duration::as_secs_f64)
}
