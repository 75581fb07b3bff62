#[mosaik::stream("a")]
pub struct A<'a> {
    pub text: &'a str,
}

fn main() {}
