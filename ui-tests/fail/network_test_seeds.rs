#[mosaik::network_test(sim, seeds = 0)]
async fn a(network: mosaik::Network) {}

#[mosaik::network_test(sim, seed = "lucky", seeds = -3)]
async fn b(network: mosaik::Network) {}

fn main() {}
