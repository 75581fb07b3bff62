#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger;

#[mosaik::group_state]
impl Ledger {
    pub fn clear(&mut self) {}
}

#[mosaik::group_state]
impl Ledger {
    pub fn fill(&mut self) {}
}

fn main() {}
