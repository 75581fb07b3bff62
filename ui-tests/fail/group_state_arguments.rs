use std::borrow::Cow;

#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger;

#[mosaik::group_state]
impl Ledger {
    pub fn text(&mut self, name: &str, bytes: &[u8]) {
        let _ = (name, bytes);
    }

    pub fn deep(&mut self, name: Option<&str>, lent: Cow<'_, str>) {
        let _ = (name, lent);
    }

    pub fn any(&mut self, name: impl Into<String>, f: Box<dyn Fn() + Send>) {
        let _ = (name.into(), f);
    }

    pub fn long(&self, signature: [u8; 64]) {
        let _ = signature;
    }
}

fn main() {}
