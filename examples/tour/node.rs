//! One of the tour's nodes: it sends readings, and hears those of all others.
//!
//! Nothing here says where the others are. The parent gives orders on standard input, a line each,
//! and reads reports on standard output.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context;
use futures::StreamExt;
use mosaik::{
    Network, PeerId,
    streams::{Consumer, Producer},
};
use mosaik_examples::{
    input,
    peers::{Change, Peers},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{
    counting,
    report::{Order, Report, Tally},
};

/// How many readings a node sends in a burst.
pub const BURST: u64 = 2_000;
/// How many others there are when a burst is sent.
const OTHERS: usize = 2;
/// Between two readings when a node sends steadily.
pub const PACE: Duration = Duration::from_millis(20);
/// Between two reports of what was heard.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// What travels. The attribute gives it a name in the network, and a way to be sent.
#[mosaik::stream("tour.readings")]
#[derive(Debug, Clone)]
struct Reading {
    sensor: PeerId,
    number: u64,
    celsius: f64,
}

/// Runs until it is told to leave, or nobody is left to tell.
pub async fn run(network: &str) -> anyhow::Result<()> {
    let network = Network::builder(network).offline().build().await?;
    Report::Up(network.local().id()).say();

    let producer = Reading::producer(&network);
    let consumer = Reading::consumer(&network);
    let (agree, to_agree) = mpsc::channel(8);
    tokio::select! {
        ended = obey(network.local().id(), producer, agree) => ended?,
        ended = counting::run(&network, to_agree) => ended?,
        ended = watch_catalog(&network) => ended?,
        () = watch_channels(Peers::heard_by(&consumer)) => {}
        () = listen(consumer) => {}
    }
    network.shutdown().await;
    Ok(())
}

/// Sends readings as the parent orders, and passes on the orders about the group.
async fn obey(
    me: PeerId,
    producer: Producer<Reading>,
    agree: mpsc::Sender<Order>,
) -> anyhow::Result<()> {
    let mut orders = input::lines();
    let mut clock = interval(PACE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    let mut steady = false;
    loop {
        let burst = tokio::select! {
            line = orders.recv() => match line.as_deref().map(Order::parse).transpose()? {
                Some(Order::Burst) => {
                    producer.when().subscribed().minimum_of(OTHERS).await;
                    BURST
                }
                Some(Order::Steady) => {
                    steady = true;
                    continue;
                }
                Some(Order::Pause) => {
                    steady = false;
                    0
                }
                Some(Order::Leave) | None => return Ok(()),
                // About what they agree upon.
                Some(order) => {
                    agree.send(order).await?;
                    continue;
                }
            },
            _ = clock.tick(), if steady => 1,
        };
        for _ in 0..burst {
            sent += 1;
            // It gets warmer and colder again.
            let celsius = 20.0 + (sent as f64 / 100.0).sin();
            // Waits while the slowest of those who listen is too far behind.
            producer.send(Reading { sensor: me, number: sent, celsius }).await?;
        }
        if !steady {
            Report::Sent(sent).say();
        }
    }
}

/// Hears everybody's readings and reports how many came, and whether any was missing.
async fn listen(mut consumer: Consumer<Reading>) {
    let mut tallies = BTreeMap::<PeerId, Tally>::new();
    let mut news = BTreeSet::new();
    let mut clock = interval(REPORT_EVERY);
    loop {
        tokio::select! {
            reading = consumer.next() => {
                let Some(reading) = reading else { return };
                tallies.entry(reading.sensor).or_default().count(reading.number, reading.celsius);
                news.insert(reading.sensor);
            }
            _ = clock.tick() => {
                for sensor in std::mem::take(&mut news) {
                    Report::Heard(sensor, tallies[&sensor].clone()).say();
                }
            }
        }
    }
}

/// Reports who is in the network, as far as this node knows.
async fn watch_catalog(network: &Network) -> anyhow::Result<()> {
    let mut catalog = network.discovery().catalog_watch();
    let mut known = BTreeSet::new();
    loop {
        let now: BTreeSet<PeerId> =
            catalog.borrow_and_update().peers().map(|peer| *peer.id()).collect();
        now.difference(&known).for_each(|peer| Report::Met(*peer).say());
        known.difference(&now).for_each(|peer| Report::Departed(*peer).say());
        known = now;
        catalog.changed().await.context("the network is gone")?;
    }
}

/// Reports from whom readings can come at present.
async fn watch_channels(mut producers: Peers) {
    loop {
        match producers.next().await {
            Change::Came(peer) => Report::Hears(*peer.id()).say(),
            Change::Left(peer) => Report::Lost(peer).say(),
        }
    }
}
