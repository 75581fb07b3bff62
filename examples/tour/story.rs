//! The storyteller: readable on a terminal, in a pipe, and without colours.

use std::{
    env, fmt,
    io::{IsTerminal, Write, stdout},
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::cast::Actor;

/// Text is broken before this column.
const WIDTH: usize = 84;
const INDENT: &str = "   ";

const PLAIN: &str = "0";
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
/// One for each actor, in turn.
const ACTORS: [&str; 4] = ["1;36", "1;33", "1;35", "1;34"];

/// Prints a line. Who has stopped reading gets no more, and the tour ends as it would have.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(stdout(), $($text)*);
    }};
}

/// Tells a story, and counts what was proven in it.
#[derive(Debug)]
pub struct Story {
    coloured: bool,
    begun: Instant,
    chapters: usize,
    claims: usize,
}

impl Story {
    pub fn new() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        let coloured = stdout().is_terminal() && !unwanted;
        Self { coloured, begun: Instant::now(), chapters: 0, claims: 0 }
    }

    fn paint(&self, style: &str, text: impl fmt::Display) -> String {
        if self.coloured && style != PLAIN {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        say!("\n{}", self.paint(BOLD, format!("{}. {title}", self.chapters)));
    }

    /// A paragraph.
    pub fn text(&self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if INDENT.len() + line.chars().count() + 1 + word.chars().count() > WIDTH {
                say!("{INDENT}{line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        say!("{INDENT}{line}");
    }

    /// What happens to an actor.
    pub fn says(&self, actor: &Actor, text: impl fmt::Display) {
        let style = ACTORS[actor.number() % ACTORS.len()];
        // Padded before it is painted: colours take no room.
        let name = self.paint(style, format!("{:<5}", actor.name()));
        say!("{INDENT}  {name} {text}");
    }

    /// Something beside the story, while it goes on.
    pub fn aside(&self, text: impl fmt::Display) {
        say!("{INDENT}  {}", self.paint(DIM, text));
    }

    /// Something that the tour says is so; it ends here if it is not.
    pub fn claim(&mut self, holds: bool, text: impl fmt::Display) -> anyhow::Result<()> {
        if !holds {
            bail!("this does not hold: {text}");
        }
        self.claims += 1;
        say!("{INDENT}{} {text}", self.paint(GREEN, "✔"));
        Ok(())
    }

    pub fn happy_end(&self) {
        let (claims, took) = (self.claims, self.begun.elapsed());
        let end = format!("The end: {claims} claims, all of them true, in {}.", human(took));
        say!("\n{}", self.paint(BOLD, end));
        say!("Next: cargo run --example ledger, in three terminals.");
    }

    pub fn bad_end(&self, error: &anyhow::Error) {
        say!("\n{} {error:#}", self.paint(RED, "✘ The tour failed:"));
    }
}

/// A duration as people say it.
pub fn human(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}
