#[mosaik::stream("a", producer(buffer = 16, require = |_| true))]
pub struct A;

fn main() {}
