#[mosaik::data]
pub struct A<'a> {
    pub text: std::borrow::Cow<'a, str>,
}

fn main() {}
