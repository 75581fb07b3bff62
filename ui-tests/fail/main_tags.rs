#[mosaik::main("app", tags = ["matcher", "", 7])]
async fn main() {}
