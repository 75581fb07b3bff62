//! Sensors that send what they measure, and a watcher that sums it up.
//!
//! In as many terminals as you like:
//!
//! ```sh
//! cargo run --example sensors -- produce --room kitchen
//! cargo run --example sensors -- produce --room garage --rate 100
//! cargo run --example sensors -- watch
//! cargo run --example sensors -- watch --room kitchen
//! ```
//!
//! A sensor tags its node with its room; the watcher subscribes only to producers with the tag
//! that it wants. What it does not want is not sent to it.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, stdout},
    time::Duration,
};

use futures::StreamExt;
use mosaik::{Network, PeerId, Tag, clap, primitives::ShortFmtExt, streams::producer::SendError};
use tokio::time::{Instant, interval, interval_at};

/// Sensors that send what they measure, and a watcher that sums it up
#[derive(Debug, clap::Parser)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Measure, and send what was measured
    Produce {
        /// The room that the sensor is in
        #[arg(long)]
        room: String,
        /// Measurements a second
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rate: u32,
    },
    /// Show what the sensors have measured, each second
    Watch {
        /// Only those in this room
        #[arg(long)]
        room: Option<String>,
    },
}

#[mosaik::stream("examples.sensors")]
#[derive(Debug, Clone)]
struct Measurement {
    sensor: PeerId,
    room: String,
    celsius: f64,
}

#[mosaik::main("mosaik-examples", offline = true)]
async fn main(network: Network, args: Args) -> anyhow::Result<()> {
    match args.role {
        Role::Produce { room, rate } => produce(&network, room, rate).await,
        Role::Watch { room } => watch(&network, room.as_deref()).await,
    }
    Ok(())
}

/// A tag is the hash of a text: whoever knows the text can ask for it.
fn tag_of(room: &str) -> Tag {
    Tag::from(format!("examples.sensors.room={room}").as_str())
}

async fn produce(network: &Network, room: String, rate: u32) {
    // Before the stream: who finds the stream then finds the tag as well.
    network.discovery().add_tags(tag_of(&room));
    let producer = Measurement::producer(network);
    let sensor = network.local().id();
    println!("Sensor {} in `{room}` measures {rate} times a second.", sensor.short());

    let mut clock = interval(Duration::from_secs(1) / rate);
    let begun = Instant::now();
    loop {
        clock.tick().await;
        let measurement = Measurement { sensor, room: room.clone(), celsius: measure(begun) };
        match producer.try_send(measurement) {
            // While nobody listens, or somebody is too slow, this one is dropped: the next is more
            // interesting. `send` would wait instead.
            Ok(()) | Err(SendError::Offline(_) | SendError::Full(_)) => {}
            Err(error) => return tracing::error!(%error, "the sensor stops"),
        }
    }
}

/// It gets warmer and colder every minute, with a little noise.
fn measure(begun: Instant) -> f64 {
    let seconds = begun.elapsed().as_secs_f64();
    20.0 + 2.0 * (seconds / 60.0 * std::f64::consts::TAU).sin() + 0.2 * (seconds * 97.0).sin()
}

async fn watch(network: &Network, room: Option<&str>) {
    let builder = network.streams().consumer::<Measurement>();
    let mut consumer = match room.map(tag_of) {
        Some(tag) => builder.require(move |peer| peer.tags().contains(&tag)).build(),
        None => builder.build(),
    };
    let mut table = Table::default();
    let second = Duration::from_secs(1);
    let mut clock = interval_at(Instant::now() + second, second);
    loop {
        tokio::select! {
            Some(measurement) = consumer.next() => table.add(&measurement),
            _ = clock.tick() => {
                table.show(consumer.producers().count());
            }
            else => return,
        }
    }
}

/// What was measured in the last second, by room and sensor.
#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<(String, PeerId), Summary>,
    /// How many lines are on the screen that the next table replaces.
    shown: usize,
}

#[derive(Debug, Clone, Copy)]
struct Summary {
    count: u32,
    min: f64,
    max: f64,
    sum: f64,
}

impl Table {
    fn add(&mut self, Measurement { sensor, room, celsius }: &Measurement) {
        let empty = Summary { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0 };
        let row = self.rows.entry((room.clone(), *sensor)).or_insert(empty);
        row.count += 1;
        row.min = row.min.min(*celsius);
        row.max = row.max.max(*celsius);
        row.sum += celsius;
    }

    /// Shows the table in the place of the last one, and begins the next.
    fn show(&mut self, sensors: usize) {
        let mut lines = vec![
            format!("Sensors: {sensors}"),
            format!(
                "{:<12} {:<10} {:>5} {:>6} {:>6} {:>6}",
                "room", "sensor", "n", "min", "mean", "max"
            ),
        ];
        for ((room, sensor), Summary { count, min, max, sum }) in std::mem::take(&mut self.rows) {
            let mean = sum / f64::from(count);
            let sensor = sensor.short().to_string();
            lines.push(format!("{room:<12} {sensor} {count:>5} {min:>6.2} {mean:>6.2} {max:>6.2}"));
        }
        if stdout().is_terminal() && self.shown > 0 {
            // Up to the first line of the last table, and clear from there on.
            print!("\x1b[{}A\x1b[J", self.shown);
        }
        self.shown = lines.len();
        println!("{}", lines.join("\n"));
    }
}
