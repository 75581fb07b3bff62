#[mosaik::stream("a", datum = "Price", crate = "mosaik")]
pub struct A;

fn main() {}
