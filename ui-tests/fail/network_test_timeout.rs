#[mosaik::network_test(timeout = 10)]
async fn a(network: mosaik::Network) {}

#[mosaik::network_test(timeout = "10 hours")]
async fn b(network: mosaik::Network) {}

#[mosaik::network_test(timeout = "0s")]
async fn c(network: mosaik::Network) {}

fn main() {}
