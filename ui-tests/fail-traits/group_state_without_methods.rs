#[mosaik::group_state("bank.ledger", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger(u64);

fn main() {}
