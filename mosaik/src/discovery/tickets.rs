//! Fetching the bodies of a peer's tickets from the peer itself.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::shared::Shared;
use crate::{
    id::UniqueId,
    schema,
    ticket::{MAX_TICKETS_BYTES, Ticket},
    transport::{
        CloseReason, Link, MessageError, MessageReader, MessageWriter, OpenError, RecvStream,
        SendStream, StreamKind,
    },
};

/// The longest answer: a ticket counts more towards the limit than its frame takes.
const MAX_ANSWER_BYTES: usize = MAX_TICKETS_BYTES + 1024;
/// The longest request: the ids of as many tickets as a peer can have.
const MAX_REQUEST_BYTES: usize = 40 * 1024;
/// How long one exchange may take.
const MAX_TIME: Duration = Duration::from_secs(5);

/// Which tickets are wanted. Later versions append fields.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    ids: Vec<UniqueId>,
}

/// Those of them that the peer still has. Later versions append fields.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    tickets: Vec<Ticket>,
}

/// A fetch that failed. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the peer did not answer in time")]
    TimedOut,
}

/// Asks the peer for those of its tickets that are not here, and takes them in.
pub(super) async fn fetch(shared: &Shared, link: &Link) -> Result<(), FetchError> {
    let peer = link.peer();
    let ids = shared.lacking_tickets(&peer);
    if ids.is_empty() {
        return Ok(());
    }
    let exchange = async {
        let (send, recv) = link.open(StreamKind::Tickets).await?;
        let mut writer = MessageWriter::new(send);
        writer.send(&Request { ids }).await?;
        writer.finish();
        let mut reader = MessageReader::new(recv, MAX_ANSWER_BYTES);
        Ok::<_, FetchError>(hear::<Answer>(&mut reader).await?)
    };
    let answer = timeout(MAX_TIME, exchange).await.map_err(|_| FetchError::TimedOut)??;
    if let Some(Answer { tickets }) = answer {
        shared.attach_tickets(&peer, tickets);
    }
    Ok(())
}

/// Answers a peer that asks for tickets of this node.
pub(super) async fn answer(shared: &Shared, link: &Link, send: SendStream, recv: RecvStream) {
    let mut reader = MessageReader::new(recv, MAX_REQUEST_BYTES);
    let mut writer = MessageWriter::new(send);
    let exchange = async {
        let Some(Request { ids }) = hear(&mut reader).await? else { return Ok(()) };
        let local = shared.local();
        let named = |ticket: &&Ticket| ids.contains(&ticket.id());
        let tickets = local.tickets().values().filter(named).cloned().collect();
        writer.send(&Answer { tickets }).await?;
        writer.finish();
        Ok::<_, MessageError>(())
    };
    match timeout(MAX_TIME, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(peer = %link.peer(), %error, "a request for tickets failed");
            writer.reset(CloseReason::ProtocolViolation);
        }
        Err(_) => writer.reset(CloseReason::Timeout),
    }
}

async fn hear<T: DeserializeOwned>(reader: &mut MessageReader) -> Result<Option<T>, MessageError> {
    let Some(bytes) = reader.next_bytes().await? else { return Ok(None) };
    schema::decode_prefix(&bytes).map(Some).map_err(|_| MessageError::Malformed)
}
