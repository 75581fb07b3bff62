#[mosaik::data("a")]
pub struct A;

fn main() {}
