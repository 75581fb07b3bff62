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

use super::nodes::{FromNodes, Nodes};

/// How long a test on loopback may take, times `TIME_FACTOR`.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a simulated test may take, in simulated time.
const SIMULATED_LIMIT: Duration = Duration::from_secs(600);

/// What a test asks for.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
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
    let mut seed = first_seed;
    loop {
        let runtime = build(Builder::new_current_thread().start_paused(true));
        let nodes = Nodes::simulated(scenario.nodes, seed);
        let run = AssertUnwindSafe(|| run_once(runtime, limit, nodes, &body));
        let output = catch_unwind(run).unwrap_or_else(|panic| {
            eprintln!("the test failed with `seed = {seed}`");
            resume_unwind(panic)
        });
        if output.failed() {
            eprintln!("the test failed with `seed = {seed}`");
            return output;
        }
        seed = seed.wrapping_add(1);
        if seed.wrapping_sub(first_seed) >= runs {
            return output;
        }
    }
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
    fn a_factor_that_is_no_factor_is_one() {
        assert_eq!(time_factor(Some("2.5")), 2.5);
        for wrong in [None, Some(""), Some("fast"), Some("-1"), Some("0"), Some("inf")] {
            assert_eq!(time_factor(wrong), 1.0, "{wrong:?}");
        }
    }
}
