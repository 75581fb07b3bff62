//! What peers that are connected tell each other about tickets, beside the gossip: that theirs
//! have changed, and the bodies that the other lacks.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

use super::{
    catalog::SyncItem,
    entry::{MAX_ENTRY_BYTES, RawEntry, SignedPeerEntry},
    refusal::Refusal,
    shared::Shared,
};
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
/// The longest request: an entry with its signature and beat.
const MAX_REQUEST_BYTES: usize = MAX_ENTRY_BYTES + 1024;
/// A stream on which an entry came stays taken for so long, so that a peer cannot have too many of
/// them verified.
const PAUSE_AFTER_ENTRY: Duration = Duration::from_millis(50);
/// How long one exchange may take.
const MAX_TIME: Duration = Duration::from_secs(5);

/// The first message on a stream.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// These tickets are wanted.
    Bodies(BTreeSet<UniqueId>),
    /// The sender's entry names other tickets now.
    Changed(RawEntry),
}

/// Those of them that the peer still has. Later versions append fields.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    tickets: Vec<Ticket>,
}

/// An exchange about tickets that failed. Nothing changed.
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
        writer.send(&Request::Bodies(ids)).await?;
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

/// Tells a peer at once that this node's tickets have changed: whoever reads them is connected, and
/// is not to wait for the gossip.
pub(super) async fn tell(link: &Link, entry: &SignedPeerEntry) -> Result<(), FetchError> {
    let exchange = async {
        let (send, _recv) = link.open(StreamKind::Tickets).await?;
        let mut writer = MessageWriter::new(send);
        writer.send(&Request::Changed(entry.to_raw())).await?;
        writer.finish();
        Ok(())
    };
    timeout(MAX_TIME, exchange).await.map_err(|_| FetchError::TimedOut)?
}

/// Answers what a peer says or asks about tickets.
pub(super) async fn answer(shared: &Shared, link: &Link, send: SendStream, recv: RecvStream) {
    let mut reader = MessageReader::new(recv, MAX_REQUEST_BYTES);
    let mut writer = MessageWriter::new(send);
    let exchange = async {
        match hear(&mut reader).await? {
            Some(Request::Bodies(ids)) => {
                let local = shared.local();
                let named = |ticket: &&Ticket| ids.contains(&ticket.id());
                let tickets = local.tickets().values().filter(named).cloned().collect();
                writer.send(&Answer { tickets }).await?;
            }
            Some(Request::Changed(entry)) => {
                take_in(shared, link, entry);
                sleep(PAUSE_AFTER_ENTRY).await;
            }
            None => {}
        }
        writer.finish();
        Ok::<_, MessageError>(())
    };
    match timeout(MAX_TIME, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(peer = %link.peer(), %error, "a request about tickets failed");
            writer.reset(CloseReason::ProtocolViolation);
        }
        Err(_) => writer.reset(CloseReason::Timeout),
    }
}

/// Takes in the entry of the peer at the other end. If it is refused, that is counted.
fn take_in(shared: &Shared, link: &Link, entry: RawEntry) {
    let taken = if entry.peer() == Some(link.peer()) {
        shared.take(SyncItem::Entry(entry)).map(|_| ())
    } else {
        shared.counted(Err(Refusal::Forged))
    };
    if let Err(refusal) = taken {
        tracing::debug!(peer = %link.peer(), %refusal, "news of tickets was refused");
    }
}

async fn hear<T: DeserializeOwned>(reader: &mut MessageReader) -> Result<Option<T>, MessageError> {
    let Some(bytes) = reader.next_bytes().await? else { return Ok(None) };
    schema::decode_prefix(&bytes).map(Some).map_err(|_| MessageError::Malformed)
}
