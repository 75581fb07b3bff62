#[mosaik::data]
pub struct A {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<u8>,
    pub c: u8,
}

fn main() {}
