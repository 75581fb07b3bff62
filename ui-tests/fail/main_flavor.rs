#[mosaik::main(flavor = "single")]
async fn main() {}
