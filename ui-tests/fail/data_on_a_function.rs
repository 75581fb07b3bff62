#[mosaik::data]
pub fn a() {}

fn main() {}
