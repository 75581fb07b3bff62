//! A chat in the terminal.
//!
//! Start it twice on one machine, and both are in the same room:
//!
//! ```sh
//! cargo run --example group-chat -- --nickname Alice
//! cargo run --example group-chat -- --nickname Bob
//! ```
//!
//! Elsewhere, give it any node to meet first: `--bootstrap`, with the ticket that `/ticket` shows
//! here (or with that of `cargo run --example bootstrap`).
//!
//! Everybody produces a stream of posts, and consumes everybody else's. Each room is a stream of
//! its own. Each node retains its last posts, so that whoever comes late reads what was said last.
//! Who is here is who is connected; the names come with the posts, the first of which says only the
//! name.

mod room;

use anyhow::ensure;
use mosaik::{Network, clap};
use mosaik_examples::{
    input,
    screen::{self, Screen},
};

use room::Room;

/// A chat in the terminal. /who shows who is here, /ticket how others get here, /quit leaves
#[derive(Debug, clap::Parser)]
struct Args {
    /// What the others know you by
    #[arg(long)]
    nickname: String,

    /// Which room to enter
    #[arg(long, default_value = "lobby")]
    room: String,
}

// Nothing is logged that would disturb the talk.
#[mosaik::main("mosaik-examples", offline = true, log = "warn")]
async fn main(network: Network, args: Args) -> anyhow::Result<()> {
    let nickname = screen::printable(args.nickname.trim());
    ensure!((1..=32).contains(&nickname.chars().count()), "a nickname has 1 to 32 characters");
    let screen = Screen::new(format!("{nickname}> "));
    screen.print(format!("* You are in `{}`. /who, /ticket, /quit", args.room));
    let room = Room::enter(&network, &screen, nickname, &args.room)?;
    room.greet().await?;
    tokio::select! {
        left = typing(&network, &screen, &room) => left?,
        () = room.listen() => {}
    }
    room.leave().await
}

/// Says what is typed, and obeys what begins with a slash. Ends with `/quit` or the input.
async fn typing(network: &Network, screen: &Screen, room: &Room<'_>) -> anyhow::Result<()> {
    let mut input = input::lines();
    loop {
        screen.prompt();
        let Some(line) = input.recv().await else {
            screen.end_prompt();
            return Ok(());
        };
        match line.trim() {
            "" => {}
            "/quit" => return Ok(()),
            "/who" => screen.print(format!("* Here are {}", room.who().join(", "))),
            "/ticket" => screen.print(format!("* --bootstrap {}", network.local().ticket())),
            other if other.starts_with('/') => screen.print("* There are /who, /ticket, /quit"),
            text => room.say(text).await?,
        }
    }
}
