use mosaik::Network;

#[mosaik::network_test]
fn a(network: Network) {
    drop(network);
}

fn main() {}
