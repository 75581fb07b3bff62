#[mosaik::group_state("a", quorum = 3, on_rivals = "keep-winner")]
#[derive(Clone, Default)]
pub struct Strict;

#[mosaik::group_state]
impl Strict {}

#[mosaik::group_state("b", quorum = elastic, on_rivals = "merge")]
#[derive(Clone, Default)]
pub struct Merging;

#[mosaik::group_state]
impl Merging {}

#[mosaik::group_state("c", quorum = elastic, on_rivals = "keep-loser")]
#[derive(Clone, Default)]
pub struct Other;

#[mosaik::group_state]
impl Other {}

fn main() {}
