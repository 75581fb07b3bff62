use mosaik::Network;

#[mosaik::network_test]
async fn a<const N: usize>(nodes: [Network; N]) {}

fn main() {}
