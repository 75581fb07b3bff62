#[mosaik::stream("a")]
#[derive(Clone, Copy)]
pub union A {
    a: u8,
    b: i8,
}

fn main() {}
