#[mosaik::main("app", log = 3)]
async fn main() {}
