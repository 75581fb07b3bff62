#[mosaik::main("app", tags = "matcher")]
async fn main() {}
