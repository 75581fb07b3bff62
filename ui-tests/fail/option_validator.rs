#[mosaik::stream("a", require_ticket = "staff", consumer(require_ticket = true, require_ticket))]
pub struct A;

fn main() {}
