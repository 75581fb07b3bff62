#[mosaik::group_state(
    "a",
    quorum = 3,
    storage = "disk",
    max_voters = 0,
    snapshot_every = "often",
    require_ticket = "staff",
    consensus = "fast",
    version = "1.2",
    color = "red"
)]
#[derive(Clone, Default)]
pub struct Disk;

#[mosaik::group_state]
impl Disk {}

#[mosaik::group_state("b", quorum = 3, storage = "tape", version = 4_294_967_296)]
#[derive(Clone, Default)]
pub struct Tape;

#[mosaik::group_state]
impl Tape {}

fn main() {}
