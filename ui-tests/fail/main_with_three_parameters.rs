use mosaik::Network;

#[mosaik::main]
async fn main(network: Network, args: u8, more: u8) {}
