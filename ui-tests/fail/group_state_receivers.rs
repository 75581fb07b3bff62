#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger;

#[mosaik::group_state]
impl Ledger {
    pub fn value(self) {}

    pub fn boxed(self: Box<Self>) {}
}

fn main() {}
