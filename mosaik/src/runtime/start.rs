//! Runs a program: from the command line to the last goodbye.

use std::{env, future::Future, io, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    select,
    time::timeout,
};

use super::{
    current::Current,
    flags::{self, Flags},
    logging,
    outcome::{Chain, Outcome},
    parameters::{MainArgs, MainNetwork},
    program::Program,
    settings::{Settings, SettingsError},
    signals::Signals,
};
use crate::{Network, network::NetworkError};

/// How long a node may take to leave once its body has ended or a signal has come.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// How long threads may take that wait for something outside, such as a line of input.
const BLOCKED_WITHIN: Duration = Duration::from_millis(100);

/// What keeps a program from running its body.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),

    #[error("the runtime could not be started")]
    Runtime(#[source] io::Error),

    #[error("signals cannot be received")]
    Signals(#[source] io::Error),

    #[error("the node could not be started")]
    Network(#[from] NetworkError),

    #[error("the node has stopped")]
    Stopped(#[source] NetworkError),
}

/// The arguments of a program without any of its own.
#[derive(clap::Parser)]
struct NoArgs {}

/// Runs a body that takes nothing; [`Network::current`] gives it the network.
pub fn run<Fut: Future>(program: Program, body: impl FnOnce() -> Fut) -> Outcome<Fut::Output> {
    run_with_network::<Arc<Network>, _>(program, |_| body())
}

/// Runs a body that takes the network.
pub fn run_with_network<N: MainNetwork, Fut: Future>(
    program: Program,
    body: impl FnOnce(N) -> Fut,
) -> Outcome<Fut::Output> {
    run_with_args::<N, NoArgs, _>(program, |network, NoArgs {}| body(network))
}

/// Runs a body that takes the network and the program's arguments.
pub fn run_with_args<N: MainNetwork, A: MainArgs, Fut: Future>(
    program: Program,
    body: impl FnOnce(N, A) -> Fut,
) -> Outcome<Fut::Output> {
    let read = flags::parse(A::command(), env::args_os())
        .and_then(|(flags, matches)| Ok((flags, A::from_matches(&matches)?)));
    let (flags, args) = match read {
        Ok(read) => read,
        Err(error) => {
            // Help and version go to standard output, mistakes to standard error. If neither can
            // be written there is nobody to tell.
            let _ = error.print();
            return Outcome::stopped(u8::try_from(error.exit_code()).unwrap_or(2).into());
        }
    };
    match start(&program, flags, |network| body(network, args)) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("{}", Chain(&error));
            Outcome::stopped(ExitCode::FAILURE)
        }
    }
}

fn start<N: MainNetwork, Fut: Future>(
    program: &Program,
    flags: Flags,
    body: impl FnOnce(N) -> Fut,
) -> Result<Outcome<Fut::Output>, StartError> {
    let settings = Settings::resolve(program, flags, |name| env::var_os(name))?;
    logging::start(&settings.log);
    let runtime = build(program).map_err(StartError::Runtime)?;
    let outcome = runtime.block_on(serve(settings, body));
    runtime.shutdown_timeout(BLOCKED_WITHIN);
    outcome
}

fn build(program: &Program) -> io::Result<Runtime> {
    let mut builder = match program.current_thread {
        true => Builder::new_current_thread(),
        false => Builder::new_multi_thread(),
    };
    if let Some(threads) = program.worker_threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

/// Runs the body until it ends or a signal comes, then leaves the network.
async fn serve<N: MainNetwork, Fut: Future>(
    settings: Settings,
    body: impl FnOnce(N) -> Fut,
) -> Result<Outcome<Fut::Output>, StartError> {
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let network = settings.build().await?;
    let (left, closed) = (network.leave(), network.closed());
    let network = N::from_network(network);
    let current = network.shared().map(Current::set);
    let outcome = select! {
        value = body(network) => Outcome::returned(value),
        Err(error) = closed => return Err(StartError::Stopped(error)),
        () = signals.next() => {
            tracing::info!("leaving the network; once more to leave at once");
            Outcome::stopped(ExitCode::SUCCESS)
        }
    };
    drop(current);
    select! {
        left = timeout(LEAVE_WITHIN, left) => {
            if left.is_err() {
                tracing::warn!("the node did not leave within {LEAVE_WITHIN:?}");
            }
        }
        () = signals.next() => {}
    }
    Ok(outcome)
}
