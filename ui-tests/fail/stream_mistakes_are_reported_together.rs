#[mosaik::stream("", bufer = 3, serde = 1)]
pub struct A {
    #[serde(flatten)]
    pub b: std::collections::BTreeMap<String, u8>,
    pub c: &'static str,
    pub d: [u8; 64],
}

fn main() {}
