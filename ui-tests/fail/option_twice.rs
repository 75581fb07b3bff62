#[mosaik::stream("a", buffer = 16, buffer = 32, producer(online_when = |c| c, online_when = |c| c))]
pub struct A;

fn main() {}
