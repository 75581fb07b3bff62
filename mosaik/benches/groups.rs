//! Groups: `cargo bench -p mosaik --bench groups [-- NAME] [--quick]`.
//!
//! All members are in this process, on one runtime with two workers, and talk over loopback; only
//! where a leader is killed each node has a runtime of its own. Callers are tasks that make one call
//! after the other.

mod cluster;
mod figures;
mod raw;

use cluster::{heartbeats, idle, life, load};
use figures::{Figures, Goal, Unit};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if let Some(code) = idle::child() {
        return println!("{}", code.await);
    }
    let mut figures = Figures::from_args("groups");
    // What a command or a strong read of three members cannot do without.
    let round_trip = ("round-trip", Unit::Seconds, Goal::None);
    figures.alone_all([round_trip], async |span| [raw::ping_pong(span).await]).await;
    load::all_commands(&mut figures).await;
    load::all_reads(&mut figures).await;
    life::all_online(&mut figures).await;
    life::all_failovers(&mut figures).await;
    life::snapshot(&mut figures).await;
    heartbeats::all(&mut figures).await;
    idle::all(&mut figures).await;
    figures.finish();
}
