#[mosaik::main]
struct A;

fn main() {}
