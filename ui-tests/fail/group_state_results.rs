#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger(String);

#[mosaik::group_state]
impl Ledger {
    pub fn name(&self) -> &str {
        &self.0
    }

    pub fn bytes(&mut self) -> Option<&[u8]> {
        Some(self.0.as_bytes())
    }

    pub fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.bytes()
    }

    pub fn ends(&mut self) -> ! {
        panic!("never")
    }
}

fn main() {}
