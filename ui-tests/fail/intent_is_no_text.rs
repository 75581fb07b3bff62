#[mosaik::stream(7)]
pub struct A;

#[mosaik::stream(b"bytes")]
pub struct B;

fn main() {}
