const A: mosaik::UniqueId = mosaik::unique_id!();

fn main() {}
