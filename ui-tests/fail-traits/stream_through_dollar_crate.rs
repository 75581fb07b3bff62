pub use mosaik;

macro_rules! declare {
    ($name:ident) => {
        #[mosaik::stream("a", crate = $crate::mosaik)]
        pub struct $name;
    };
}

declare!(A);

fn main() {}
