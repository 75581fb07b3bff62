#[mosaik::stream("a", buffer, datum, producer, serde(false))]
pub struct A;

fn main() {}
