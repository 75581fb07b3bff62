use mosaik::Network;

struct Args;

#[mosaik::main]
async fn main(_network: Network, _args: Args) {}
