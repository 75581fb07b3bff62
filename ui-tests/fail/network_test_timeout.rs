use mosaik::Network;

#[mosaik::network_test(timeout = 10)]
async fn a(network: Network) {}

#[mosaik::network_test(timeout = "10 hours")]
async fn b(network: Network) {}

#[mosaik::network_test(timeout = "0s")]
async fn c(network: Network) {}

fn main() {}
