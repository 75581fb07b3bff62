#[mosaik::stream("a", buffer = = 16)]
pub struct A;

#[mosaik::stream("b" buffer = 16)]
pub struct B;

#[mosaik::stream("c", path::to::something)]
pub struct C;

fn main() {}
