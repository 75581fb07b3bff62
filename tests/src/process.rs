//! Programs in processes of their own.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mosaik::discovery::NodeTicket;
use rustix::process::{Pid, Signal, kill_process};

use crate::{scaled, secs};

/// A running program that is spoken with by lines; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts it, with its input and output connected.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let stdin = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        // A blocking read needs a thread; it ends with the process.
        thread::spawn(move || {
            for line in stdout.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines })
    }

    /// The next line that it prints, if it prints one within this time.
    #[must_use]
    pub fn line_within(&self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(scaled(limit)).ok()
    }

    /// Tells it something.
    ///
    /// # Errors
    /// When it has ended.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{line}")?;
        stdin.flush()
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// How it has ended, if it has within this time.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn end_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + scaled(limit);
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The number by which the system knows it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running `test-node`, killed when dropped.
#[derive(Debug)]
pub struct NodeProcess {
    process: Process,
    ticket: NodeTicket,
}

impl NodeProcess {
    /// Starts the program at `path` with `arguments`, and waits until it says its ticket.
    ///
    /// # Panics
    /// When it does not start within 10 s.
    #[must_use]
    pub fn start(path: &str, arguments: &[&str]) -> Self {
        let process = Process::start(Command::new(path).args(arguments));
        let process = process.expect("the test node can be started");
        let first = process.line_within(secs(10)).expect("the test node says its ticket");
        let ticket = first.parse().expect("the first line is a ticket");
        Self { process, ticket }
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
        self.line_within(secs(30)).expect("the test node prints a line")
    }

    /// The next line if the node prints one within this time.
    #[must_use]
    pub fn line_within(&self, limit: Duration) -> Option<String> {
        self.process.line_within(limit)
    }

    /// Tells the node something.
    ///
    /// # Panics
    /// When it has ended.
    pub fn say(&mut self, line: &str) {
        self.process.say(line).expect("the test node reads its input");
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
        kill_process(Pid::from_child(&self.process.child), signal).expect("the process runs");
    }

    /// Kills the process with SIGKILL: it says no goodbye.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
