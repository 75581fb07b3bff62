#[mosaik::main("app", offline = "yes")]
async fn main() {}
