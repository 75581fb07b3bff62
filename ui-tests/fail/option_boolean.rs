#[mosaik::stream("a", constructors = 0, serde = "no")]
pub struct A;

fn main() {}
