#[mosaik::stream("a", buffer = 0, max_consumers = -1)]
pub struct A;

#[mosaik::stream("b", buffer = "16", max_consumers = 0)]
pub struct B;

fn main() {}
