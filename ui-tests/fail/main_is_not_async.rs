#[mosaik::main]
fn main(network: mosaik::Network) {
    drop(network);
}
