#[mosaik::group_state]
fn ledger() {}

#[mosaik::group_state("a", quorum = 3)]
union Bits {
    a: u8,
}

fn main() {}
