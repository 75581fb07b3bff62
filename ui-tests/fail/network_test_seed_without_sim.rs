#[mosaik::network_test(seed = 7, seeds = 100)]
async fn a(network: mosaik::Network) {}

fn main() {}
