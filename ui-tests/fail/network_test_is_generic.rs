#[mosaik::network_test]
async fn a<const N: usize>(nodes: [mosaik::Network; N]) {}

fn main() {}
