const NAME: &str = "a";

const A: mosaik::UniqueId = mosaik::unique_id!(NAME);
const B: mosaik::UniqueId = mosaik::id!(concat!("a", "b"));
const C: mosaik::Tag = mosaik::tag!(7);

fn main() {}
