//! A test as its attribute describes it, and how it is run.

use std::{
    env,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{
    nodes::{FromNodes, Nodes},
    simulation::paused_runtime,
};

/// How long a test on loopback may take, times `TIME_FACTOR`.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a simulated test may take, in simulated time.
const SIMULATED_LIMIT: Duration = Duration::from_secs(600);

/// Runs simulated tests with this seed alone.
const SEED: &str = "MOSAIK_SEED";

/// What a test asks for.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// The package and the path of the test, which begins with the name of its crate.
    test: Option<(&'static str, &'static str)>,
    nodes: usize,
    limit: Option<Duration>,
    simulation: Option<Simulation>,
}

#[derive(Debug, Clone, Copy)]
struct Simulation {
    first_seed: u64,
    runs: u64,
}

impl Scenario {
    /// A test on loopback, without nodes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which test of which package it is, so that a failure can say how to run it again.
    #[must_use]
    pub fn of(mut self, package: Option<&'static str>, path: &'static str) -> Self {
        self.test = package.map(|package| (package, path));
        self
    }

    /// On the simulated transport instead, once for each seed from `first_seed` on.
    #[must_use]
    pub fn simulated(mut self, first_seed: u64, runs: u64) -> Self {
        self.simulation = Some(Simulation { first_seed, runs });
        self
    }

    /// How long the test may take. Default: 30 s, or 10 minutes of simulated time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Adds the nodes of one parameter.
    #[must_use]
    pub fn nodes<P: FromNodes>(mut self) -> Self {
        self.nodes += P::COUNT;
        self
    }

    /// The command that runs the test with this seed alone.
    fn command(&self, seed: u64) -> String {
        let (package, path) = self.test.unwrap_or_default();
        // Filters know the path within the crate.
        let (_, path) = path.split_once("::").unwrap_or_default();
        match path {
            "" => format!("{SEED}={seed} cargo test"),
            path => format!("{SEED}={seed} cargo test -p {package} {path} -- --exact"),
        }
    }
}

/// Runs a test to its end.
///
/// # Panics
/// When `body` panics, or does not end within the time limit.
pub fn run<Fut>(scenario: Scenario, body: impl Fn(&mut Nodes) -> Fut) -> Fut::Output
where
    Fut: Future<Output: TestReturn>,
{
    let Some(Simulation { first_seed, runs }) = scenario.simulation else {
        let factor = time_factor(env::var("TIME_FACTOR").ok().as_deref());
        let limit = scenario.limit.unwrap_or(LIMIT).mul_f64(factor);
        let runtime = build(Builder::new_multi_thread().worker_threads(2));
        return run_once(runtime, limit, Nodes::on_loopback(scenario.nodes), &body);
    };
    let limit = scenario.limit.unwrap_or(SIMULATED_LIMIT);
    let (first_seed, runs) = match asked_seed(env::var(SEED).ok().as_deref()) {
        Some(seed) => (seed, 1),
        None => (first_seed, runs),
    };
    let mut seed = first_seed;
    loop {
        let nodes = Nodes::simulated(scenario.nodes, seed);
        let run = AssertUnwindSafe(|| run_once(paused_runtime(), limit, nodes, &body));
        let output = catch_unwind(run).unwrap_or_else(|panic| {
            report(&scenario, seed);
            resume_unwind(panic)
        });
        if output.failed() {
            report(&scenario, seed);
            return output;
        }
        seed = seed.wrapping_add(1);
        if seed.wrapping_sub(first_seed) >= runs {
            return output;
        }
    }
}

fn report(scenario: &Scenario, seed: u64) {
    eprintln!(
        "the test failed with `seed = {seed}`; to run that alone:\n{}",
        scenario.command(seed)
    );
}

/// The seed that the environment asks for.
fn asked_seed(text: Option<&str>) -> Option<u64> {
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("{SEED} is a number, not `{text}`")))
}

fn build(builder: &mut Builder) -> Runtime {
    builder.enable_all().build().expect("the operating system gives a test its runtime")
}

fn run_once<Fut: Future>(
    runtime: Runtime,
    limit: Duration,
    nodes: impl Future<Output = Nodes>,
    body: impl Fn(&mut Nodes) -> Fut,
) -> Fut::Output {
    let output = runtime.block_on(async {
        let whole = async {
            let mut nodes = nodes.await;
            body(&mut nodes).await
        };
        timeout(limit, whole)
            .await
            .unwrap_or_else(|_| panic!("the test took longer than {limit:?}"))
    });
    // A test that blocks a thread has ended all the same.
    runtime.shutdown_background();
    output
}

/// The factor that slow machines set; anything but a positive number is 1.
fn time_factor(text: Option<&str>) -> f64 {
    text.and_then(|text| text.parse().ok())
        .filter(|factor: &f64| factor.is_finite() && *factor > 0.0)
        .unwrap_or(1.0)
}

/// What a network test may return.
#[diagnostic::on_unimplemented(
    message = "a `#[mosaik::network_test]` cannot return `{Self}`",
    label = "expected `()` or a `Result` with an error that is `Debug`"
)]
pub trait TestReturn {
    /// Whether no further seed is to be tried.
    fn failed(&self) -> bool;
}

impl TestReturn for () {
    fn failed(&self) -> bool {
        false
    }
}

impl<T: TestReturn, E> TestReturn for Result<T, E> {
    fn failed(&self) -> bool {
        self.as_ref().is_ok_and(TestReturn::failed) || self.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_how_to_run_its_seed_alone() {
        let scenario = Scenario::new().of(Some("shop"), "shop::orders::tests::they_arrive");
        let command = "MOSAIK_SEED=7 cargo test -p shop orders::tests::they_arrive -- --exact";
        assert_eq!(scenario.command(7), command);
        assert_eq!(Scenario::new().of(None, "x::y").command(1), "MOSAIK_SEED=1 cargo test");
        assert_eq!(asked_seed(Some("7")), Some(7));
        assert_eq!(asked_seed(None), None);
    }

    #[test]
    fn a_factor_that_is_no_factor_is_one() {
        assert_eq!(time_factor(Some("2.5")), 2.5);
        for wrong in [None, Some(""), Some("fast"), Some("-1"), Some("0"), Some("inf")] {
            assert_eq!(time_factor(wrong), 1.0, "{wrong:?}");
        }
    }
}
