#[mosaik::group_state("a", quorum = 3)]
#[derive(Clone)]
pub struct Borrowed<'a>(&'a str);

#[mosaik::group_state("b", quorum = 3)]
#[derive(Clone)]
pub struct Field {
    pub name: &'static str,
}

#[mosaik::group_state]
impl Field {}

fn main() {}
