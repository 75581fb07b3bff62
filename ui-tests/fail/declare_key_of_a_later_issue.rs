mosaik::declare::stream!(
    pub A = u64, "a",
    disconnect_lagging: true,
    backoff: slow(),
);

fn main() {}
