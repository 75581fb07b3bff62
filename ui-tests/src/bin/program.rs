//! The program that `tests/pass/program.rs` runs: it ends as its first argument says.

use std::{error::Error, fmt, process::ExitCode};

use mosaik::{Network, clap, discovery::Catalog};

/// Ends as it is told.
#[derive(clap::Parser)]
#[command(version)]
struct Args {
    /// How to end.
    #[command(subcommand)]
    end: End,
}

#[derive(clap::Subcommand)]
enum End {
    /// With exit code 0, after printing what the node says of itself.
    Well,
    /// With this exit code.
    Code { code: u8 },
    /// With an error that has a cause.
    Badly,
    /// When somebody else says so.
    Never,
}

#[derive(Debug)]
struct Failure(fmt::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed, as it was told")
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[mosaik::main("ui-tests", tags = ["ui-tests"], worker_threads = 2)]
async fn main(network: Network, args: Args) -> Result<ExitCode, Failure> {
    let tags = |catalog: Catalog| catalog.local().tags().iter().map(ToString::to_string).collect();
    match args.end {
        End::Well => {
            let tags: Vec<String> = tags(network.discovery().catalog());
            println!("network {}", network.network_id());
            println!("node {}", network.local().id());
            println!("tags {}", tags.join(" "));
            println!("address {:?}", network.local().addr());
        }
        End::Code { code } => return Ok(code.into()),
        End::Badly => return Err(Failure(fmt::Error)),
        End::Never => {
            println!("ready");
            std::future::pending::<()>().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}
