mosaik::declare::stream!(
    pub A = u64, "a",
    consumer require_ticket: jwt()
);

fn main() {}
