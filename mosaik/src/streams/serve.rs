//! Subscriptions as they come in, on streams that peers open.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    producer::{Core, Subscriber},
    protocol::{MESSAGE_LIMIT, Refusal, Subscribe, read_request},
    registry::Registry,
};
use crate::{
    discovery::PeerInfo,
    transport::{CloseReason, Link, MessageReader, MessageWriter, RecvStream, SendStream},
};

/// How long a consumer may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers one subscription, and serves it until it ends.
pub(super) async fn answer(
    registry: Weak<Registry>,
    link: Link,
    send: SendStream,
    recv: RecvStream,
) {
    let mut reader = MessageReader::new(recv, MESSAGE_LIMIT);
    let mut writer = MessageWriter::new(send);
    let request = match timeout(REQUEST_TIMEOUT, reader.next_bytes()).await {
        Ok(Ok(Some(request))) => request,
        Ok(Err(error)) if error.is_violation() => {
            tracing::debug!(peer = %link.peer(), %error, "not a subscription");
            if let Some(registry) = registry.upgrade() {
                registry.unserved.rejected(CloseReason::ProtocolViolation);
            }
            writer.reset(CloseReason::ProtocolViolation);
            return reader.stop(CloseReason::ProtocolViolation);
        }
        Ok(_) => return,
        Err(_) => {
            if let Some(registry) = registry.upgrade() {
                registry.unserved.rejected(CloseReason::Timeout);
            }
            writer.reset(CloseReason::Timeout);
            return reader.stop(CloseReason::Timeout);
        }
    };
    let admitted = read_request(&request).and_then(|request| {
        admit(&registry, &link, &request).map(|(core, peer)| (core, peer, request))
    });
    if let (Err(reason), Some(registry)) = (&admitted, registry.upgrade()) {
        registry.unserved.rejected(*reason);
    }
    // Nothing here may keep the streams of a node alive that is shutting down.
    drop(registry);
    let subscriber = Subscriber { link, writer, reader };
    match admitted {
        Ok((core, peer, request)) => subscriber.serve(core, peer, request).await,
        Err(reason) => subscriber.refuse(Refusal::new(reason)).await,
    }
}

/// What can be said before the producer is asked.
fn admit(
    registry: &Weak<Registry>,
    link: &Link,
    request: &Subscribe,
) -> Result<(Arc<Core>, PeerInfo), CloseReason> {
    let registry = registry.upgrade().ok_or(CloseReason::StreamNotFound)?;
    let core = registry.get(&request.stream).ok_or(CloseReason::StreamNotFound)?;
    let peer = registry.peer(&link.peer(), link.rtt()).ok_or(CloseReason::UnknownPeer)?;
    Ok((core, peer))
}
