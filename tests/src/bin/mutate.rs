//! Mutated inputs for every decoder of bytes that come from elsewhere: none may panic, take long,
//! or take memory out of proportion to the input.
//!
//! `cargo run --release -p mosaik-tests --bin mutate -- --runs 1000000 --seed 7`
//!
//! A failure prints the command that runs the one decoder again with the same inputs.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use mosaik::private::{Decoder, Mutator, decoders, thread_time};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The longest time for one input, of the processor.
const LONGEST: Duration = Duration::from_millis(500);
/// What a decoder may allocate at once whatever the input: errors, and what it works with.
const MEMORY_FIXED: usize = 128 * 1024;
/// What it may allocate at once for each byte of input.
const MEMORY_PER_BYTE: usize = 512;

#[derive(Debug, Parser)]
struct Arguments {
    /// How many inputs each decoder is given.
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// The same seed gives the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only decoders whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Writes the valid inputs to this directory, for a fuzzer to begin with, and does no more.
    #[arg(long)]
    samples: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Figures {
    taken: u64,
    slowest: Duration,
    most: usize,
    most_per_byte: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(directory) = &arguments.samples {
        return write_samples(directory, &arguments.only);
    }
    let mut failed = false;
    for decoder in decoders().iter().filter(|decoder| decoder.name.contains(&arguments.only)) {
        let name = decoder.name;
        match try_out(decoder, &arguments) {
            Ok(Figures { taken, slowest, most, most_per_byte }) => println!(
                "figure: hostile/mutate/{name} | inputs {} | taken {taken} | slowest {slowest:.0?} \
                 | most memory {most} B, {most_per_byte} B a byte of input",
                arguments.runs
            ),
            Err(what) => {
                failed = true;
                println!("FAILED {name}: {what}");
                println!(
                    "again: cargo run --release -p mosaik-tests --bin mutate -- --runs {} \
                     --seed {} --only {name}",
                    arguments.runs, arguments.seed
                );
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn write_samples(directory: &Path, only: &str) -> ExitCode {
    for decoder in decoders().iter().filter(|decoder| decoder.name.contains(only)) {
        for (number, sample) in decoder.samples.iter().enumerate() {
            let path = directory.join(format!("{}-{number}", decoder.name.replace('/', "-")));
            if let Err(error) =
                fs::create_dir_all(directory).and_then(|()| fs::write(&path, sample))
            {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn try_out(decoder: &Decoder, arguments: &Arguments) -> Result<Figures, String> {
    let mut mutator = Mutator::new(arguments.seed);
    let mut figures = Figures::default();
    // Whatever is set up once is set up here.
    for sample in &decoder.samples {
        decoder.run(sample);
    }
    for run in 0..arguments.runs {
        let input = mutator.next(decoder);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let begun = thread_time();
        let outcome = catch_unwind(AssertUnwindSafe(|| decoder.run(&input)));
        let elapsed = thread_time() - begun;
        let memory = MEMORY.peak_usage().saturating_sub(before);
        let complaint = match outcome {
            Err(_) => Some("panicked".to_owned()),
            Ok(_) if elapsed > LONGEST => Some(format!("took {elapsed:?}")),
            Ok(_) if memory > MEMORY_FIXED + MEMORY_PER_BYTE * input.len() => {
                Some(format!("took {memory} B for {} B", input.len()))
            }
            Ok(taken) => {
                figures.taken += u64::from(taken);
                None
            }
        };
        if let Some(complaint) = complaint {
            return Err(format!("input {run} {complaint}: {input:02x?}"));
        }
        figures.slowest = figures.slowest.max(elapsed);
        figures.most = figures.most.max(memory);
        let per_byte = memory.saturating_sub(MEMORY_FIXED) / input.len().max(1);
        figures.most_per_byte = figures.most_per_byte.max(per_byte);
    }
    Ok(figures)
}
