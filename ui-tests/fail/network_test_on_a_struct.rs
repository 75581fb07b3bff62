#[mosaik::network_test]
struct A;

fn main() {}
