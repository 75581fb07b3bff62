//! Hostile peers against an honest pair, each in a process of its own; prints what the pair lost.
//!
//! `cargo run --release -p mosaik-tests --bin hostile -- campaign --seconds 8`
//!
//! It ends with 1 if an attack takes more than half of the undisturbed rate, more memory than the
//! node may take, or is not refused as it must be. The other commands are what it starts:
//! `node NETWORK DIRECTORY` (is attacked), `honest NETWORK TICKET` (sends to it),
//! `attack NETWORK TICKET DIRECTORY ATTACK SECONDS`.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use mosaik::discovery::NodeTicket;
use mosaik_tests::hostile::{Attack, Scale, Victim, attacked, honest, measure};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All attacks, or one, against an honest pair.
    Campaign {
        /// How long each attack lasts.
        #[arg(long, default_value_t = 8.0)]
        seconds: f64,
        /// Only this one.
        #[arg(long)]
        only: Option<Attack>,
    },
    /// The node that is attacked.
    Node { network: String, directory: PathBuf },
    /// The peer that sends to it.
    Honest { network: String, ticket: NodeTicket },
    /// One attack.
    Attack { network: String, ticket: NodeTicket, directory: PathBuf, attack: Attack, seconds: f64 },
}

fn main() -> anyhow::Result<()> {
    let command = Arguments::parse().command;
    if let Command::Campaign { seconds, only } = command {
        return campaign(seconds, only);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Node { network, directory } => attacked(&network, &directory).await,
            Command::Honest { network, ticket } => honest(&network, &ticket).await,
            Command::Attack { network, ticket, directory, attack, seconds } => {
                let address = ticket.address().clone();
                let victim = Victim { network, address, directory: Some(directory) };
                let (tries, entered) = attack.run(&victim, Duration::from_secs_f64(seconds)).await;
                println!("{tries} {entered}");
                Ok(())
            }
            Command::Campaign { .. } => Ok(()),
        }
    });
    runtime.shutdown_background();
    outcome
}

fn campaign(seconds: f64, only: Option<Attack>) -> anyhow::Result<()> {
    let span = Duration::from_secs_f64(seconds);
    let scale = Scale { quiet: span / 2, attack: span };
    let chosen = Attack::ALL.iter().filter(|attack| only.is_none_or(|only| only == **attack));
    let program = std::env::current_exe()?;
    let (mut failed, mut large) = (Vec::new(), Vec::new());
    let mut most = 0;
    for attack in chosen {
        match measure(&program, *attack, scale) {
            Ok(outcome) => {
                println!("{outcome}\n    refused: {}", outcome.refused);
                most = most.max(outcome.most_mib);
                if !outcome.is_small() {
                    large.push(*attack);
                }
                if !outcome.is_met() || !outcome.took_place() {
                    failed.push(*attack);
                }
            }
            Err(error) => {
                println!("FAILED {attack}: {error:#}");
                failed.push(*attack);
            }
        }
    }
    let verdict = if large.is_empty() { "met" } else { "short" };
    println!("figure: hostile/memory | most {most} MiB | goal 256 MiB | {verdict}");
    anyhow::ensure!(large.is_empty(), "too much memory: {large:?}; failed: {failed:?}");
    anyhow::ensure!(failed.is_empty(), "not as it should be: {failed:?}");
    Ok(())
}
