#[mosaik::group_state("bank.ledger")]
#[derive(Clone, Default)]
pub struct Ledger(u64);

#[mosaik::group_state]
impl Ledger {}

fn main() {}
