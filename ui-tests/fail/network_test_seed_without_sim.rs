use mosaik::Network;

#[mosaik::network_test(seed = 7, seeds = 100)]
async fn a(network: Network) {}

fn main() {}
