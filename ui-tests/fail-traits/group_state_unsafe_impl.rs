pub struct Ledger;

#[mosaik::group_state]
unsafe impl Ledger {
    pub fn clear(&mut self) {}
}

fn main() {}
