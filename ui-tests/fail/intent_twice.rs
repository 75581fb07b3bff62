#[mosaik::stream("a", "b")]
pub struct A;

fn main() {}
