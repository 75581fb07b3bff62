//! Clocks that differ.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

async fn skew_of(node: &Node, peer: &Node) -> ClockSkew {
    let mut skew = node.discovery.clock_skew();
    let told = skew.wait_for(|skew| skew.is_some_and(|skew| skew.peer == peer.id()));
    timeout(5 * SECOND, told).await.expect("it is told").unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn nodes_whose_clocks_differ_too_much_are_both_told_when_they_meet() {
    let world = World::new(400);
    let right = world.node(1, Config::builder());
    let fast = world.set_forward(2 * MINUTE).node(2, Config::builder());
    let synced = right.discovery.sync_with(fast.id()).await;
    assert!(matches!(synced, Err(Error::ClockSkew(skew)) if skew.peer == fast.id()), "{synced:?}");
    let here = skew_of(&right, &fast).await;
    assert!((119..=120).contains(&(here.theirs - here.ours).num_seconds()), "{here}");
    let there = skew_of(&fast, &right).await;
    assert!((119..=121).contains(&(there.ours - there.theirs).num_seconds()), "{there}");
    assert!(!right.knows(&fast), "what is dated in the future is not believed");
    assert!(right.discovery.refusals().of(Refusal::Future) > 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_changed_while_the_node_runs_is_told_to_the_node() {
    let world = World::new(401);
    let (fast, jump) = world.with_a_clock_that_jumps();
    let right = world.node(1, Config::builder());
    let wrong = fast.node(2, Config::builder().with_bootstrap(right.id()));
    right.until(5 * SECOND, |catalog| catalog.peers_count() == 1).await;
    sleep(10 * SECOND).await;
    assert!(right.discovery.clock_skew().borrow().is_none());
    jump();
    wrong.discovery.add_tags("from the future");
    let here = skew_of(&right, &wrong).await;
    assert!((here.theirs - here.ours).num_seconds() > 50);
    let there = skew_of(&wrong, &right).await;
    assert!((there.ours - there.theirs).num_seconds() > 50, "{there}");
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_a_little_are_no_news() {
    let world = World::new(402);
    let right = world.node(1, Config::builder());
    let fast = world.set_forward(Duration::from_secs(40)).node(2, Config::builder());
    right.discovery.sync_with(fast.id()).await.unwrap();
    assert!(right.knows(&fast) && fast.knows(&right));
    assert!(right.discovery.clock_skew().borrow().is_none());
    assert!(fast.discovery.clock_skew().borrow().is_none());
}
