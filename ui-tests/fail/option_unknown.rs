#[mosaik::stream("a", bufer = 16, colour)]
pub struct A;

fn main() {}
