//! What idle groups cost: measured in a process of its own that has done nothing else.

use std::{future::Future, pin::Pin, process::Command, time::Duration};

use mosaik::groups::{ConsensusConfig, GroupKey, Quorum};
use tokio::time::sleep;

use super::{Counter, nodes, online};
use crate::figures::{
    Figures, Goal, Unit,
    process::{processor_seconds, resident_bytes},
};

const CHILD: &str = "--idle-groups";

/// What this program does when it was started to be measured: so many nodes, all in so many groups.
/// Gives resident bytes and the share of one processor.
pub fn child() -> Option<Pin<Box<dyn Future<Output = String>>>> {
    let mut args = std::env::args().skip(1);
    (args.next()? == CHILD).then_some(())?;
    let mut number = || args.next()?.parse::<usize>().ok();
    let (members, groups, seconds) = (number()?, number()?, number()?);
    Some(Box::pin(run(members, groups, Duration::from_secs(seconds as u64))))
}

async fn run(members: usize, count: usize, watched: Duration) -> String {
    let nodes = nodes(members).await;
    let mut groups = Vec::new();
    for number in 0..count {
        for node in &nodes {
            let builder = node.groups().with_key(GroupKey::from_secret(&*format!("idle {number}")));
            let builder = builder.with_state_machine(Counter::default());
            let builder = builder.with_consensus_config(ConsensusConfig::default());
            groups.push(builder.with_quorum(Quorum::Strict(members)).join());
        }
    }
    online(&groups).await;
    // Until the founding and what follows it is over.
    sleep(Duration::from_secs(3)).await;
    let before = processor_seconds();
    sleep(watched).await;
    let share = (processor_seconds() - before) / watched.as_secs_f64();
    format!("{} {share}", resident_bytes())
}

/// Resident bytes of a process with such groups, and its share of one processor.
async fn measure(members: usize, groups: usize, seconds: u64) -> [f64; 2] {
    let program = std::env::current_exe().expect("this program");
    let args = [CHILD.to_owned(), members.to_string(), groups.to_string(), seconds.to_string()];
    let output = Command::new(program).args(args).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
    std::array::from_fn(|_| numbers.next().expect("it prints two numbers"))
}

/// All of it; the twins are nodes without groups.
pub async fn all(figures: &mut Figures) {
    let seconds = if figures.is_quick() { 2 } else { 5 };
    let run = |members, groups| move |_| measure(members, groups, seconds);
    let cases = [
        ("idle/100-over-3-memory", Unit::Bytes, Goal::None),
        ("idle/100-over-3-cpu", Unit::Share, Goal::Itself(0.15)),
    ];
    figures.compare_all(cases, run(3, 100), run(3, 0)).await;
    let cases = [
        ("idle/1000-single-memory", Unit::Bytes, Goal::Itself(150e6)),
        ("idle/1000-single-cpu", Unit::Share, Goal::Itself(0.05)),
    ];
    figures.compare_all(cases, run(1, 1000), run(1, 0)).await;
}
