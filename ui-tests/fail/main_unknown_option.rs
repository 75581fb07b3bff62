#[mosaik::main("app", threads = 4)]
async fn main() {}
