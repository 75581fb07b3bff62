//! The accept loop: a bounded number of strangers at a time, each to its lane.

use tokio::time::{Instant, timeout};

use super::{
    Transport,
    close::CloseReason,
    connection::{Connection, Lane, Side},
    hello::{Role, Tag},
    lock,
    strangers::{Place, Strangers},
    stream::SendStream,
};
use crate::id::PeerId;

impl Transport {
    /// Starts to accept connections; the admission and the handlers are set by then.
    pub(crate) fn listen(&self) {
        let transport = self.clone();
        self.0.tasks.spawn("transport.accept", async move {
            let strangers = Strangers::new(transport.0.config.max_handshakes);
            while let Some(incoming) = transport.0.endpoint.accept().await {
                let begun = Instant::now();
                if strangers.is_crowded() && !incoming.is_validated() {
                    // An address that may be forged takes no place: it is asked to show that it is
                    // there, which costs this node nothing to remember and an honest peer a
                    // round trip.
                    incoming.retry();
                    continue;
                }
                let Some(place) = strangers.admit(incoming.source(), begun) else {
                    incoming.refuse();
                    transport.0.counts.refused(CloseReason::NoCapacity);
                    continue;
                };
                let stranger = transport.clone();
                transport.0.tasks.spawn("transport.incoming", async move {
                    let established =
                        timeout(stranger.0.config.hello_timeout, incoming.establish());
                    let (lane, connection) = match place.during(established).await {
                        Some(Ok(Some(established))) => established,
                        Some(Ok(None)) => return stranger.0.counts.refused(CloseReason::Failed),
                        Some(Err(_)) | None => {
                            return stranger.0.counts.refused(CloseReason::Timeout);
                        }
                    };
                    stranger.0.counts.opened();
                    match lane {
                        Lane::Control => stranger.welcome(connection, begun, place).await,
                        Lane::Side(side) => stranger.accept_side(side, connection, place).await,
                    }
                });
            }
        });
    }

    async fn welcome(&self, connection: Connection, begun: Instant, place: Place) {
        let greeted = if self.has_room_for(&connection.remote_id()) {
            let greeting = self.greet(&connection, Role::Acceptor, begun, None);
            place.during(greeting).await.unwrap_or(Err(CloseReason::Timeout))
        } else {
            Err(CloseReason::NoCapacity)
        };
        drop(place);
        match greeted {
            Ok(session) => session.run().await,
            Err(reason) => self.turn_away(&connection, reason),
        }
    }

    /// Whether one more peer may come in; one that is here already may come anew.
    fn has_room_for(&self, peer: &PeerId) -> bool {
        let peers = lock(&self.0.peers);
        peers.len() < self.0.config.max_peers || peers.link(peer).is_some()
    }

    /// A lane beside control is admitted by the token that its control connection gave out.
    async fn accept_side(&self, side: Side, connection: Connection, place: Place) {
        let reading = timeout(self.0.config.hello_timeout, read_token(&connection));
        let token = place.during(reading).await;
        let redeemed = token.and_then(Result::ok).flatten().and_then(|(token, confirm)| {
            let link = self.0.tokens.redeem(&token, side, &connection.remote_id())?;
            Some((link, confirm))
        });
        drop(place);
        match redeemed {
            Some((link, mut confirm)) => {
                confirm.finish();
                link.serve_lane(side, self, connection).await;
            }
            None => self.turn_away(&connection, CloseReason::ProtocolViolation),
        }
    }

    fn turn_away(&self, connection: &Connection, reason: CloseReason) {
        self.0.counts.refused(reason);
        connection.close(reason);
    }
}

/// The token that the dialler shows, and where it is told that the token is good.
async fn read_token(connection: &Connection) -> Option<(Tag, SendStream)> {
    let (confirm, mut recv) = connection.accept_bi().await.ok()?;
    let mut bytes = Vec::with_capacity(Tag::default().len());
    while let Some(chunk) = recv.read_chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > Tag::default().len() {
            return None;
        }
    }
    Some((bytes.try_into().ok()?, confirm))
}
