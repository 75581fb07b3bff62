#[mosaik::group_state("a", quorum = elastic)]
#[derive(Clone, Default)]
pub struct Split;

#[mosaik::group_state]
impl Split {}

#[mosaik::group_state("b", quorum = "elastic", on_rivals = "keep-winner")]
#[derive(Clone, Default)]
pub struct Quoted;

#[mosaik::group_state]
impl Quoted {}

#[mosaik::group_state("c", quorum = 2)]
#[derive(Clone, Default)]
pub struct Even;

#[mosaik::group_state]
impl Even {}

#[mosaik::group_state("d", quorum = 7)]
#[derive(Clone, Default)]
pub struct TooMany;

#[mosaik::group_state]
impl TooMany {}

#[mosaik::group_state("e", quorum = 5, max_voters = 3)]
#[derive(Clone, Default)]
pub struct MoreThanVote;

#[mosaik::group_state]
impl MoreThanVote {}

#[mosaik::group_state("f", quorum = "three")]
#[derive(Clone, Default)]
pub struct Text;

#[mosaik::group_state]
impl Text {}

#[mosaik::group_state("g", quorum(3))]
#[derive(Clone, Default)]
pub struct Parentheses;

#[mosaik::group_state]
impl Parentheses {}

#[mosaik::group_state("h", quorum = 0)]
#[derive(Clone, Default)]
pub struct Nobody;

#[mosaik::group_state]
impl Nobody {}

fn main() {}
