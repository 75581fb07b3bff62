//! Many callers of one member, each with one call after the other.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use mosaik::groups::{Consistency, Group};

use super::{Cluster, Counter, command};
use crate::figures::{Figures, Goal, Unit, median, quantile_of};

/// Calls a second, and how long one takes at the median and at the 99th percentile.
type Measured = [f64; 3];

/// Has so many tasks call, each again when it is answered. The first fifth is not counted.
async fn drive<C, F>(span: Duration, in_flight: usize, call: C) -> Measured
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let warm = Instant::now() + span / 5;
    let end = Instant::now() + span;
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                let (mut times, mut began) = (Vec::new(), Instant::now());
                while began < end {
                    call().await;
                    let now = Instant::now();
                    if began >= warm {
                        times.push(now - began);
                    }
                    began = now;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.expect("a caller"));
    }
    let rate = times.len() as f64 / (end - warm).as_secs_f64();
    [rate, median(times.clone()), quantile_of(times, 0.99)]
}

async fn commands(
    group: &Group<Counter>,
    span: Duration,
    in_flight: usize,
    size: usize,
) -> Measured {
    let (group, command) = (group.clone(), command(size));
    let call = move || {
        let executed = group.execute(command.clone());
        async move {
            executed.await.expect("executed");
        }
    };
    drive(span, in_flight, call).await
}

async fn queries(
    group: &Group<Counter>,
    span: Duration,
    in_flight: usize,
    consistency: Consistency,
) -> Measured {
    let group = group.clone();
    let call = move || {
        let asked = group.query((), consistency);
        async move {
            asked.await.expect("answered");
        }
    };
    drive(span, in_flight, call).await
}

/// The goals are for three members, small commands, and a caller at the leader.
fn command_goals(in_flight: usize) -> [Goal; 2] {
    match in_flight {
        1 => [Goal::None, Goal::Itself(200e-6)],
        64 => [Goal::Itself(80e3), Goal::None],
        _ => [Goal::Itself(250e3), Goal::None],
    }
}

fn strong_goals(in_flight: usize) -> [Goal; 2] {
    match in_flight {
        1 => [Goal::None, Goal::Itself(150e-6)],
        _ => [Goal::Itself(100e3), Goal::None],
    }
}

/// Prints the lines of what `run` measures.
async fn print<O>(
    figures: &mut Figures,
    name: &str,
    [rate, p50]: [Goal; 2],
    run: impl FnMut(Duration) -> O,
) where
    O: Future<Output = Measured>,
{
    let names = ["rate", "p50", "p99"].map(|what| format!("{name}/{what}"));
    let cases = [
        (&*names[0], Unit::PerSecond, rate),
        (&*names[1], Unit::Seconds, p50),
        (&*names[2], Unit::Seconds, Goal::None),
    ];
    figures.alone_all(cases, run).await;
}

/// In a quick run there are too many of these for the usual span.
fn short(figures: &Figures, span: Duration) -> Duration {
    if figures.is_quick() { span * 3 / 7 } else { span }
}

/// Commands, from the leader and from a follower.
pub async fn all_commands(figures: &mut Figures) {
    for members in [1, 3, 5] {
        let mut cluster = None;
        for from in ["leader", "follower"] {
            for (size, named) in [(64, "64B"), (4096, "4KiB")] {
                for in_flight in [1, 64, 1024] {
                    let name = format!("commands/{members}-{from}/{named}/{in_flight}");
                    if members == 1 && from == "follower" || !wants(figures, &name) {
                        continue;
                    }
                    if cluster.is_none() {
                        cluster = Some(Cluster::<Counter>::found(members).await);
                    }
                    let cluster = cluster.as_ref().expect("it was just founded");
                    let goals = match (members, from, size) {
                        (3, "leader", 64) => command_goals(in_flight),
                        _ => [Goal::None; 2],
                    };
                    let span = short(figures, figures.span());
                    let run = async |_| {
                        let group =
                            if from == "leader" { cluster.leader() } else { cluster.follower() };
                        commands(group, span, in_flight, size).await
                    };
                    print(figures, &name, goals, run).await;
                }
            }
        }
    }
}

/// Reads at three members.
pub async fn all_reads(figures: &mut Figures) {
    let mut cluster = None;
    for from in ["leader", "follower"] {
        for (consistency, named) in [(Consistency::Strong, "strong"), (Consistency::Weak, "weak")] {
            for in_flight in [1, 64] {
                let name = format!("reads/{from}/{named}/{in_flight}");
                if !wants(figures, &name) {
                    continue;
                }
                if cluster.is_none() {
                    cluster = Some(Cluster::<Counter>::found(3).await);
                }
                let cluster = cluster.as_ref().expect("it was just founded");
                let goals = match (from, named) {
                    ("leader", "strong") => strong_goals(in_flight),
                    _ => [Goal::None; 2],
                };
                let span = short(figures, figures.span());
                let run = async |_| {
                    let group =
                        if from == "leader" { cluster.leader() } else { cluster.follower() };
                    match consistency {
                        // It never waits: tasks that did nothing else would starve all others.
                        Consistency::Weak => weak(group, span, in_flight).await,
                        Consistency::Strong => queries(group, span, in_flight, consistency).await,
                    }
                };
                print(figures, &name, goals, run).await;
            }
        }
    }
}

async fn weak(group: &Group<Counter>, span: Duration, in_flight: usize) -> Measured {
    let group = group.clone();
    let call = move || {
        let asked = group.query((), Consistency::Weak);
        async move {
            asked.await.expect("answered");
            tokio::task::consume_budget().await;
        }
    };
    drive(span, in_flight, call).await
}

/// Whether any line of this case is asked for.
fn wants(figures: &Figures, name: &str) -> bool {
    ["rate", "p50", "p99"].iter().any(|what| figures.wants(&format!("{name}/{what}")))
}
