#[mosaik::stream("")]
pub struct A;

fn main() {}
