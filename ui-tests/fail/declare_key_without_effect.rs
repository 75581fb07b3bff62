mosaik::declare::stream!(
    pub producer A = u64, "a",
    producer require: |_| true,
    consumer online_when: |c| c,
    criteria: mosaik::Criteria::default(),
);

mosaik::declare::stream!(pub consumer B = u64, "b", max_consumers: 8);

fn main() {}
