//! The terminal: what comes in is printed above the line that is being typed.

use std::io::{self, IsTerminal, Write};

use rustix::{stdio::stdout, termios::tcgetwinsize};

/// Standard output: a terminal with a prompt, or plain lines.
#[derive(Debug)]
pub struct Screen {
    prompt: String,
    interactive: bool,
}

impl Screen {
    /// The terminal that this program was started in, with this text before what is typed.
    pub fn new(prompt: String) -> Self {
        let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
        Self { prompt, interactive }
    }

    /// Whether somebody sits there and types.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Asks for the next line.
    pub fn prompt(&self) {
        if self.interactive {
            self.write(&format!("\r\x1b[K{}", self.prompt));
        }
    }

    /// Leaves the line that nothing more will be typed on.
    pub fn end_prompt(&self) {
        if self.interactive {
            self.write("\n");
        }
    }

    /// Prints a line.
    ///
    /// The terminal keeps what is being typed until Enter is pressed, and does not tell it. So it
    /// is left where it is: the line is inserted above it.
    pub fn print(&self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !self.interactive {
            return self.write(&format!("{line}\n"));
        }
        let rows = self.rows(line);
        let text = format!(
            // Scroll if need be, until there is room below for as many rows.
            "{down}\x1b[{rows}A\
             \x1b7\r\x1b[{rows}L{line}\x1b8\
             \x1b[{rows}B",
            down = "\x1bD".repeat(rows),
        );
        self.write(&text);
    }

    /// How many rows a line takes, at most.
    fn rows(&self, line: &str) -> usize {
        let width = tcgetwinsize(stdout()).map_or(80, |size| usize::from(size.ws_col)).max(1);
        // Characters of East Asian scripts, and most pictures, are two columns wide.
        let columns: usize = line.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum();
        columns.div_ceil(width).max(1)
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        // Who has closed the terminal does not read it.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// A text without the control characters with which somebody could take over a terminal.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
