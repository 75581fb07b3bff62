//! An outside system that is worked at by whoever leads, with a token that fences.

use std::time::Duration;

use mosaik::groups::FencingToken;
use tokio::time::Instant;

use super::oracle::Place;

/// How long a leader that was replaced may go on: a lease at `fast()`, and its worker notices it.
const GOES_ON_MAX: Duration = Duration::from_millis(400);

/// Knows who has begun to work with the largest token, and when. Tokens of different incarnations
/// cannot be compared: only those of strict groups, of which one is alive, are judged.
#[derive(Debug)]
pub struct Register {
    strict: bool,
    holder: Option<Holder>,
    /// How often somebody began.
    pub holders: u64,
    pub findings: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    place: Place,
    token: FencingToken,
    since: Instant,
}

impl Register {
    pub const fn new(strict: bool) -> Self {
        Self { strict, holder: None, holders: 0, findings: Vec::new() }
    }

    /// A leader begins to work.
    pub fn begins(&mut self, place: Place, token: FencingToken) {
        self.holders += 1;
        if let Some(before) = self.holder
            && self.strict
        {
            if token < before.token {
                self.findings.push(format!("{place:?} begins with {token:?} after {before:?}"));
                return;
            }
            if token == before.token && place != before.place {
                self.findings.push(format!("{place:?} has the token of {before:?}"));
            }
        }
        self.holder = Some(Holder { place, token, since: Instant::now() });
    }

    /// A leader is still at work.
    pub fn works(&mut self, place: Place, token: FencingToken) {
        let Some(holder) = self.holder.filter(|_| self.strict) else { return };
        let late = holder.since.elapsed();
        // Once is enough: it would be said again every few milliseconds.
        if token < holder.token && late > GOES_ON_MAX && self.findings.is_empty() {
            let text = format!("{place:?} works with {token:?}, {late:?} after {holder:?} began");
            self.findings.push(text);
        }
    }
}
