use mosaik::Network;

pub struct Plain;

pub fn f(network: &Network) {
    let _ = network.streams().produce::<Plain>();
}

fn main() {}
