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

#[cfg(test)]
mod tests {
    use std::{io::Write, thread, time::Instant};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{discovery, discovery::Bootstrap};

    /// A program that runs until it is told to end.
    fn run_until(
        end: &CancellationToken,
        key: &std::path::Path,
        meeting: Bootstrap,
    ) -> thread::JoinHandle<Result<(), StartError>> {
        let end = end.clone();
        let flags = Flags {
            secret_key_file: Some(key.to_owned()),
            bind: vec!["127.0.0.1:0".parse().unwrap()],
            bootstrap: vec![meeting],
            ..Flags::default()
        };
        thread::spawn(move || {
            let program = Program::new("superseded-program").offline(true).log("off");
            let body = |network: Network| async move {
                end.cancelled().await;
                drop(network);
            };
            start(&program, flags, body).map(drop)
        })
    }

    #[test]
    fn a_program_ends_with_an_error_when_a_twin_takes_its_place() {
        let mut key = tempfile::NamedTempFile::new().unwrap();
        writeln!(key, "{}", "5a".repeat(32)).unwrap();
        let runtime = Runtime::new().unwrap();
        let meeting = Network::builder("superseded-program")
            .offline()
            .bind("127.0.0.1:0".parse().unwrap())
            .with_discovery(discovery::Config::builder().with_local(false));
        let meeting = runtime.block_on(meeting.build()).unwrap();
        let end = CancellationToken::new();
        let program = || run_until(&end, key.path(), meeting.local().addr().into());
        let programs = [program(), program()];
        let begun = Instant::now();
        while programs.iter().all(|program| !program.is_finished()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "both go on");
            thread::sleep(Duration::from_millis(10));
        }
        end.cancel();
        let ends = programs.map(|program| program.join().unwrap());
        let errors: Vec<_> = ends.into_iter().filter_map(Result::err).collect();
        assert!(
            matches!(errors[..], [StartError::Stopped(NetworkError::Superseded)]),
            "{errors:?}"
        );
        runtime.block_on(meeting.shutdown());
    }
}
