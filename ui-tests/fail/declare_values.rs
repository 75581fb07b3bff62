mosaik::declare::stream!(
    pub A = u64, "a",
    max_consumers: 0,
    buffer_size: "16",
    online_when: 2,
    require: true,
    require_ticket: "staff",
);

fn main() {}
