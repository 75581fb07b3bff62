#[mosaik::stream("a", on_lag = "block", retain = 100, require_ticket = jwt(1, 2))]
pub struct A;

fn main() {}
