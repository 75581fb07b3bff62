#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger;

#[mosaik::group_state]
impl Ledger {
    pub fn read(&self) {}

    pub fn is_leader(&mut self) {}

    fn merge(&mut self, other: Self) {
        let _ = other;
    }
}

fn main() {}
