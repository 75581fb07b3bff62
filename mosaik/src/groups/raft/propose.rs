//! Proposals: items on their way into the log, and what became of them.

use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader};
use tokio::sync::oneshot;

use super::{
    errors::Refusal,
    node::Node,
    type_config::{Callback, Logged, Types, WriteResult},
};
use crate::groups::{index::Cursor, state::Item};

/// A proposal under way. Dropping it does not withdraw it.
#[derive(Debug)]
pub(crate) struct Proposal {
    appended: oneshot::Receiver<Cursor>,
    place: Option<Cursor>,
    outcome: oneshot::Receiver<Result<(), Refusal>>,
}

impl Proposal {
    /// Waits until this leader has appended it. The place is that of its last command.
    ///
    /// Cancel safe.
    pub(crate) async fn appended(&mut self) -> Result<Cursor, Refusal> {
        if let Some(place) = self.place {
            return Ok(place);
        }
        match (&mut self.appended).await {
            Ok(place) => {
                self.place = Some(place);
                Ok(place)
            }
            // It was dropped on the way: the outcome says why.
            Err(_) => match (&mut self.outcome).await {
                Ok(Err(refusal)) => Err(refusal),
                Ok(Ok(())) | Err(_) => Err(Refusal::Stopped),
            },
        }
    }

    /// Waits until it is committed, and applied at this member. The place is that of its last
    /// command. Not to be called after [`Proposal::appended`] has failed.
    pub(crate) async fn committed(mut self) -> Result<Cursor, Refusal> {
        match self.outcome.await {
            Ok(Ok(())) => {
                let place = self.place.or_else(|| self.appended.try_recv().ok());
                place.ok_or(Refusal::Stopped)
            }
            Ok(Err(refusal)) => Err(refusal),
            Err(_) => Err(Refusal::Stopped),
        }
    }
}

impl Node {
    /// Proposes an item. The order of calls is the order in the log. It waits only if tens of
    /// thousands of proposals are queued.
    pub(crate) async fn propose(&self, item: Item) -> Result<Proposal, Refusal> {
        let (told, outcome) = oneshot::channel();
        let tell = move |result: WriteResult| {
            // Whoever proposed it may not wait any more.
            let _ = told.send(result.map(|_| ()).map_err(refusal));
        };
        let (place, appended) = oneshot::channel();
        let logged = Logged { item, appended: Some(place) };
        let written = self.raft().client_write_ff(logged, Some(Callback(Box::new(tell)))).await;
        written.map_err(|_| Refusal::Stopped)?;
        Ok(Proposal { appended, place: None, outcome })
    }
}

fn refusal(error: ClientWriteError<Types>) -> Refusal {
    match error {
        ClientWriteError::ForwardToLeader(ForwardToLeader { leader_id, reason, .. }) => {
            match reason {
                ForwardReason::NotLeader => Refusal::NotLeader { leader: leader_id },
                ForwardReason::LeadershipTransfer | ForwardReason::LeaseExpired => {
                    Refusal::NotReady
                }
            }
        }
        ClientWriteError::LogEntryDiscarded(_) => Refusal::Discarded,
        // Only changes of members have these.
        ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => {
            Refusal::NotReady
        }
    }
}
