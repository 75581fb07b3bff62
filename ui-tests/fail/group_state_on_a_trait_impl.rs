pub struct Ledger(u64);

#[mosaik::group_state]
impl Default for Ledger {
    fn default() -> Self {
        Self(0)
    }
}

pub trait Local {}

#[mosaik::group_state]
impl dyn Local {}

fn main() {}
