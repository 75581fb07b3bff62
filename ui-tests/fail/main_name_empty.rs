#[mosaik::main("")]
async fn main() {}
