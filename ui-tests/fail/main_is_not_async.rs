use mosaik::Network;

#[mosaik::main]
fn main(network: Network) {
    drop(network);
}
