#[mosaik::main]
async fn main(_network: mosaik::Network, _args: u8, _more: u8) {}
