//! Places in the log, and its sizes.

use openraft::{
    EntryPayload,
    storage::{IOFlushed, RaftLogReader, RaftLogStorage},
};
use tokio::sync::{oneshot, watch};

use super::state::adding;
use crate::groups::{
    index::{Cursor, Index, Term},
    raft::{
        log::MemoryLog,
        type_config::{Entry, Logged, entry_id},
    },
};

fn entry(term: u64, index: u64, commands: usize) -> Entry {
    let payload = match commands {
        0 => EntryPayload::Blank,
        count => EntryPayload::Normal(Logged::new(adding(&vec![1; count]))),
    };
    Entry { log_id: entry_id(term, index), payload }
}

fn empty(page_bytes: usize) -> MemoryLog {
    MemoryLog::new(page_bytes, watch::Sender::default())
}

async fn append(log: &mut MemoryLog, entries: impl IntoIterator<Item = Entry>) {
    log.append(entries.into_iter().collect::<Vec<_>>(), IOFlushed::noop()).await.unwrap();
}

fn at(term: u64, index: u64) -> Cursor {
    Cursor(Term(term), Index(index))
}

#[tokio::test]
async fn places_count_commands_only() {
    let mut log = empty(1 << 20);
    assert_eq!(log.last(), at(0, 0));
    append(&mut log, [entry(1, 0, 0), entry(1, 1, 3), entry(2, 2, 0), entry(2, 3, 2)]).await;
    let places: Vec<_> = (0..5).map(|index| log.position(index)).collect();
    let expected = [Some(at(1, 0)), Some(at(1, 3)), Some(at(2, 3)), Some(at(2, 5)), None];
    assert_eq!(places, expected);

    log.truncate_after(Some(entry_id(1, 1))).await.unwrap();
    assert_eq!(log.last(), at(1, 3));
    append(&mut log, [entry(3, 2, 4)]).await;
    assert_eq!(log.last(), at(3, 7));

    log.purge(entry_id(1, 1)).await.unwrap();
    assert_eq!((log.position(0), log.position(1)), (None, Some(at(1, 3))));
    assert_eq!(log.position(2), Some(at(3, 7)));
    log.truncate_after(Some(entry_id(1, 1))).await.unwrap();
    assert_eq!((log.last(), log.bytes()), (at(1, 3), 0));
}

#[tokio::test]
async fn a_log_that_is_purged_beyond_its_end_goes_on_from_the_snapshot() {
    let mut log = empty(1 << 20);
    append(&mut log, [entry(1, 0, 0), entry(1, 1, 3)]).await;
    log.tell(40, Index(500));
    log.purge(entry_id(4, 40)).await.unwrap();
    assert_eq!(log.last(), at(4, 500));
    append(&mut log, [entry(4, 41, 2)]).await;
    assert_eq!(log.position(41), Some(at(4, 502)));
    // Told again of what it knows already.
    log.tell(40, Index(500));
    assert_eq!(log.last(), at(4, 502));
}

#[tokio::test]
async fn whoever_proposed_hears_the_place() {
    let mut log = empty(1 << 20);
    let (place, appended) = oneshot::channel();
    let mut proposed = entry(2, 0, 3);
    proposed.payload =
        EntryPayload::Normal(Logged { item: adding(&[1; 3]), appended: Some(place) });
    append(&mut log, [proposed]).await;
    assert_eq!(appended.await.unwrap(), at(2, 3));
}

#[tokio::test]
async fn a_page_is_limited_but_never_empty() {
    let mut log = empty(1000);
    append(&mut log, (0..20).map(|index| entry(1, index, if index == 9 { 500 } else { 10 }))).await;
    let page = log.limited_get_log_entries(0, 20).await.unwrap();
    assert!(page.len() > 1 && page.len() < 9, "{}", page.len());
    assert_eq!(log.limited_get_log_entries(9, 20).await.unwrap().len(), 1);
    assert_eq!(log.try_get_log_entries(3..).await.unwrap().len(), 17);
    assert_eq!(log.try_get_log_entries(..=3).await.unwrap().len(), 4);
    let indices: Vec<_> = log.entries_between(Some(3), 9).map(|entry| entry.log_id.index).collect();
    assert_eq!(indices, [4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn what_is_kept_is_limited_in_bytes() {
    let mut log = empty(1000);
    append(&mut log, (0..100).map(|index| entry(1, index, 10))).await;
    let each = log.bytes() / 100;
    assert_eq!(log.surplus(89, 10 * each), Some(79));
    assert_eq!(log.surplus(89, 1000 * each), None);
    log.purge(entry_id(1, 79)).await.unwrap();
    assert_eq!(log.bytes(), 20 * each);
    assert_eq!(log.surplus(89, 10 * each), None);
}

#[tokio::test]
async fn whoever_watches_hears_of_what_is_appended_and_of_what_is_cut() {
    let watched = watch::Sender::default();
    let mut log = MemoryLog::new(1 << 20, watched.clone());
    let end = || watched.borrow().end();
    append(&mut log, [entry(1, 0, 0), entry(1, 1, 3), entry(1, 2, 2)]).await;
    assert_eq!((end(), watched.borrow().cuts()), (at(1, 5), 0));
    log.truncate_after(Some(entry_id(1, 1))).await.unwrap();
    assert_eq!((end(), watched.borrow().cuts()), (at(1, 3), 1));
    append(&mut log, [entry(2, 2, 0), entry(2, 3, 9)]).await;
    assert_eq!(end(), at(2, 12));
    // A snapshot covers more than there is.
    log.tell(40, Index(500));
    log.purge(entry_id(4, 40)).await.unwrap();
    assert_eq!((end(), watched.borrow().cuts()), (at(4, 500), 1));
    // Another incarnation.
    let _log = MemoryLog::new(1 << 20, watched.clone());
    assert_eq!((end(), watched.borrow().cuts()), (at(0, 0), 2));
}
