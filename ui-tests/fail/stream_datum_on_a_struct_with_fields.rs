#[mosaik::stream("a", datum = u64)]
pub struct A {
    pub b: u8,
}

#[mosaik::stream("b", datum = u64)]
pub struct B<T>(T);

#[mosaik::stream("c", datum = u64)]
pub enum C {}

fn main() {}
