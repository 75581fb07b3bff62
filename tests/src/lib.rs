//! What the integration tests share: time limits, networks of their own, processes.

use std::{
    env, fs,
    future::Future,
    io,
    os::unix::fs::PermissionsExt,
    panic::Location,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mosaik::network::NetworkBuilder;
use mosaik::{Network, UniqueId};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

pub mod campaign;
pub mod converge;
mod counter;
pub mod hostile;
pub mod netns;
mod process;

pub use counter::{Counter, PANIC};
pub use process::{NodeProcess, Process};

/// How often [`eventually`] looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// `limit`, longer on a slow machine: times `TIME_FACTOR`.
#[must_use]
pub fn scaled(limit: Duration) -> Duration {
    let factor = env::var("TIME_FACTOR").ok().and_then(|text| text.parse::<f64>().ok());
    limit.mul_f64(factor.filter(|factor| *factor > 0.0).unwrap_or(1.0))
}

/// A limit in seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Awaits `future` for at most `limit`.
///
/// # Panics
/// When it takes longer.
#[track_caller]
pub fn within<F: Future>(
    limit: Duration,
    what: &str,
    future: F,
) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        let limit = scaled(limit);
        timeout(limit, future)
            .await
            .unwrap_or_else(|_| panic!("{caller}: {what} took longer than {limit:?}"))
    }
}

/// Waits until `condition` holds, for at most `limit`, and tells how long it took.
///
/// # Panics
/// When it does not hold in time.
#[track_caller]
pub fn eventually(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> impl Future<Output = Duration> {
    let begun = Instant::now();
    let holds = async move {
        while !condition() {
            sleep(LOOK_AGAIN).await;
        }
    };
    let bounded = within(limit, what, holds);
    async move {
        bounded.await;
        begun.elapsed()
    }
}

/// Logs to the terminal when `TEST_TRACE` asks for it: `on`, `debug`, `trace`, `info`, ...
pub fn trace() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(level) = env::var("TEST_TRACE") else { return };
        let level = match level.as_str() {
            "on" | "true" | "1" => "debug",
            other => other,
        };
        let filter = EnvFilter::new(format!("warn,mosaik={level}"));
        let lines = tracing_subscriber::fmt().with_timer(TestTime(Instant::now()));
        lines.with_env_filter(filter).with_test_writer().init();
    });
}

/// Seconds since the first trace, by the clock of the test: a simulation's is virtual.
struct TestTime(Instant);

impl FormatTime for TestTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:9.3}", self.0.elapsed().as_secs_f64())
    }
}

/// The name of a network that no other test uses.
#[must_use]
pub fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{count}-{}", std::process::id(), UniqueId::random())
}

/// A directory of this user alone.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir() -> io::Result<TempDir> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700))?;
    Ok(dir)
}

/// A builder for a node on loopback that finds no other by itself.
pub fn lone(network: &str) -> NetworkBuilder {
    use mosaik::discovery::Config;
    trace();
    let loopback = "127.0.0.1:0".parse().expect("an address");
    Network::builder(network)
        .offline()
        .bind(loopback)
        .with_discovery(Config::builder().with_local(false).with_mdns(false))
}

/// Nodes on loopback that all know each other.
///
/// # Panics
/// When they do not find each other within 10 s.
pub async fn nodes<const N: usize>() -> [Network; N] {
    let nodes = strangers(&unique_name(), N).await;
    discover_all(&nodes).await;
    nodes.try_into().expect("as many nodes as were built")
}

/// Nodes on loopback that do not know each other.
///
/// # Panics
/// When one does not start.
pub async fn strangers(network: &str, count: usize) -> Vec<Network> {
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        nodes.push(lone(network).build().await.expect("a node on loopback starts"));
    }
    nodes
}

/// Has every node sync with every other.
///
/// # Panics
/// When one sync takes longer than 5 s or fails.
pub async fn discover_all(nodes: &[Network]) {
    let syncs = nodes.iter().flat_map(|a| {
        let others = nodes.iter().filter(|b| a.local().id() != b.local().id());
        others.map(|b| {
            let sync = a.discovery().sync_with(b.local().addr());
            within(secs(5), "a sync of two nodes", sync)
        })
    });
    for synced in futures::future::join_all(syncs).await {
        synced.expect("nodes on loopback can sync");
    }
}

/// Resident memory of this process in bytes.
///
/// # Panics
/// Where `/proc` cannot be read.
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.expect("the kernel says how much memory is resident") * 1024
}
