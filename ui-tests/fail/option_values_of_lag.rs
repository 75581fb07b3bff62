#[mosaik::stream("a", on_lag = "drop", retain = "all")]
pub struct A(u8);

#[mosaik::stream("b", on_lag = 3, retain = 0)]
pub struct B(u8);

fn main() {}
