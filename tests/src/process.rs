//! A node in a process of its own.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
};

use mosaik::discovery::NodeTicket;
use rustix::process::{Pid, Signal, kill_process};

use crate::scaled;
use crate::secs;

/// A running `test-node`, killed when dropped.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    ticket: NodeTicket,
}

impl NodeProcess {
    /// Starts the program at `path` with `arguments`, and waits until it says its ticket.
    ///
    /// # Panics
    /// When it does not start within 10 s.
    #[must_use]
    pub fn start(path: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test node can be started");
        let stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        let stdin = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        // A blocking read needs a thread; it ends with the process.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let first = lines.recv_timeout(scaled(secs(10))).expect("the test node says its ticket");
        let ticket = first.parse().expect("the first line is a ticket");
        Self { child, stdin, lines, ticket }
    }

    /// Where the node is.
    #[must_use]
    pub fn ticket(&self) -> &NodeTicket {
        &self.ticket
    }

    /// Waits for the next line that the node prints.
    ///
    /// # Panics
    /// When none comes within 30 s.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(scaled(secs(30))).expect("the test node prints a line")
    }

    /// The next line if the node prints one within this time.
    pub fn line_within(&self, limit: std::time::Duration) -> Option<String> {
        self.lines.recv_timeout(scaled(limit)).ok()
    }

    /// Tells the node something.
    ///
    /// # Panics
    /// When it has ended.
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").expect("the test node reads its input");
    }

    /// Stops the process in the middle of whatever it does, until [`NodeProcess::resume`].
    ///
    /// # Panics
    /// When it has ended.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the process go on.
    ///
    /// # Panics
    /// When it has ended.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process runs");
    }

    /// Kills the process with SIGKILL: it says no goodbye.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
