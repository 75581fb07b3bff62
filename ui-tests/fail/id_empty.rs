const A: mosaik::UniqueId = mosaik::unique_id!("");
const B: mosaik::Tag = mosaik::tag!("");

fn main() {}
