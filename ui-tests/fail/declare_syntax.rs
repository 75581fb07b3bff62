mosaik::declare::stream!(pub A, "a");
mosaik::declare::stream!(pub B = u64, "b", "c");
mosaik::declare::stream!(pub C = u64, "c", online_when: |c| c, max_consumers = 8);

fn main() {}
