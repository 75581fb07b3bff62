mosaik::declare::stream!(pub A = u64, "");
mosaik::declare::stream!(pub B = u64, 7);

fn main() {}
