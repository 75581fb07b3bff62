#[mosaik::data]
pub struct A {
    pub signature: [u8; 64],
    pub more: Option<[u16; 33]>,
    pub fine: [u8; 32],
}

fn main() {}
