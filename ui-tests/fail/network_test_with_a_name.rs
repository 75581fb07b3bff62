use mosaik::Network;

#[mosaik::network_test("a")]
async fn a(network: Network) {}

fn main() {}
