//! Catalog syncs with peers that do not mean well, and with many at once.

use super::*;
use crate::{
    discovery::{
        catalog::Summary,
        sync::{Page, SyncError},
    },
    transport::{MessageError, MessageReader, MessageWriter},
};

/// A sync that is begun by hand.
struct ByHand {
    writer: MessageWriter,
    reader: MessageReader,
}

impl ByHand {
    async fn begin(from: &Node, to: &Node) -> Self {
        let link = from.transport.connect(to.id().into()).await.unwrap();
        let (send, recv) = link.open(StreamKind::Sync).await.unwrap();
        Self { writer: MessageWriter::new(send), reader: MessageReader::new(recv, 1 << 20) }
    }

    /// Says nothing of what this side knows, and reads what the other tells.
    async fn ask_for_all(mut self) -> Result<(), MessageError> {
        for _ in 0..2 {
            self.writer.send(&Page::End).await?;
            loop {
                match self.reader.next::<Page>().await? {
                    Some(Page::End) => break,
                    Some(_) => {}
                    None => return Err(MessageError::Truncated),
                }
            }
        }
        Ok(())
    }

    /// Waits until the other side has given it up.
    async fn refused(mut self) {
        while let Ok(Some(_)) = self.reader.next_bytes().await {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_all_again_and_again_is_answered_about_once_a_second() {
    let world = World::new(710);
    let nodes = world.nodes(2);
    let begun = Instant::now();
    for _ in 0..40 {
        ByHand::begin(&nodes[0], &nodes[1]).await.ask_for_all().await.unwrap();
    }
    assert!(begun.elapsed() > 30 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_few_syncs_in_a_row_are_not_slowed_down() {
    let world = World::new(711);
    let [a, b] = [1, 2].map(|seed| world.node(seed, Config::builder()));
    a.discovery.sync_with(b.id()).await.unwrap();
    let begun = Instant::now();
    for _ in 0..2 {
        a.discovery.sync_with(b.id()).await.unwrap();
        b.discovery.sync_with(a.id()).await.unwrap();
    }
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn peers_that_begin_syncs_and_say_no_more_do_not_keep_others_out_for_long() {
    let world = World::new(712);
    let nodes = world.nodes(12);
    let mut silent = Vec::new();
    for node in &nodes[1..11] {
        for _ in 0..4 {
            silent.push(ByHand::begin(node, &nodes[0]).await);
        }
    }
    sleep(10 * MS).await;
    let begun = Instant::now();
    nodes[11].discovery.sync_with(nodes[0].id()).await.unwrap();
    assert!(begun.elapsed() < 40 * SECOND, "{:?}", begun.elapsed());
    sleep(120 * SECOND).await;
    let refusals = nodes[0].discovery.refusals();
    assert!(refusals.of(Refusal::TimedOut) > 10, "{refusals:?}");
    // Of the honest ones some had to wait too long as well; they try again.
    assert!(refusals.of(Refusal::TimedOut) + refusals.of(Refusal::Flooded) >= 40, "{refusals:?}");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_rules_of_a_sync_is_refused_and_counted() {
    let world = World::new(713);
    let nodes = world.nodes(2);
    let refusals = nodes[1].discovery.refusals();
    let summary = Summary::sample(nodes[0].id(), PeerEntryVersion::default());
    let repeated = Page::Summary(vec![summary; 2]);
    let mut sync = ByHand::begin(&nodes[0], &nodes[1]).await;
    sync.writer.send(&repeated).await.unwrap();
    sync.writer.send(&Page::End).await.unwrap();
    sync.refused().await;
    assert_eq!(refusals.of(Refusal::Malformed), 1, "the same peer twice");
    let mut sync = ByHand::begin(&nodes[0], &nodes[1]).await;
    sync.writer.send_bytes(Bytes::from_static(&[0, 200, 200, 1])).await.unwrap();
    sync.refused().await;
    assert_eq!(refusals.of(Refusal::Malformed), 2, "no page");
    let mut sync = ByHand::begin(&nodes[0], &nodes[1]).await;
    sync.writer.finish();
    sync.refused().await;
    assert_eq!(refusals.of(Refusal::Malformed), 3, "no turn");
    let mut sync = ByHand::begin(&nodes[0], &nodes[1]).await;
    sync.writer.send_bytes(vec![0; 400_000].into()).await.unwrap_or_default();
    sync.refused().await;
    assert_eq!(refusals.of(Refusal::Oversized), 1);
    assert_eq!(SyncError::TooMuch.refusal(), Some(Refusal::Flooded));
}
