//! Every attack beside an honest pair, in processes of their own: nothing is lost, nothing panics,
//! the memory of the attacked node is bounded, and it counts what it refuses by the reason.
//!
//! How much of its rate the pair keeps depends on what else the machine does: only the campaign
//! asserts that.

use std::path::Path;

use mosaik_tests::hostile::{Attack, withstand};

macro_rules! attacks {
    ($($name:ident: $attack:ident,)*) => {
        $(
            #[test]
            fn $name() {
                harms_nobody(Attack::$attack);
            }
        )*

        const TESTED: &[Attack] = &[$(Attack::$attack),*];
    };
}

attacks! {
    noise_instead_of_a_hello_harms_nobody: HelloGarbage,
    peers_of_another_network_harm_nobody: WrongMac,
    silent_connections_harm_nobody: SilentConnections,
    slow_hellos_harm_nobody: SlowHello,
    noise_in_a_hello_harms_nobody: BodiesGarbage,
    a_crowd_harms_nobody: Crowd,
    noise_on_streams_harms_nobody: StreamGarbage,
    half_open_streams_harm_nobody: HalfOpenStreams,
    noise_between_lanes_harms_nobody: SignalGarbage,
    noise_on_the_bulk_lane_harms_nobody: BulkGarbage,
    noise_on_the_log_lane_harms_nobody: LogGarbage,
    consumers_that_never_read_harm_nobody: NeverReads,
    consumers_that_never_acknowledge_harm_nobody: NeverAcknowledges,
    consumers_that_talk_nonsense_harm_nobody: WordGarbage,
    lying_producers_harm_nobody: LyingProducer,
    producers_that_never_finish_harm_nobody: BegunDatums,
    hostile_acceptors_harm_nobody: HostileAcceptor,
    lies_in_syncs_harm_nobody: SyncLies,
    syncs_out_of_turn_harm_nobody: SyncTurns,
    floods_of_entries_harm_nobody: SyncFlood,
    summaries_of_phantoms_harm_nobody: SyncPhantoms,
    lies_in_gossip_harm_nobody: GossipLies,
    floods_of_gossip_harm_nobody: GossipFlood,
    hostile_files_and_links_harm_nobody: LocalFiles,
}

#[test]
fn every_attack_is_tested() {
    for attack in Attack::ALL {
        assert!(TESTED.contains(attack), "{attack}");
    }
}

fn harms_nobody(attack: Attack) {
    let outcome = withstand(Path::new(env!("CARGO_BIN_EXE_hostile")), attack)
        .unwrap_or_else(|error| panic!("{attack}: {error:#}"));
    println!("{outcome}\n    refused: {}", outcome.refused);
    let expected = attack.expected();
    assert!(outcome.took_place(), "{attack}: {expected:?} was not counted: {outcome:?}");
    assert!(outcome.is_small(), "{attack}: the node took too much memory: {outcome:?}");
}
