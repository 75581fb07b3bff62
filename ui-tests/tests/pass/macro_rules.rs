//! Items that a `macro_rules!` macro writes: types and literals arrive in invisible groups.

use mosaik::{Datum, StreamId};

macro_rules! measured {
    ($(#[$meta:meta])* $vis:vis $name:ident: $ty:ty = $intent:literal) => {
        $(#[$meta])*
        #[mosaik::stream($intent)]
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            value: $ty,
            all: Vec<$ty>,
        }
    };
}

macro_rules! named {
    ($name:ident, $intent:expr, $datum:ty, $buffer:expr) => {
        #[mosaik::stream($intent, datum = $datum, buffer = $buffer)]
        struct $name;

        mod declared {
            mosaik::declare::stream!(pub $name = $datum, $intent, buffer_size: $buffer);
        }
    };
}

macro_rules! sized {
    ($name:ident, $ty:ty, $len:literal) => {
        #[mosaik::data]
        #[derive(Debug, PartialEq)]
        struct $name([$ty; $len], Option<$ty>);
    };
}

macro_rules! id_of {
    ($text:expr) => {
        mosaik::unique_id!($text)
    };
}

measured!(
    /// Degrees.
    pub Temperature: f64 = "temperature"
);
named!(Numbers, "numbers", Vec<u64>, 16);
sized!(Small, u8, 4);

#[test]
fn types_and_literals_are_seen_through_their_groups() {
    assert_eq!(Temperature::STREAM_ID, StreamId::from("temperature"));
    assert_eq!(Numbers::STREAM_ID, StreamId::from("numbers"));
    assert_eq!(declared::Numbers::STREAM_ID, Numbers::STREAM_ID);
    assert_eq!(id_of!("numbers"), Numbers::STREAM_ID);
    let warm = Temperature { value: 21.5, all: vec![1.0] };
    assert_eq!(Temperature::decode(&warm.encode().unwrap()).unwrap(), warm);
    assert_eq!(Small([0; 4], None), Small([0; 4], None));
}
