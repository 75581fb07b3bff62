const NAME: &str = "a";

#[mosaik::stream(NAME)]
pub struct A;

#[mosaik::stream(self::NAME, buffer = 16)]
pub struct B;

#[mosaik::stream(concat!("a", "b"))]
pub struct C;

fn main() {}
