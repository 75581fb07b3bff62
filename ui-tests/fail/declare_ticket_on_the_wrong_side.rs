pub struct StaffOnly;

mosaik::declare::stream!(
    pub producer A = u64, "a",
    producer require_ticket: StaffOnly,
);

fn main() {}
