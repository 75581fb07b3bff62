use std::{collections::BTreeMap, time::Duration};

use iroh::{EndpointAddr, SecretKey};
use proptest::{prelude::*, sample::Index};

use super::{known::Known, *};
use crate::{
    discovery::{
        beat::{Beat, Departure},
        derived::NetworkTag,
        event::Event,
        refusal::Refusal,
        version::PeerEntryVersion,
    },
    id::{StreamId, Tag, UniqueId},
};

const SECOND: u64 = 1_000_000;
const NOW: u64 = 1_000_000 * SECOND;
const INTERVAL: Duration = Duration::from_secs(45);
const PURGE_AFTER: Duration = Duration::from_secs(300);
const DRIFT: Duration = Duration::from_secs(50);

fn network() -> NetworkId {
    "net".into()
}

fn tag() -> NetworkTag {
    NetworkTag::of(&network())
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn id(seed: u8) -> PeerId {
    key(seed).public()
}

fn version(start: u64, update: u64) -> PeerEntryVersion {
    PeerEntryVersion::new(NOW - 100 * SECOND + start, NOW - 100 * SECOND + update)
}

fn entry_of(seed: u8, version: PeerEntryVersion) -> PeerEntry {
    let address = EndpointAddr::new(id(seed)).with_ip_addr("127.0.0.1:1".parse().unwrap());
    PeerEntry::starting(network(), address, version)
}

fn entry(seed: u8, version: PeerEntryVersion) -> Input {
    Input::Entry(entry_of(seed, version).sign(&key(seed)).unwrap())
}

fn beat(seed: u8, version: PeerEntryVersion, time: u64) -> Beat {
    Beat::sign(&key(seed), &tag(), version, time, INTERVAL)
}

fn departure(seed: u8, version: PeerEntryVersion) -> Input {
    Input::Departure(Departure::sign(&key(seed), &tag(), version, NOW))
}

fn state(seed: u8) -> State {
    let local = entry_of(seed, version(0, 0)).sign(&key(seed)).unwrap();
    State::new(Rules::new(network(), PURGE_AFTER, DRIFT), local)
}

fn merge(state: &mut State, input: Input) -> Result<Merged, Refusal> {
    state.merge(input, NOW, &mut Effects::default())
}

/// All that a state knows, without the queue of expiries.
fn content(state: &State) -> BTreeMap<PeerId, Known> {
    let mut content: BTreeMap<_, _> =
        state.known().iter().map(|(peer, known)| (*peer, known.clone())).collect();
    content.values_mut().for_each(|known| known.queued = None);
    content
}

fn merged(inputs: impl IntoIterator<Item = Input>) -> State {
    let mut state = state(100);
    for input in inputs {
        let _ = merge(&mut state, input);
    }
    state
}

/// Brings two catalogs up to date with each other, as a sync does.
fn sync(a: &mut State, b: &mut State) {
    let (lacking_at_a, wanted_by_b) = b.compare(a.local().id(), &a.summary());
    let to_a: Vec<_> = lacking_at_a.iter().filter_map(|want| b.item(want)).collect();
    let to_b: Vec<_> = wanted_by_b.iter().filter_map(|want| a.item(want)).collect();
    for (state, items) in [(a, to_a), (b, to_b)] {
        for item in items {
            let input = match item {
                SyncItem::Entry(raw) => Input::Entry(raw.verify(&tag(), |_| None).unwrap()),
                SyncItem::Beat(raw) => Input::Beat(raw.verify(&tag()).unwrap()),
                SyncItem::Departure(raw) => Input::Departure(raw.verify(&tag()).unwrap()),
            };
            let _ = merge(state, input);
        }
    }
}

fn any_version() -> impl Strategy<Value = PeerEntryVersion> {
    (0_u64..3, 0_u64..3).prop_map(|(start, update)| version(start, update))
}

fn any_input() -> impl Strategy<Value = Input> {
    let beat_time = || (0_u64..120).prop_map(|second| NOW - 60 * SECOND + second * SECOND);
    prop_oneof![
        // Among the dates are some that are too old and some in the future.
        (0_u8..3, any_version(), proptest::option::of((any_version(), beat_time())), 0_u64..3)
            .prop_map(|(seed, version, with_beat, tags)| {
                let tags: Vec<_> = (0..tags).map(Tag::from_u64).collect();
                let entry = entry_of(seed, PeerEntryVersion::default());
                let entry = entry.add_tags(tags).at_version(version).sign(&key(seed)).unwrap();
                let beat = with_beat.map(|(version, time)| beat(seed, version, time));
                Input::Entry(entry.with_beat(beat))
            }),
        (0_u8..3, 0_u64..2)
            .prop_map(|(seed, update)| { entry(seed, PeerEntryVersion::new(update, update)) }),
        (0_u8..3, any_version(), beat_time())
            .prop_map(|(seed, version, time)| Input::Beat(beat(seed, version, time))),
        (0_u8..3, any_version()).prop_map(|(seed, version)| departure(seed, version)),
    ]
}

fn shuffled(inputs: &[Input], order: &[Index]) -> Vec<Input> {
    let mut rest = inputs.to_vec();
    let mut out = Vec::new();
    for index in order.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        out.push(rest.swap_remove(index.index(rest.len())));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_order_of_arrival_and_duplicates_do_not_matter(
        inputs in proptest::collection::vec(any_input(), 1..16),
        order in proptest::collection::vec(any::<Index>(), 16),
        again in proptest::collection::vec(any::<Index>(), 0..8),
    ) {
        let once = merged(inputs.clone());
        let mut more = shuffled(&inputs, &order);
        more.extend(again.iter().map(|index| inputs[index.index(inputs.len())].clone()));
        let other = merged(more);
        prop_assert_eq!(content(&once), content(&other));
        prop_assert_eq!(once.signed_peers_for_test(), other.signed_peers_for_test());
    }

    #[test]
    fn catalogs_that_sync_in_any_grouping_become_equal(
        inputs in proptest::collection::vec((0_usize..3, any_input()), 1..16),
    ) {
        let parts: Vec<Vec<Input>> = (0..3)
            .map(|part| inputs.iter().filter(|(p, _)| *p == part).map(|(_, i)| i.clone()).collect())
            .collect();
        let grown = |seed, part: usize| {
            let mut state = state(seed);
            for input in parts[part].clone() {
                let _ = merge(&mut state, input);
            }
            state
        };
        // (a + b) + c, and a + (b + c): what is shown of the three peers is the same.
        let (mut a, mut b, mut c) = (grown(100, 0), grown(101, 1), grown(102, 2));
        sync(&mut a, &mut b);
        sync(&mut b, &mut c);
        sync(&mut a, &mut b);
        let (mut d, mut e, mut f) = (grown(100, 0), grown(101, 1), grown(102, 2));
        sync(&mut f, &mut e);
        sync(&mut e, &mut d);
        sync(&mut f, &mut e);
        for peer in (0..3).map(id) {
            let versions: Vec<_> = [&a, &b, &c, &d, &e, &f]
                .map(|state| state.record(&peer).map(|entry| entry.update_version()))
                .into();
            prop_assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", versions);
        }
    }

    #[test]
    fn events_tell_exactly_who_is_there(inputs in proptest::collection::vec(any_input(), 1..24)) {
        let mut state = state(100);
        let mut present: BTreeMap<PeerId, PeerEntry> = BTreeMap::new();
        for input in inputs {
            let mut effects = Effects::default();
            let _ = state.merge(input, NOW, &mut effects);
            for event in effects.events {
                match event {
                    Event::PeerDiscovered(entry) => {
                        prop_assert!(present.insert(*entry.id(), entry).is_none());
                    }
                    Event::PeerUpdated(entry) => {
                        prop_assert!(present.insert(*entry.id(), entry).is_some());
                    }
                    Event::PeerDeparted(peer) => prop_assert!(present.remove(&peer).is_some()),
                }
            }
        }
        let catalog = state.catalog();
        let shown: BTreeMap<_, _> = catalog.peers().map(|e| (*e.id(), e.clone())).collect();
        prop_assert_eq!(present, shown);
    }
}

impl State {
    fn signed_peers_for_test(&self) -> Vec<PeerEntry> {
        self.catalog().peers().cloned().collect()
    }
}

#[test]
fn the_newer_version_wins_and_the_later_start_first() {
    let mut state = state(100);
    assert_eq!(merge(&mut state, entry(1, version(1, 1))), Ok(Merged::New));
    assert_eq!(merge(&mut state, entry(1, version(1, 1))), Ok(Merged::Known));
    assert_eq!(merge(&mut state, entry(1, version(0, 9))), Err(Refusal::Stale));
    assert_eq!(merge(&mut state, entry(1, version(2, 0))), Ok(Merged::New));
    assert_eq!(state.catalog().get(&id(1)).unwrap().update_version(), version(2, 0));
}

#[test]
fn entries_get_the_id_of_the_network() {
    let state = merged([entry(1, version(0, 0))]);
    assert_eq!(*state.catalog().get(&id(1)).unwrap().network_id(), network());
}

#[test]
fn what_is_stale_future_or_about_this_node_is_refused() {
    let mut state = state(100);
    let long_ago = PeerEntryVersion::new(1, NOW - 301 * SECOND);
    assert_eq!(merge(&mut state, entry(1, long_ago)), Err(Refusal::Stale));
    let old_beat = beat(1, long_ago, NOW - 301 * SECOND);
    assert_eq!(merge(&mut state, Input::Beat(old_beat)), Err(Refusal::Stale));
    let ahead = PeerEntryVersion::new(1, NOW + 51 * SECOND);
    assert_eq!(merge(&mut state, entry(1, ahead)), Err(Refusal::Future));
    let ahead = PeerEntryVersion::new(NOW + 51 * SECOND, 1);
    assert_eq!(merge(&mut state, entry(1, ahead)), Err(Refusal::Future));
    let early_beat = beat(1, version(0, 0), NOW + 51 * SECOND);
    assert_eq!(merge(&mut state, Input::Beat(early_beat)), Err(Refusal::Future));
    assert_eq!(merge(&mut state, entry(100, version(9, 9))), Err(Refusal::OwnId));
    assert_eq!(merge(&mut state, departure(100, version(9, 9))), Err(Refusal::OwnId));
    assert!(content(&state).is_empty());
}

#[test]
fn a_fresh_beat_makes_an_old_entry_acceptable() {
    let mut state = state(100);
    let old = PeerEntryVersion::new(1, NOW - 4000 * SECOND);
    let Input::Entry(signed) = entry(1, old) else { unreachable!() };
    let alive = signed.with_beat(Some(beat(1, old, NOW - SECOND)));
    assert_eq!(merge(&mut state, Input::Entry(alive)), Ok(Merged::New));
}

#[test]
fn a_beat_for_an_unknown_version_says_what_is_missing() {
    let mut state = state(100);
    let news = Input::Beat(beat(1, version(2, 2), NOW));
    assert_eq!(merge(&mut state, news.clone()), Ok(Merged::Missing(id(1))));
    assert_eq!(merge(&mut state, entry(1, version(1, 1))), Ok(Merged::Missing(id(1))));
    assert_eq!(merge(&mut state, entry(1, version(2, 2))), Ok(Merged::New));
    assert_eq!(merge(&mut state, news), Ok(Merged::Known));
}

#[test]
fn a_departure_ends_the_named_version_and_older_ones_only() {
    let mut state = merged([entry(1, version(1, 1))]);
    assert_eq!(merge(&mut state, departure(1, version(1, 0))), Ok(Merged::New));
    assert_eq!(state.catalog().peers_count(), 1);
    assert_eq!(merge(&mut state, departure(1, version(1, 1))), Ok(Merged::New));
    assert_eq!(state.catalog().peers_count(), 0);
    // Replays of the past life change nothing; a new life counts.
    assert_eq!(merge(&mut state, entry(1, version(1, 1))), Err(Refusal::Stale));
    let past = Input::Beat(beat(1, version(1, 1), NOW));
    assert_eq!(merge(&mut state, past), Err(Refusal::Stale));
    assert_eq!(merge(&mut state, entry(1, version(2, 0))), Ok(Merged::New));
    assert_eq!(state.catalog().peers_count(), 1);
}

#[test]
fn a_silent_peer_is_purged_at_its_moment_and_can_come_back() {
    let mut state = merged([entry(1, version(1, 1)), Input::Beat(beat(1, version(1, 1), NOW))]);
    let mut effects = Effects::default();
    // The beat moved the moment; the queue looks, and looks again later.
    let first_look = state.next_expiry().unwrap();
    state.purge(first_look + 1, &mut effects);
    assert_eq!(state.catalog().peers_count(), 1);
    let moment = state.next_expiry().unwrap();
    assert_eq!(moment, NOW + 300 * SECOND);
    state.purge(moment + 1, &mut effects);
    assert_eq!(effects.events, [Event::PeerDeparted(id(1))]);
    assert_eq!(state.catalog().peers_count(), 0);
    assert_eq!(state.next_expiry(), None);
    let later = moment + SECOND;
    let Input::Entry(signed) = entry(1, version(1, 1)) else { unreachable!() };
    let back = Input::Entry(signed.with_beat(Some(beat(1, version(1, 1), later))));
    assert_eq!(state.merge(back, later, &mut effects), Ok(Merged::New));
    assert!(matches!(effects.events.last(), Some(Event::PeerDiscovered(_))));
}

#[test]
fn a_departure_is_forgotten_after_a_while() {
    let mut state = merged([departure(1, version(1, 1))]);
    state.purge(NOW + 301 * SECOND, &mut Effects::default());
    assert!(content(&state).is_empty());
    assert_eq!(state.next_expiry(), None);
}

#[test]
fn unsigned_entries_are_local_and_give_way_to_signed_ones() {
    let mut state = state(100);
    let mut effects = Effects::default();
    let unsigned = entry_of(1, version(9, 9));
    assert!(state.insert_unsigned(unsigned.clone(), &mut effects));
    assert!(!state.insert_unsigned(unsigned.clone(), &mut effects));
    assert!(!state.insert_unsigned(entry_of(100, version(9, 9)), &mut effects));
    let foreign = PeerEntry::new("other", id(2));
    assert!(!state.insert_unsigned(foreign, &mut effects));
    assert_eq!(state.catalog().unsigned_peers().count(), 1);
    assert_eq!(state.summary().len(), 1, "only the local entry is told to others");
    assert_eq!(merge(&mut state, entry(1, version(0, 0))), Ok(Merged::New));
    assert_eq!(state.catalog().unsigned_peers().count(), 0);
    assert_eq!(state.catalog().peers_count(), 1);
    assert!(!state.insert_unsigned(unsigned, &mut effects));
    assert!(!state.remove_unsigned(&id(1), &mut effects));
    assert!(state.insert_unsigned(entry_of(2, version(0, 0)), &mut effects));
    assert!(state.clear_unsigned(&mut effects));
    assert!(!state.clear_unsigned(&mut effects));
}

#[test]
fn equal_catalogs_have_nothing_to_tell() {
    let mut a = state(100);
    let mut b = state(101);
    for seed in 0..10 {
        merge(&mut a, entry(seed, version(0, 0))).unwrap();
    }
    merge(&mut a, departure(3, version(1, 1))).unwrap();
    merge(&mut b, entry(3, version(0, 0))).unwrap();
    sync(&mut a, &mut b);
    assert_eq!(b.catalog().peers_count(), 10);
    assert!(b.catalog().get(&id(3)).is_none(), "the departure was told");
    let (lacking, wants) = b.compare(&id(100), &a.summary());
    assert!(lacking.is_empty() && wants.is_empty());
}

#[test]
fn a_newcomer_takes_in_all_of_a_network_whose_signs_of_life_are_rare() {
    let rules = || {
        let rules = Rules::new(network(), Duration::from_secs(3), DRIFT);
        rules.with_announce_interval(Duration::from_secs(1))
    };
    let state = |seed| {
        let now = version(100 * SECOND, 100 * SECOND);
        State::new(rules(), entry_of(seed, now).sign(&key(seed)).unwrap())
    };
    let mut large = state(100);
    for number in 0..1000_u64 {
        let mut bytes = [200; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let key = SecretKey::from_bytes(&bytes);
        let entry = PeerEntry::starting(network(), key.public().into(), version(0, 0));
        // Each told that it lives in the last 50 s: that is how often a thousand do.
        let time = NOW - number * 50_000;
        let beat = Beat::sign(&key, &tag(), version(0, 0), time, Duration::from_secs(50));
        let entry = Input::Entry(entry.sign(&key).unwrap().with_beat(Some(beat)));
        assert_eq!(merge(&mut large, entry), Ok(Merged::New), "{number}");
    }
    let take = |newcomer: &mut State, wants: Vec<Want>| {
        for want in wants {
            let Some(SyncItem::Entry(raw)) = large.item(&want) else { unreachable!() };
            let entry = Input::Entry(raw.verify(&tag(), |_| None).unwrap());
            assert_eq!(merge(newcomer, entry), Ok(Merged::New));
        }
        newcomer.catalog().peers_count()
    };
    let (mut begins, mut answers) = (state(101), state(102));
    let (lacking, _) = large.compare(begins.local().id(), &begins.summary());
    assert_eq!(take(&mut begins, lacking), 1001);
    let (_, wants) = answers.compare(large.local().id(), &large.summary());
    assert_eq!(take(&mut answers, wants), 1001);
}

#[tokio::test]
async fn subscribers_of_a_stream_hear_of_its_producers_only() {
    let stream = StreamId::from("prices");
    let mut state = state(100);
    let mut index = PeerIndex::of_streams();
    let step = |state: &mut State, index: &mut PeerIndex, input: Input| {
        let mut effects = Effects::default();
        let _ = state.merge(input, NOW, &mut effects);
        effects.changes.iter().for_each(|change| index.apply(change));
    };
    let with_stream = |seed, version| {
        let entry = entry_of(seed, version).add_streams(stream).at_version(version);
        Input::Entry(entry.sign(&key(seed)).unwrap())
    };
    step(&mut state, &mut index, with_stream(1, version(0, 0)));
    let mut peers = index.subscribe(stream, &state.catalog());
    let first = peers.next().await.unwrap();
    assert!(matches!(&first[..], [PeerDelta::Added(entry)] if *entry.id() == id(1)));
    step(&mut state, &mut index, entry(2, version(0, 0)));
    step(&mut state, &mut index, with_stream(3, version(0, 0)));
    assert!(
        matches!(&peers.next().await.unwrap()[..], [PeerDelta::Added(entry)] if *entry.id() == id(3))
    );
    step(&mut state, &mut index, with_stream(3, version(0, 1)));
    assert!(matches!(&peers.next().await.unwrap()[..], [PeerDelta::Updated(_)]));
    step(&mut state, &mut index, entry(3, version(0, 2)));
    assert_eq!(peers.next().await.unwrap(), [PeerDelta::Removed(id(3))]);
    step(&mut state, &mut index, departure(1, version(0, 0)));
    assert_eq!(peers.next().await.unwrap(), [PeerDelta::Removed(id(1))]);
    drop(index);
    assert_eq!(peers.next().await, None);
}

#[tokio::test]
async fn followers_of_a_group_hear_of_its_members_and_not_of_streams_of_that_name() {
    let id_of_both = UniqueId::from("ledger");
    let mut state = state(100);
    let (mut groups, mut streams) = (PeerIndex::of_groups(), PeerIndex::of_streams());
    let mut members = groups.subscribe(id_of_both, &state.catalog());
    let mut producers = streams.subscribe(id_of_both, &state.catalog());
    assert_eq!((members.next().await, producers.next().await), (Some(vec![]), Some(vec![])));
    let mut step = |entry: PeerEntry, seed| {
        let mut effects = Effects::default();
        let input = Input::Entry(entry.sign(&key(seed)).unwrap());
        let _ = state.merge(input, NOW, &mut effects);
        effects.changes.iter().for_each(|change| groups.apply(change));
        effects.changes.iter().for_each(|change| streams.apply(change));
    };
    let at = |seed, update| entry_of(seed, version(0, update));
    step(at(1, 0).add_groups(id_of_both).at_version(version(0, 0)), 1);
    step(at(2, 0).add_streams(id_of_both).at_version(version(0, 0)), 2);
    let deltas = members.next().await.unwrap();
    assert!(matches!(&deltas[..], [PeerDelta::Added(entry)] if *entry.id() == id(1)));
    let deltas = producers.next().await.unwrap();
    assert!(matches!(&deltas[..], [PeerDelta::Added(entry)] if *entry.id() == id(2)));
    // One that leaves the group and joins another one.
    step(at(1, 1).add_groups("other").at_version(version(0, 1)), 1);
    assert_eq!(members.next().await.unwrap(), [PeerDelta::Removed(id(1))]);
}

#[test]
fn a_catalog_takes_no_more_bytes_than_it_may() {
    let size = entry_of(1, version(0, 0)).sign(&key(1)).unwrap().encoded_len();
    let local = entry_of(100, version(0, 0)).sign(&key(100)).unwrap();
    let rules = Rules::new(network(), PURGE_AFTER, DRIFT).with_max_bytes(2 * size + 16);
    let mut state = State::new(rules, local);
    assert_eq!(merge(&mut state, entry(1, version(0, 0))), Ok(Merged::New));
    assert_eq!(merge(&mut state, entry(2, version(0, 0))), Ok(Merged::New));
    assert_eq!(merge(&mut state, entry(3, version(0, 0))), Err(Refusal::Full));
    // What replaces something takes its place, and a departure makes room.
    assert_eq!(merge(&mut state, entry(2, version(0, 1))), Ok(Merged::New));
    assert_eq!(merge(&mut state, departure(1, version(0, 0))), Ok(Merged::New));
    assert_eq!(merge(&mut state, entry(3, version(0, 0))), Ok(Merged::New));
    assert_eq!(merge(&mut state, entry(4, version(0, 0))), Err(Refusal::Full));
    // So does the purge.
    state.purge(NOW + 1000 * SECOND, &mut Effects::default());
    assert_eq!(state.known().len(), 0);
    assert_eq!(merge(&mut state, entry(4, version(0, 0))), Ok(Merged::New));
}
