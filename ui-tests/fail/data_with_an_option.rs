#[mosaik::data(serde = false)]
pub struct A;

fn main() {}
