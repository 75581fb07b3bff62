#[mosaik::main]
async fn main<T>() {}
