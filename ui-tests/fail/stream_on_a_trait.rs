#[mosaik::stream("a")]
pub trait A {}

fn main() {}
