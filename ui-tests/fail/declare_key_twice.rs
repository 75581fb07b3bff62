mosaik::declare::stream!(
    pub A = u64, "a",
    max_consumers: 8,
    max_consumers: 9,
    online_when: |c| c,
    producer online_when: |c| c,
);

fn main() {}
