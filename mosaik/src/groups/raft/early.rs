//! A deliberate fault: what was sent counts as stored.

use std::collections::VecDeque;

use super::type_config::{AppendRequest, AppendResult, EntryId};
use crate::faults::{Fault, is_present};

/// The requests of a stream that the follower has not answered yet.
#[derive(Default)]
pub(super) struct Early {
    unanswered: VecDeque<Unanswered>,
    /// The follower's log was equal to the leader's: what follows fits.
    fits: bool,
}

struct Unanswered {
    last: Option<EntryId>,
    /// It was answered without waiting for the follower.
    early: bool,
}

impl Early {
    pub(super) fn sent(&mut self, request: &AppendRequest) {
        let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
        self.unanswered.push_back(Unanswered { last, early: false });
    }

    /// The answer that does not wait for the follower.
    pub(super) fn answer(&mut self) -> Option<AppendResult> {
        if !self.fits || !is_present(Fault::AcknowledgesEarly) {
            return None;
        }
        let next = self.unanswered.iter_mut().find(|request| !request.early)?;
        next.early = true;
        Some(Ok(next.last))
    }

    /// The follower has answered; whether that was answered before.
    pub(super) fn is_late(&mut self, answer: &AppendResult) -> bool {
        self.fits |= answer.is_ok();
        self.unanswered.pop_front().is_some_and(|request| request.early)
    }
}
