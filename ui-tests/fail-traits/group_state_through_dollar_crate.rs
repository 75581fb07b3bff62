pub use mosaik;

macro_rules! declare {
    ($name:ident) => {
        pub struct $name;

        #[mosaik::group_state(crate = $crate::mosaik)]
        impl $name {
            pub fn clear(&mut self) {}
        }
    };
}

declare!(A);

fn main() {}
