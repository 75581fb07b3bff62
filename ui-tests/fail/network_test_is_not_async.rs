#[mosaik::network_test]
fn a(network: mosaik::Network) {
    drop(network);
}

fn main() {}
