#[mosaik::stream("a", consumer = |c| c.minimum_of(2))]
pub struct A;

fn main() {}
