pub struct StaffOnly;

#[mosaik::stream("a", consumer(require_ticket = StaffOnly))]
pub struct A;

fn main() {}
