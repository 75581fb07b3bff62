use mosaik::Network;

#[mosaik::network_test(sim = true)]
async fn a(network: Network) {}

fn main() {}
