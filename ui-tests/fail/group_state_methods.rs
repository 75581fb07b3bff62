#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone, Default)]
pub struct Ledger;

#[mosaik::group_state]
impl Ledger {
    pub async fn waits(&mut self) {}

    pub async fn waits_too(&self) {}

    pub fn generic<T: Into<u8>>(&mut self, value: T) {
        let _ = value.into();
    }

    pub unsafe fn unsound(&mut self) {}

    pub fn foo_bar(&mut self) {}

    #[allow(non_snake_case)]
    pub fn fooBar(&mut self) {}
}

fn main() {}
