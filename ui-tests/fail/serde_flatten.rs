#[mosaik::data]
pub struct A {
    #[serde(flatten)]
    pub b: std::collections::BTreeMap<String, u8>,
}

fn main() {}
