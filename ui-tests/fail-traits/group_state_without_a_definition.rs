#[derive(Clone, Default)]
pub struct Ledger(u64);

#[mosaik::group_state]
impl Ledger {
    pub fn deposit(&mut self, amount: u64) -> u64 {
        self.0 += amount;
        self.0
    }
}

fn main() {}
