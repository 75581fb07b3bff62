#[mosaik::stream("a")]
pub fn a() {}

fn main() {}
