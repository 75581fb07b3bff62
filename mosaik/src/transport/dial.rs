//! Dialling: one attempt a peer at a time, shared by all who want the peer.

use ::iroh::EndpointAddr;
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, timeout},
};

use super::{
    LinkEvent, Transport,
    close::CloseReason,
    connection::{Connection, Lane},
    error::DialError,
    hello::Role,
    link::Link,
    lock,
};
use crate::id::PeerId;

/// The outcome of a dial that is going on.
pub(super) type Dialling = watch::Receiver<Option<Result<Link, DialError>>>;

async fn outcome_of(mut dialling: Dialling) -> Result<Link, DialError> {
    match dialling.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(DialError::ShuttingDown)),
        // The dialling task ended without an outcome.
        Err(_) => Err(DialError::ShuttingDown),
    }
}

impl Transport {
    /// The admitted link to this peer: the one that is up, or a new one.
    ///
    /// Concurrent callers share one dial. Bounded by the dial timeout. Cancel safe: the dial goes
    /// on for the others, and its link is closed as unused if there are none.
    pub(crate) async fn connect(&self, to: EndpointAddr) -> Result<Link, DialError> {
        if to.id == self.id() {
            return Err(DialError::Myself);
        }
        if let Some(link) = self.link(&to.id) {
            return Ok(link);
        }
        let mut events = self.0.events.subscribe();
        let peer = to.id;
        tokio::select! {
            biased;
            outcome = self.dialled(to) => outcome,
            // The peer dialled us, and perhaps it can do that only: nobody waits for our dial then.
            link = self.link_up(&peer, &mut events) => Ok(link),
        }
    }

    async fn dialled(&self, to: EndpointAddr) -> Result<Link, DialError> {
        let (dialling, ours) = self.dialling(&to);
        let outcome = match outcome_of(dialling).await {
            // That dial may have gone to other addresses than ours.
            Err(DialError::TimedOut | DialError::NoAddress | DialError::Failed(_)) if !ours => {
                outcome_of(self.dialling(&to).0).await
            }
            outcome => outcome,
        };
        // Whatever became of the dial: the peer may have dialled us meanwhile.
        outcome.or_else(|error| self.link(&to.id).ok_or(error))
    }

    /// The dial to this peer that is going on, or a new one; and whether it is new.
    fn dialling(&self, to: &EndpointAddr) -> (Dialling, bool) {
        let mut dials = lock(&self.0.dials);
        if let Some(dialling) = dials.get(&to.id) {
            return (dialling.clone(), false);
        }
        let to = to.clone();
        let (outcome, dialling) = watch::channel(None);
        dials.insert(to.id, dialling.clone());
        let transport = self.clone();
        self.0.tasks.spawn("transport.dial", async move {
            let peer = to.id;
            let result = transport.dial(to).await;
            lock(&transport.0.dials).remove(&peer);
            outcome.send_replace(Some(result));
        });
        (dialling, true)
    }

    async fn dial(&self, mut to: EndpointAddr) -> Result<Link, DialError> {
        let limit = self.0.config.dial_timeout;
        let deadline = Instant::now() + limit;
        if let Some(lookup) = self.0.lookup.get()
            && let Some(known) = lookup(to.id).await
        {
            to.addrs.extend(known.addrs);
        }
        // Subscribed before the dial, so that a link that goes up meanwhile is not missed.
        let mut events = self.0.events.subscribe();
        let attempt = async {
            // Who begins has half of the time: when many wait, they must not all begin as theirs
            // runs out. The semaphore is never closed.
            let turn = timeout(limit / 2, self.0.dial_turns.acquire()).await;
            let Ok(_turn) = turn else { return Err(DialError::TimedOut) };
            self.dial_once(to.clone()).await
        };
        match tokio::time::timeout_at(deadline, attempt).await {
            Ok(Err(DialError::Refused(CloseReason::Duplicate))) => {}
            Ok(outcome) => return outcome,
            Err(_) => return Err(DialError::TimedOut),
        }
        // Another connection to this peer is being admitted, or is up already.
        let other = self.link_up(&to.id, &mut events);
        match timeout(self.0.config.hello_timeout, other).await {
            Ok(link) => Ok(link),
            Err(_) => Err(DialError::Refused(CloseReason::Duplicate)),
        }
    }

    /// Waits until a link to the peer is up.
    async fn link_up(&self, peer: &PeerId, events: &mut broadcast::Receiver<LinkEvent>) -> Link {
        loop {
            if let Some(link) = self.link(peer) {
                return link;
            }
            match events.recv().await {
                Ok(LinkEvent::Up(link)) if link.peer() == *peer => return link,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                _ => {}
            }
        }
    }

    async fn dial_once(&self, to: EndpointAddr) -> Result<Link, DialError> {
        let begun = Instant::now();
        let connection = self.dial_lane(to.clone(), Lane::Control).await?;
        match self.greet(&connection, Role::Dialler, begun, Some(to)).await {
            Ok(session) => {
                let link = session.link().clone();
                self.0.tasks.spawn("transport.session", session.run());
                Ok(link)
            }
            Err(reason) => {
                connection.close(reason);
                Err(DialError::Refused(reason))
            }
        }
    }

    pub(super) async fn dial_lane(
        &self,
        to: EndpointAddr,
        lane: Lane,
    ) -> Result<Connection, DialError> {
        let peer: PeerId = to.id;
        let connection = self.0.endpoint.connect(to, lane).await?;
        self.0.counts.opened();
        // QUIC authenticates the id that was dialled; a mismatch would be a defect of the backend.
        if connection.remote_id() == peer {
            Ok(connection)
        } else {
            connection.close(CloseReason::ProtocolViolation);
            Err(DialError::Failed("somebody else answered".into()))
        }
    }
}
