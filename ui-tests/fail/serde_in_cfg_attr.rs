#[mosaik::data]
pub struct A {
    #[cfg_attr(all(), serde(flatten))]
    pub b: std::collections::BTreeMap<String, u8>,
}

fn main() {}
