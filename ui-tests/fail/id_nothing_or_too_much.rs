const A: mosaik::UniqueId = mosaik::unique_id!();
const B: mosaik::UniqueId = mosaik::id!("a", "b");

fn main() {}
