#[mosaik::data]
pub struct A {
    pub b: &'static str,
    pub c: Option<&'static [u8]>,
    pub d: Vec<(u8, &'static u64)>,
}

fn main() {}
