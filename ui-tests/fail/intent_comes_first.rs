#[mosaik::stream(buffer = 16, "a")]
pub struct A;

fn main() {}
