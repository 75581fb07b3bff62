//! Catalog sync: two nodes tell each other what they know, then only what differs.
//!
//! In turns, so that neither waits on the other's full buffers: the initiator's summary; what it
//! lacks and what the acceptor wants; what the acceptor wanted. The acceptor answers `End` only
//! after it has merged, so that at the end both hold each other.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    catalog::{Merged, RawPeerId, Summary, SyncItem, Want},
    refusal::Refusal,
    shared::Shared,
    worker::Turns,
};
use crate::{
    id::PeerId,
    schema,
    transport::{
        CloseReason, Link, MessageError, MessageReader, MessageWriter, OpenError, RecvStream,
        SendStream, StreamKind, decode_message,
    },
};

/// The size from which on a page is sent, in bytes. A single entry may be larger.
const PAGE_BYTES: usize = 32 * 1024;
/// The largest message: one entry of the largest size, and what comes with it.
const MAX_MESSAGE_BYTES: usize = 320 * 1024;
/// Summaries and wishes in one page.
const PAGE_ITEMS: usize = 256;
/// The most of anything in one sync.
const MAX_ITEMS: usize = 60_000;
/// News beyond this reach the others by their own syncs.
const MAX_LEARNED: usize = 64;
/// The longest time for one sync.
const MAX_TIME: Duration = Duration::from_secs(60);
/// How long whoever began a sync may leave the answer unread, or say nothing: it may have thousands
/// of entries to verify before it goes on.
const MAX_STALL: Duration = Duration::from_secs(15);

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Page {
    Summary(Vec<Summary>),
    /// Each encoded by itself, so that later versions can append to them and have more kinds.
    Items(Vec<Bytes>),
    Wants(Vec<Want>),
    /// The end of a turn.
    End,
}

/// A sync that broke off. What had arrived by then was merged.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the peer did not keep to the turns of the exchange")]
    OutOfTurn,
    #[error("the peer sent more than a catalog holds, or asked for more than it was offered")]
    TooMuch,
    #[error("the peer summed up the same peer twice")]
    Repeated,
    #[error("the peer sent what nobody has signed")]
    Forged,
    #[error("the exchange took too long")]
    TimedOut,
}

impl SyncError {
    /// As what it is counted, if the peer is to blame and it has not been counted yet.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Open(_) | Self::Forged => None,
            Self::Message(error) => Refusal::of_message(error),
            Self::OutOfTurn | Self::Repeated => Some(Refusal::Malformed),
            Self::TooMuch => Some(Refusal::Flooded),
            Self::TimedOut => Some(Refusal::TimedOut),
        }
    }
}

/// Peers of whom a sync brought news that the neighbours may not know; few enough to be
/// announced. A newcomer's first syncs bring none: it learns what all others know.
pub(super) type Learned = Vec<PeerId>;

/// Exchanges catalogs with a peer; when it returns, both sides have what both had.
pub(super) async fn initiate(shared: &Shared, link: &Link) -> Result<Learned, SyncError> {
    let exchange = async {
        let (send, recv) = link.open(StreamKind::Sync).await?;
        let mut exchange = Exchange::new(shared, link.peer(), send, recv, MAX_TIME, None);
        exchange.initiate().await?;
        Ok(exchange.end())
    };
    let outcome = timeout(MAX_TIME, exchange).await.unwrap_or(Err(SyncError::TimedOut));
    count(shared, &outcome);
    outcome
}

/// Answers a sync that a peer began.
pub(super) async fn accept(
    shared: &Shared,
    turns: &Turns,
    link: &Link,
    send: SendStream,
    recv: RecvStream,
) -> Result<Learned, SyncError> {
    let mut exchange = Exchange::new(shared, link.peer(), send, recv, MAX_STALL, Some(turns));
    let outcome = timeout(MAX_TIME, exchange.accept()).await.unwrap_or(Err(SyncError::TimedOut));
    count(shared, &outcome);
    if outcome.is_err() {
        exchange.writer.reset(CloseReason::ProtocolViolation);
    }
    outcome.map(|()| exchange.end())
}

fn count<T>(shared: &Shared, outcome: &Result<T, SyncError>) {
    if let Some(refusal) = outcome.as_ref().err().and_then(SyncError::refusal) {
        shared.refusals().count(refusal);
    }
}

struct Exchange<'a> {
    shared: &'a Shared,
    peer: PeerId,
    writer: MessageWriter,
    reader: MessageReader,
    /// How long the peer may take for each step.
    patience: Duration,
    /// What the peer sends is merged in turn with what others send; not if this node has asked.
    turns: Option<&'a Turns>,
    /// None while this node is a newcomer.
    learned: Option<Learned>,
}

/// What came in one turn; entries and the like are merged as they come.
#[derive(Default)]
struct Turn {
    summary: Vec<Summary>,
    /// Whom the summary names.
    seen: HashSet<RawPeerId>,
    wants: Vec<Want>,
    items: usize,
}

impl Turn {
    fn check(&self) -> Result<(), SyncError> {
        let all = self.summary.len() + self.wants.len() + self.items;
        if all > MAX_ITEMS { Err(SyncError::TooMuch) } else { Ok(()) }
    }

    /// Nobody knows the same peer twice: whoever says so is not heard to the end.
    fn take_summary(&mut self, page: Vec<Summary>) -> Result<(), SyncError> {
        if !page.iter().all(|summary| self.seen.insert(summary.peer)) {
            return Err(SyncError::Repeated);
        }
        self.summary.extend(page);
        Ok(())
    }
}

impl<'a> Exchange<'a> {
    fn new(
        shared: &'a Shared,
        peer: PeerId,
        send: SendStream,
        recv: RecvStream,
        patience: Duration,
        turns: Option<&'a Turns>,
    ) -> Self {
        Self {
            shared,
            peer,
            writer: MessageWriter::new(send),
            reader: MessageReader::new(recv, MAX_MESSAGE_BYTES),
            patience,
            turns,
            learned: shared.is_established().then(Vec::new),
        }
    }

    async fn initiate(&mut self) -> Result<(), SyncError> {
        // The own entry's beat is part of the summary: it should be a recent one.
        self.shared.local();
        let summary = self.shared.read(|state| state.summary());
        let offered = summary.len();
        for page in summary.chunks(PAGE_ITEMS) {
            self.say(&Page::Summary(page.to_vec())).await?;
        }
        drop(summary);
        self.end_turn().await?;
        let turn = self.hear().await?;
        let wants = Want::once_each(turn.wants, offered).ok_or(SyncError::TooMuch)?;
        self.send_wanted(&wants).await?;
        self.end_turn().await?;
        self.hear().await?;
        self.writer.finish();
        Ok(())
    }

    async fn accept(&mut self) -> Result<(), SyncError> {
        let turn = self.hear().await?;
        self.shared.local();
        let peer = self.peer;
        let (lacking, wants) = self.shared.read(|state| state.compare(&peer, &turn.summary));
        // However long the answer takes, it takes little memory.
        drop(turn);
        self.send_wanted(&lacking).await?;
        drop(lacking);
        for page in wants.chunks(PAGE_ITEMS) {
            self.say(&Page::Wants(page.to_vec())).await?;
        }
        drop(wants);
        self.end_turn().await?;
        self.hear().await?;
        self.end_turn().await?;
        self.writer.finish();
        Ok(())
    }

    async fn send_wanted(&mut self, wants: &[Want]) -> Result<(), SyncError> {
        let mut page = Vec::new();
        let mut weight = 0;
        for want in wants {
            // Looked up one by one: entries are not copied before they are sent.
            let Some(item) = self.shared.read(|state| state.item(want)) else { continue };
            let item = schema::encode(&item).map_err(|_| MessageError::Encoding)?;
            if weight > 0 && weight + item.len() > PAGE_BYTES {
                self.say(&Page::Items(std::mem::take(&mut page))).await?;
                weight = 0;
            }
            weight += item.len();
            page.push(item);
        }
        if page.is_empty() { Ok(()) } else { self.say(&Page::Items(page)).await }
    }

    async fn end_turn(&mut self) -> Result<(), SyncError> {
        self.say(&Page::End).await
    }

    async fn say(&mut self, page: &Page) -> Result<(), SyncError> {
        let said = timeout(self.patience, self.writer.send(page)).await;
        Ok(said.map_err(|_| SyncError::TimedOut)??)
    }

    /// Merges what came. If it is refused, that is counted; the rest of the page still counts,
    /// except after a forgery: an honest peer has verified what it passes on.
    fn take(&mut self, item: &[u8]) -> Result<(), SyncError> {
        let item = match decode_message(item) {
            Ok(item) => item,
            // Of a later version, which has other ways to tell who does not understand it.
            Err(MessageError::Unknown) => return Ok(()),
            Err(_) => {
                self.shared.refusals().count(Refusal::Malformed);
                return Ok(());
            }
        };
        let entry_of = match &item {
            SyncItem::Entry(entry) => entry.peer(),
            SyncItem::Beat(_) | SyncItem::Departure(_) => None,
        };
        let merged = self.shared.take(item);
        if let (Some(learned), Some(peer), Ok(Merged::New)) = (&mut self.learned, entry_of, merged)
            && learned.len() < MAX_LEARNED
        {
            learned.push(peer);
        }
        if merged == Err(Refusal::Forged) { Err(SyncError::Forged) } else { Ok(()) }
    }

    fn end(self) -> Learned {
        self.shared.set_established(true);
        self.shared.counts.synced();
        self.learned.unwrap_or_default()
    }

    /// Reads the other side's turn to its end.
    async fn hear(&mut self) -> Result<Turn, SyncError> {
        let mut turn = Turn::default();
        loop {
            let heard = timeout(self.patience, self.reader.next()).await;
            let page = match heard.map_err(|_| SyncError::TimedOut)? {
                // Of a later version: skipped, as often as there could be pages.
                Err(MessageError::Unknown) => {
                    turn.items += 1;
                    turn.check()?;
                    continue;
                }
                page => page?.ok_or(SyncError::OutOfTurn)?,
            };
            match page {
                Page::Summary(page) => turn.take_summary(page)?,
                Page::Wants(page) => turn.wants.extend(page),
                Page::Items(page) => {
                    turn.items += page.len();
                    let turns = self.turns;
                    let mut merge = || page.iter().try_for_each(|item| self.take(item));
                    match turns {
                        Some(turns) => turns.merge(merge).await?,
                        None => merge()?,
                    }
                    // Verifying a page takes a millisecond or more.
                    tokio::task::yield_now().await;
                }
                Page::End => return Ok(turn),
            }
            turn.check()?;
        }
    }
}

/// One page of each kind.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn samples(items: Vec<SyncItem>) -> Vec<Page> {
    let (summaries, wants) = super::fuzzing::summaries([1, 2]);
    let items = items.iter().map(crate::schema::fuzzing::encoded).map(Bytes::from).collect();
    vec![Page::Summary(summaries), Page::Items(items), Page::Wants(wants), Page::End]
}
