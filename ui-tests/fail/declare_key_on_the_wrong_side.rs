mosaik::declare::stream!(
    pub A = u64, "a",
    consumer max_consumers: 8,
    consumer buffer_size: 16,
    producer criteria: mosaik::Criteria::default(),
);

fn main() {}
