use mosaik::groups::ApplyContext;

#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger;

#[mosaik::group_state]
impl Ledger {
    pub fn first(&mut self, ctx: &ApplyContext, amount: u64) {
        let _ = (ctx, amount);
    }

    pub fn asked(&self, ctx: &ApplyContext) {
        let _ = ctx;
    }
}

fn main() {}
