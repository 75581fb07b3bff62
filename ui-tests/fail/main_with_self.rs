#[mosaik::main]
async fn main(self) {}
