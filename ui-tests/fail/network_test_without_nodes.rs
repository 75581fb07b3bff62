#[mosaik::network_test]
async fn a() {}

fn main() {}
