use mosaik::Network;

#[mosaik::data]
pub struct Plain;

#[mosaik::stream("wrapper")]
pub struct Wrapper<T>(T);

pub fn f(network: &Network) {
    let _ = network.streams().consume::<Wrapper<Plain>>();
}

fn main() {}
