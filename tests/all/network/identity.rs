//! Keys, names, secrets and addresses.

use mosaik::{Network, NetworkId, discovery::NodeTicket, network::Error};
use mosaik_tests::{lone, secs, unique_name, within};

#[tokio::test]
async fn a_data_directory_keeps_the_node_s_id() {
    let (name, dir) = (unique_name(), tempfile::tempdir().unwrap());
    let first = lone(&name).data_dir(dir.path()).build().await.unwrap();
    let id = first.local().id();
    let taken = lone(&name).data_dir(dir.path()).build().await;
    assert!(matches!(taken, Err(Error::DataDirInUse { .. })), "{taken:?}");
    within(secs(5), "the shutdown", first.shutdown()).await;
    let second = lone(&name).data_dir(dir.path()).build().await.unwrap();
    assert_eq!(second.local().id(), id);
}

#[tokio::test]
async fn without_a_data_directory_each_run_has_an_id_of_its_own() {
    let name = unique_name();
    let (a, b) = (lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap());
    assert_ne!(a.local().id(), b.local().id());
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let name = unique_name();
    let first = lone(&name).build().await.unwrap();
    let taken = *first.local().addr().ip_addrs().next().expect("it is bound");
    let second = Network::builder(name.as_str()).offline().bind(taken).build().await;
    let error = second.expect_err("the port is taken");
    assert!(matches!(error, Error::Bind(_)), "{error:?}");
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test]
async fn a_network_must_be_named() {
    let unnamed = mosaik::network::NetworkBuilder::default().offline().build().await;
    assert!(matches!(unnamed, Err(Error::MissingNetworkId)));
}

#[tokio::test]
async fn an_advertised_address_is_part_of_the_ticket() {
    let outside = "203.0.113.7:4433".parse().unwrap();
    let node = lone(&unique_name()).advertise(outside).build().await.unwrap();
    let ticket: NodeTicket = node.local().ticket().to_string().parse().unwrap();
    assert_eq!(ticket.address(), &node.local().addr());
    assert!(ticket.address().ip_addrs().any(|addr| *addr == outside));
}

#[tokio::test]
async fn a_secret_makes_another_network_of_the_same_name() {
    let name = unique_name();
    let open = lone(&name).build().await.unwrap();
    let closed = lone(&name).secret("sesame").build().await.unwrap();
    assert_eq!(open.network_id(), &NetworkId::from(name.as_str()));
    assert_ne!(open.network_id(), closed.network_id());
    let sync = open.discovery().sync_with(closed.local().addr());
    within(secs(5), "a sync across networks", sync).await.expect("it ends without a fault");
    assert_eq!(open.discovery().catalog().peers_count(), 0);
    assert_eq!(closed.discovery().catalog().peers_count(), 0);
}
