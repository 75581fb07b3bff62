#[mosaik::network_test("a")]
async fn a(network: mosaik::Network) {}

fn main() {}
