//! The accept loop: a bounded number of strangers at a time, each to its lane.

use std::sync::Arc;

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    Transport,
    close::CloseReason,
    connection::{Connection, Lane},
    hello::{Role, Tag},
    stream::SendStream,
};

impl Transport {
    /// Starts to accept connections; the admission and the handlers are set by then.
    pub(crate) fn listen(&self) {
        let transport = self.clone();
        self.0.tasks.spawn("transport.accept", async move {
            let slots = Arc::new(Semaphore::new(transport.0.config.max_handshakes));
            while let Some(incoming) = transport.0.endpoint.accept().await {
                let Ok(slot) = slots.clone().try_acquire_owned() else {
                    incoming.refuse();
                    transport.0.counts.refused(CloseReason::NoCapacity);
                    continue;
                };
                let stranger = transport.clone();
                transport.0.tasks.spawn("transport.incoming", async move {
                    let begun = Instant::now();
                    let established =
                        timeout(stranger.0.config.hello_timeout, incoming.establish());
                    let (lane, connection) = match established.await {
                        Ok(Some(established)) => established,
                        Ok(None) => return stranger.0.counts.refused(CloseReason::Failed),
                        Err(_) => return stranger.0.counts.refused(CloseReason::Timeout),
                    };
                    stranger.0.counts.opened();
                    match lane {
                        Lane::Control => stranger.welcome(connection, begun, slot).await,
                        Lane::Bulk => stranger.accept_bulk(connection, slot).await,
                    }
                });
            }
        });
    }

    async fn welcome(
        &self,
        connection: Connection,
        begun: Instant,
        slot: tokio::sync::OwnedSemaphorePermit,
    ) {
        match self.greet(&connection, Role::Acceptor, begun, None).await {
            Ok(session) => {
                drop(slot);
                session.run().await;
            }
            Err(reason) => self.turn_away(&connection, reason),
        }
    }

    /// A bulk lane is admitted by the token that its control connection gave out.
    async fn accept_bulk(&self, connection: Connection, slot: tokio::sync::OwnedSemaphorePermit) {
        let token = timeout(self.0.config.hello_timeout, read_token(&connection)).await;
        let redeemed = token.ok().flatten().and_then(|(token, confirm)| {
            let link = self.0.tokens.redeem(&token, &connection.remote_id())?;
            Some((link, confirm))
        });
        drop(slot);
        match redeemed {
            Some((link, mut confirm)) => {
                confirm.finish();
                link.serve_bulk(connection).await;
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
