#[mosaik::data]
pub struct A {
    #[serde(skip_serializing)]
    pub b: u8,
    #[serde(skip_deserializing)]
    pub c: u8,
    #[serde(skip)]
    pub d: u8,
}

fn main() {}
