#[mosaik::stream("a", require_ticket = jwt(1, 2))]
pub struct A;

fn main() {}
