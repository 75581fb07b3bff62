//! The tour: what mosaik does, told and proven in a quarter of a minute.
//!
//! ```sh
//! cargo run --example tour
//! ```
//!
//! It starts three nodes as processes of their own, lets them find each other, exchange data and
//! agree, kills one and then another, and checks that all it says is so. A claim that fails ends it
//! with exit code 1.
//!
//! What a node does stands in `node.rs` and `counting.rs`; those are the parts to read and to copy.
//! The rest tells the story: a file for each chapter, `cast.rs` for the processes, `story.rs` for the printing.

mod agreement;
mod cast;
mod counting;
mod farewell;
mod loss;
mod meeting;
mod newcomer;
mod node;
mod report;
mod story;
mod streaming;

use std::{env, process::ExitCode};

use mosaik::{UniqueId, primitives::ShortFmtExt};
use tokio::signal::unix::{SignalKind, signal};

use cast::Cast;
use story::Story;

/// With this argument, and the name of a network, the program is one of the tour's nodes.
const NODE: &str = "--node";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => tour().await,
        [NODE, network] => {
            node::run(network).await?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("The tour takes no arguments: cargo run --example tour");
            Ok(ExitCode::from(2))
        }
    }
}

/// Tells all chapters. However it ends, no process is left behind: those of the cast die with it.
async fn tour() -> anyhow::Result<ExitCode> {
    let mut story = Story::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let told = tokio::select! {
        told = tell(&mut story) => told,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
        _ = terminate.recv() => return Ok(ExitCode::from(143)),
    };
    Ok(match told {
        Ok(()) => {
            story.happy_end();
            ExitCode::SUCCESS
        }
        Err(error) => {
            story.bad_end(&error);
            ExitCode::FAILURE
        }
    })
}

async fn tell(story: &mut Story) -> anyhow::Result<()> {
    // A name that nobody else uses: whoever knows the name of a network can take part in it.
    let mut cast = Cast::new(format!("tour-{}", UniqueId::random().short()));
    meeting::tell(story, &mut cast).await?;
    streaming::tell(story, &mut cast).await?;
    loss::tell(story, &mut cast).await?;
    newcomer::tell(story, &mut cast).await?;
    agreement::tell(story, &mut cast).await?;
    farewell::tell(story, &mut cast).await
}
