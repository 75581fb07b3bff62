#[mosaik::group_state("bank.ledger", quorum = 3)]
#[derive(Clone)]
pub struct Ledger(u64);

#[mosaik::group_state]
impl Ledger {}

pub fn joins(network: &mosaik::Network) {
    let _ = Ledger::join(network, mosaik::groups::GroupKey::from_secret("a"));
}

fn main() {}
