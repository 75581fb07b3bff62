#[mosaik::stream("a", require = true, online_when = 2, producer(require = "trusted"))]
pub struct A;

fn main() {}
