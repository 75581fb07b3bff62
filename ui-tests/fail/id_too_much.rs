const A: mosaik::UniqueId = mosaik::id!("a", "b");

fn main() {}
