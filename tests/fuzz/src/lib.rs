//! The decoders of one subsystem, for libFuzzer.

use std::sync::OnceLock;

use mosaik::private::{Decoder, decoders};

/// Gives the input to every decoder of the subsystem, or to the one that `DECODER` names.
pub fn run(subsystem: &str, input: &[u8]) {
    static CHOSEN: OnceLock<Vec<Decoder>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let only = std::env::var("DECODER").unwrap_or_default();
        let mut chosen = decoders();
        chosen.retain(|decoder| {
            let in_subsystem = decoder.name.split('/').next() == Some(subsystem);
            in_subsystem && decoder.name.contains(&only)
        });
        assert!(!chosen.is_empty(), "no decoder of {subsystem} is called {only}");
        chosen
    });
    for decoder in chosen {
        decoder.run(input);
    }
}
