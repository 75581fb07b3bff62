//! What idle subscriptions cost: measured in a process of its own that has done nothing else.

use std::{future::Future, pin::Pin, process::Command, time::Duration};

use mosaik::UniqueId;
use tokio::time::sleep;

use crate::{
    Small,
    figures::process::{processor_seconds, resident_bytes},
    node,
};

const CHILD: &str = "--idle-subscriptions";
/// How long the nodes are left alone before anything is measured.
const CALM: Duration = Duration::from_secs(2);
/// For so long the processor time is measured.
const WATCHED: Duration = Duration::from_secs(5);

/// What this program does when it was started to be measured: two nodes and so many subscriptions
/// between them. Gives resident bytes and the share of one processor.
pub fn child() -> Option<Pin<Box<dyn Future<Output = String>>>> {
    let mut args = std::env::args().skip(1);
    (args.next()? == CHILD).then_some(())?;
    let count = args.next()?.parse().ok()?;
    Some(Box::pin(subscriptions(count)))
}

async fn subscriptions(count: usize) -> String {
    let name = UniqueId::random();
    let nodes = [node(name).await, node(name).await];
    nodes[1].discovery().dial(nodes[0].local().addr()).await;
    let mut kept = Vec::new();
    for number in 0..count {
        let id = format!("idle {number}");
        let producer = nodes[0].streams().producer::<Small>().with_stream_id(&*id).build();
        let consumer = nodes[1].streams().consumer::<Small>().with_stream_id(&*id).build();
        kept.push((producer.expect("a producer"), consumer));
    }
    for (producer, _) in &kept {
        producer.when().online().await;
    }
    sleep(CALM).await;
    let before = processor_seconds();
    sleep(WATCHED).await;
    let share = (processor_seconds() - before) / WATCHED.as_secs_f64();
    format!("{} {share}", resident_bytes())
}

/// Resident bytes of a process with so many idle subscriptions, and its share of one processor.
pub async fn measure(count: usize) -> [f64; 2] {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args([CHILD, &count.to_string()]).output();
    let text = output.expect("it runs").stdout;
    let text = String::from_utf8_lossy(&text);
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
    std::array::from_fn(|_| numbers.next().expect("it prints two numbers"))
}
