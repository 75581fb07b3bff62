#[mosaik::data]
#[serde(tag = "kind", content = "value")]
pub enum A {
    B(u8),
}

fn main() {}
