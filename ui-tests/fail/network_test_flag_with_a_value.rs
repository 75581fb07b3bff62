#[mosaik::network_test(sim = true)]
async fn a(network: mosaik::Network) {}

fn main() {}
