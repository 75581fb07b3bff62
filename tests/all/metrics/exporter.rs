//! The addresses at which metrics are served, and for how long.

use std::net::TcpListener;

use mosaik::network::Error;
use mosaik_tests::{lone, secs, unique_name, within};

use super::{address, exporting, get};

#[tokio::test]
async fn a_port_in_use_is_a_clear_error_and_nothing_is_started() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let builder = || lone(&unique_name()).data_dir(directory.path());
    let error = builder().with_prometheus_addr(taken).build().await.unwrap_err();
    assert!(matches!(error, Error::Prometheus(_)), "{error:?}");
    let text = error.to_string();
    for part in [taken.to_string().as_str(), "in use", "choose a free address"] {
        assert!(text.contains(part), "{text}");
    }
    drop(other);
    let network = builder().with_prometheus_addr(taken).build().await.unwrap();
    assert_eq!(network.prometheus_addr(), Some(taken));
}

#[tokio::test]
async fn networks_share_an_address_until_the_last_one_leaves() {
    let first = exporting(lone(&unique_name())).build().await.unwrap();
    let shared = address(&first);
    let second = lone(&unique_name()).with_prometheus_addr(shared).build().await.unwrap();
    let other = exporting(lone(&unique_name())).build().await.unwrap();
    assert_ne!(address(&other), shared);
    within(secs(5), "the first one's end", first.shutdown()).await;
    for address in [shared, address(&other)] {
        for (path, body) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
            let answer = within(secs(5), "an answer", get(address, path)).await.unwrap();
            assert_eq!(answer, ("HTTP/1.1 200 OK".to_owned(), body.to_owned()));
        }
    }
    within(secs(5), "the second one's end", second.shutdown()).await;
    get(shared, "/healthz").await.expect_err("nobody serves it any more");
    drop(TcpListener::bind(shared).expect("the port is free again"));
    get(address(&other), "/healthz").await.expect("the other address is served");
}

#[tokio::test]
async fn a_network_that_fails_to_start_frees_its_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outside = "203.0.113.7:1".parse().unwrap();
    let failed = lone(&unique_name()).with_prometheus_addr(free).bind(outside).build().await;
    assert!(matches!(failed, Err(Error::Bind(_))), "{failed:?}");
    drop(TcpListener::bind(free).expect("the port is free again"));
}

#[tokio::test]
async fn without_being_asked_nothing_is_served() {
    let network = lone(&unique_name()).build().await.unwrap();
    assert_eq!(network.prometheus_addr(), None);
}
