//! What an application puts into its own catalog, and what it cannot put there.

use mosaik::{
    Network, PeerId, Tag,
    discovery::{Event, PeerEntry},
};
use mosaik_tests::{lone, nodes, secs, unique_name, within};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::{key, knows, meet};

async fn strangers() -> [Network; 3] {
    let name = unique_name();
    [
        lone(&name).build().await.unwrap(),
        lone(&name).build().await.unwrap(),
        lone(&name).build().await.unwrap(),
    ]
}

fn nothing_told(events: &mut Receiver<Event>) {
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
}

fn unsigned(node: &Network) -> Vec<PeerId> {
    node.discovery().catalog().unsigned_peers().map(|entry| *entry.id()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeding_a_signed_entry_adds_it_without_an_event() {
    let [a, b, _] = strangers().await;
    let mut events = a.discovery().events();
    let mut watch = a.discovery().catalog_watch();
    watch.mark_unchanged();
    let old = b.discovery().me();
    assert!(a.discovery().feed(old.clone()));
    assert!(watch.has_changed().unwrap(), "watchers are woken");
    assert!(knows(&a, &b) && !knows(&b, &a));
    assert!(!a.discovery().feed(old.clone()), "it is known");
    b.discovery().add_tags("tag");
    let new = b.discovery().me();
    assert!(a.discovery().feed(new.clone()), "it is newer");
    assert!(!a.discovery().feed(old), "it is older");
    assert_eq!(a.discovery().catalog().get_signed(&b.local().id()), Some(&new));
    nothing_told(&mut events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fed_is_told_to_others_and_what_was_inserted_is_not() {
    let [a, b, c] = strangers().await;
    assert!(a.discovery().feed(b.discovery().me()));
    let inserted = PeerEntry::new(*a.network_id(), key().public());
    assert!(a.discovery().insert(inserted.clone()));
    meet(&a, &c).await;
    assert!(knows(&c, &b));
    assert!(c.discovery().catalog().get(inserted.id()).is_none());
    assert_eq!(a.discovery().catalog().get(inserted.id()), Some(&inserted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsigned_entries_come_and_go_without_events() {
    let [a, b, c] = strangers().await;
    let mut events = a.discovery().events();
    let entry = b.discovery().me().into_unsigned();
    assert!(a.discovery().insert(entry.clone()));
    assert!(!a.discovery().insert(entry.clone()), "nothing new");
    assert!(a.discovery().insert(entry.add_tags("mine")), "another content");
    assert!(a.discovery().insert(c.discovery().me()));
    let catalog = a.discovery().catalog();
    assert_eq!((catalog.peers_count(), catalog.signed_peers_count()), (2, 0));
    let tags = catalog.get(&b.local().id()).unwrap().tags().clone();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [Tag::from("mine")]);
    assert!(a.discovery().remove(b.local().id()));
    assert!(!a.discovery().remove(b.local().id()));
    assert_eq!(unsigned(&a), [c.local().id()]);
    assert!(a.discovery().clear_unsigned());
    assert!(!a.discovery().clear_unsigned());
    assert_eq!(a.discovery().catalog().peers_count(), 0);
    assert_eq!(catalog.peers_count(), 2, "a snapshot stays as it was");
    nothing_told(&mut events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_node_cannot_be_put_into_its_own_catalog() {
    let [a, ..] = strangers().await;
    let me = a.discovery().me();
    assert!(!a.discovery().feed(me.clone()));
    assert!(!a.discovery().insert(me.clone().into_unsigned().add_tags("forged")));
    assert!(!a.discovery().remove(a.local().id()));
    let catalog = a.discovery().catalog();
    assert_eq!(catalog.peers_count(), 0);
    assert_eq!(catalog.local(), &me);
    assert_eq!(catalog.get(&a.local().id()), Some(&*me));
    assert_eq!((catalog.iter().count(), catalog.iter_signed().count()), (1, 1));
    assert_eq!((catalog.local_id(), catalog.network_id()), (a.local().id(), *a.network_id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_another_network_are_refused() {
    let [a, ..] = strangers().await;
    let stranger = lone(&unique_name()).build().await.unwrap();
    assert!(!a.discovery().feed(stranger.discovery().me()));
    assert!(!a.discovery().insert(stranger.discovery().me()));
    assert!(!a.discovery().insert(PeerEntry::new(*stranger.network_id(), key().public())));
    assert_eq!(a.discovery().catalog().peers_count(), 0);
    assert!(a.discovery().refusals().total() > 0, "{:?}", a.discovery().refusals());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_entry_takes_the_place_of_an_unsigned_one() {
    let [a, b, c] = strangers().await;
    for other in [&b, &c] {
        assert!(a.discovery().insert(other.discovery().me().into_unsigned().add_tags("guess")));
    }
    assert!(a.discovery().feed(b.discovery().me()));
    meet(&a, &c).await;
    let catalog = a.discovery().catalog();
    assert!(unsigned(&a).is_empty());
    assert_eq!(catalog.signed_peers_count(), 2);
    assert!(catalog.peers().all(|entry| entry.tags().is_empty()));
    let entry = b.discovery().me().into_unsigned().add_tags("guess");
    assert!(!a.discovery().insert(entry), "a signed entry stands");
    assert!(!a.discovery().remove(b.local().id()), "only unsigned ones are removed");
    assert!(!a.discovery().clear_unsigned());
    assert!(knows(&a, &b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_can_be_watched() {
    let [a, b, c] = strangers().await;
    let mut watch = a.discovery().catalog_watch();
    meet(&b, &a).await;
    meet(&c, &a).await;
    let both = watch.wait_for(|catalog| catalog.peers_count() == 2);
    within(secs(5), "both", both).await.unwrap();
    let catalog = a.discovery().catalog();
    let forth: Vec<_> = catalog.peers().map(PeerEntry::id).collect();
    let mut back: Vec<_> = catalog.peers().rev().map(PeerEntry::id).collect();
    back.reverse();
    assert_eq!(forth, back);
    assert_eq!(catalog.iter().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_say_who_and_since_when() {
    let before = std::time::SystemTime::now();
    let [a, b] = nodes::<2>().await;
    let catalog = a.discovery().catalog();
    let entry = catalog.get(&b.local().id()).unwrap();
    assert_eq!(entry.network_id(), a.network_id());
    assert_eq!(entry.address(), &b.local().addr());
    assert_eq!(entry.digest(), b.discovery().me().into_unsigned().digest());
    assert!(entry.uptime() <= before.elapsed().unwrap() + secs(1));
    assert!(entry.updated_at() >= entry.started_at());
    assert!(!entry.is_newer_than(&b.discovery().me().into_unsigned()));
}
