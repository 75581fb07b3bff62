//! Bonds as the application sees them.

use mosaik::{
    Network,
    futures::{FutureExt, future::join as both},
    groups::Bonds,
    iroh::endpoint::ApplicationClose,
    network::CloseReason,
};
use mosaik_tests::{Counter, eventually, secs, within};

use super::{all_online, join};

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_change_of_bonds_is_told(nodes: [Network; 2]) {
    let here = join(&nodes[0]);
    within(secs(20), "its start", here.when().online()).await;
    let bonds = here.bonds();
    let other = nodes[1].local().id();
    assert!(bonds.is_empty() && !bonds.contains_peer(&other) && bonds.get(&other).is_none());
    let (there, ()) = within(
        secs(20),
        "a bond",
        both(async { join(&nodes[1]) }, async {
            while !bonds.contains_peer(&other) {
                bonds.changed().await;
            }
        }),
    )
    .await;
    assert_eq!((bonds.len(), bonds.iter().count()), (1, 1));
    let bond = bonds.get(&other).unwrap();
    assert!(!bond.is_terminated());
    assert_eq!((*bond.peer().id(), bond.peer_id()), (other, other));
    let terminated = bond.terminated();
    let gone = async {
        while !bonds.is_empty() {
            bonds.changed().await;
        }
    };
    drop(there);
    within(secs(10), "the end of the bond", both(gone, terminated)).await;
    assert!(bond.is_terminated());
    // Also when the other one is not known any more.
    assert_eq!(*bond.peer().id(), other);
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_bond_that_is_closed_ends_on_both_sides_and_is_made_again(nodes: [Network; 2]) {
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    let [a, b] = nodes.each_ref().map(|node| node.local().id());
    for reason in [CloseReason::Success, CloseReason::Cancelled] {
        let bonded = || groups[0].bonds().contains_peer(&b) && groups[1].bonds().contains_peer(&a);
        eventually(secs(10), "a bond", bonded).await;
        let (here, there) =
            (groups[0].bonds().get(&b).unwrap(), groups[1].bonds().get(&a).unwrap());
        let (id, copy) = (here.id(), here.clone());
        assert_eq!(there.id(), id);
        assert!(here.terminated().now_or_never().is_none());
        within(secs(5), "its end", here.close(ApplicationClose::from(reason))).await;
        assert!(copy.is_terminated());
        assert_eq!(within(secs(5), "its end", copy.terminated()).await, reason);
        assert_eq!(within(secs(5), "its end there", there.terminated()).await, reason);
        let again = || groups[0].bonds().get(&b).is_some_and(|bond| bond.id() != id);
        eventually(secs(10), "another bond", again).await;
    }
}

#[test]
fn there_are_no_bonds_by_default() {
    let bonds = Bonds::<Counter>::default();
    assert!(bonds.is_empty() && bonds.clone().iter().next().is_none());
    assert!(bonds.changed().now_or_never().is_none());
}
