#[mosaik::data]
#[serde(untagged)]
pub enum A {
    B(u8),
}

#[mosaik::data]
pub enum C {
    D(u8),
    #[serde(untagged)]
    E(u8),
}

fn main() {}
