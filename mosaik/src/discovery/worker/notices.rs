//! What the catalog makes the worker see to: newer runs, of peers and of the own id, and clocks
//! that differ.

use iroh::EndpointAddr;
use tokio::time::Instant;

use super::Worker;
use crate::{
    discovery::{
        ask::{Question, ask},
        incarnation::Meeting,
        shared::Notice,
        skew::ClockSkew,
        version::micros,
    },
    id::PeerId,
    transport::Link,
};

impl Worker {
    /// False if this node stops.
    pub(super) fn notice(&mut self, notice: Notice) -> bool {
        match notice {
            Notice::NewStart(peer, start) if peer == self.shared.me() => self.newer_self(start),
            Notice::NewStart(peer, start) => {
                self.reach.transport.saw_incarnation(&peer, start);
                true
            }
            Notice::Skew(skew) => {
                self.answer_skew(skew);
                true
            }
        }
    }

    /// Somebody has this node's key, or had it before: see [`Meeting`].
    fn newer_self(&mut self, theirs: u64) -> bool {
        let ours = self.reach.transport.start();
        match self.incarnation.meet(ours, theirs, Instant::now()) {
            Meeting::Nothing => true,
            Meeting::Renew(start) => {
                tracing::info!(
                    start,
                    "a past life of this node was dated later: its time is taken"
                );
                if let Err(error) = self.shared.renew(start) {
                    tracing::warn!(%error, "the entry of this node was not changed");
                }
                self.reach.transport.renew(start);
                true
            }
            Meeting::Stop => {
                tracing::error!(
                    "another node with this node's key has started later: this one stops"
                );
                self.shared.superseded().cancel();
                false
            }
        }
    }

    /// Tells the peer, who may not know it: its hello was before, or to somebody else. If there is
    /// no link, the hello of a new one tells both.
    fn answer_skew(&self, skew: ClockSkew) {
        let reach = self.reach.clone();
        self.tasks.spawn("discovery.skew", async move {
            let ClockSkew { peer, ours, theirs } = skew;
            let told = async {
                let link =
                    reach.connect(EndpointAddr::new(peer)).await.map_err(|e| e.to_string())?;
                let question = Question::Skew { ours: micros(ours), yours: micros(theirs) };
                ask(reach.shared(), &link, &question).await.map_err(|error| error.to_string())
            };
            if let Err(error) = told.await {
                tracing::debug!(%peer, error, "a peer could not be told that its clock is off");
            }
        });
    }

    /// A link is up: its hello showed both clocks.
    pub(super) fn compare_clocks(&self, link: &Link) {
        self.shared.compare_clocks(ClockSkew::between(link));
    }

    /// A peer does not want this run of the node any more. That is no proof of anything; what it
    /// knows is asked for.
    pub(super) fn doubted_by(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.syncs.want(peer, now);
    }
}
