//! Lines from standard input, for asynchronous code.

use std::{io, thread};

use tokio::sync::mpsc;

/// The lines of standard input as they come; the channel closes at the end of input.
///
/// A thread of its own reads them: a read from a terminal cannot be cancelled, and would keep the
/// runtime from ending if it were one of its tasks.
pub fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
