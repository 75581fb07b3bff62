use mosaik::Network;

pub struct Neither(std::rc::Rc<u8>);

pub fn f(network: &Network) {
    let _ = network.streams().producer::<Neither>().with_stream_id("x");
}

fn main() {}
