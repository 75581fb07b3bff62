mosaik::declare::stream!(pub A = u64, "a", bufer_size: 16);

fn main() {}
