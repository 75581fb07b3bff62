#[mosaik::stream("a", on_lag = "block", retain = 100)]
pub struct A;

fn main() {}
