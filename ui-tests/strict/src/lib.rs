//! The hardest surroundings that expansions must live in: no prelude, no imports, a renamed
//! mosaik, no dependency on serde, edition 2021, and every lint denied.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, missing_debug_implementations, clippy::pedantic)]

pub mod hostile;

/// A measurement; `mosaik-ui-tests` declares the same stream on its own.
#[::m0saik::stream("sensors.temperature", crate = ::m0saik)]
#[derive(::std::fmt::Debug, ::std::clone::Clone, ::std::cmp::PartialEq)]
pub struct Reading {
    /// Which sensor.
    pub sensor: u64,
    /// What it measured.
    pub celsius: f64,
    /// Where it stands.
    pub position: Position,
}

/// Travels inside of a reading.
#[::m0saik::data(crate = ::m0saik)]
#[derive(::std::fmt::Debug, ::std::clone::Clone, ::std::cmp::PartialEq)]
pub struct Position {
    /// East.
    pub x: f32,
    /// North.
    pub y: f32,
}

/// Named after its package.
#[::m0saik::stream(crate = ::m0saik)]
#[derive(::std::fmt::Debug)]
pub enum Tick {
    /// One step.
    Up,
    /// Several.
    Down {
        /// How many.
        by: u16,
    },
}

/// Generic over a stream and a number.
#[::m0saik::stream("wrapper", crate = ::m0saik, buffer = 16, online_when = |c| c.minimum_of(2))]
#[derive(::std::fmt::Debug)]
pub struct Wrapper<T, const N: usize>
where
    T: ::std::fmt::Debug,
{
    /// What is wrapped.
    pub value: T,
    /// How deep.
    pub depth: u8,
}

/// A second name for an existing type.
#[::m0saik::stream("oracle.eth", crate = ::m0saik, datum = Position)]
#[derive(::std::fmt::Debug)]
pub struct EthPosition;

/// Brings its own constructors.
#[::m0saik::stream("own", crate = ::m0saik, constructors = false, max_consumers = 3)]
#[derive(::std::fmt::Debug)]
pub struct Own {
    /// Anything.
    pub a: u8,
}

impl Own {
    /// Collides with a constructor of that name.
    #[must_use]
    pub fn producer(&self) -> u8 {
        self.a
    }
}

::m0saik::declare::stream!(
    /// Declared apart from its type.
    pub Positions = Position, "positions",
    require: |peer| peer.tags().is_empty(),
    consumer require: |peer| !peer.tags().contains(&TAG),
    producer online_when: |c| c.minimum_of(2),
    buffer_size: 16,
    max_consumers: 8,
);

::m0saik::declare::stream!(
    /// One side only.
    pub consumer PositionsIn = Position, ID
);

/// A group's state; its methods are elsewhere.
#[::m0saik::group_state("strict.ledger", crate = ::m0saik, quorum = 3, max_voters = 3, version = 1)]
#[derive(::std::fmt::Debug, ::std::clone::Clone, ::std::default::Default)]
pub struct Ledger {
    balance: u64,
    positions: ::std::vec::Vec<Position>,
}

/// The other half of a group's state.
pub mod methods {
    use super::{Ledger, Position};

    #[::m0saik::group_state(crate = ::m0saik)]
    impl Ledger {
        /// Adds to the balance, and returns it.
        pub fn deposit(&mut self, amount: u64, ctx: &::m0saik::groups::ApplyContext) -> u64 {
            self.balance += amount + ::std::convert::Into::<u64>::into(ctx.index());
            self.balance
        }

        /// Moves.
        pub fn go(&mut self, #[cfg(not(target_os = "none"))] to: Position) {
            self.positions.push(to);
        }

        /// What there is.
        pub fn balance(&self) -> ::std::option::Option<u64> {
            ::std::option::Option::Some(self.balance)
        }
    }
}

/// A generic state.
#[::m0saik::group_state("strict.log", crate = ::m0saik, quorum = elastic, on_rivals = "keep-winner")]
#[derive(::std::fmt::Debug, ::std::clone::Clone)]
pub struct Log<T, const N: usize>
where
    T: ::std::fmt::Debug,
{
    entries: ::std::vec::Vec<T>,
}

#[::m0saik::group_state(crate = ::m0saik)]
impl<T, const N: usize> Log<T, N>
where
    T: ::std::fmt::Debug,
{
    /// Adds an entry.
    pub fn push(&mut self, entry: T) -> usize {
        self.entries.push(entry);
        self.entries.len()
    }
}

/// Joins both.
#[must_use]
pub fn join(network: &::m0saik::Network) -> (methods::LedgerHandle, LogHandle<Log<Reading, 3>>) {
    let key = ::m0saik::groups::GroupKey::from_secret("strict");
    let log = Log { entries: ::std::vec::Vec::new() };
    (Ledger::join(network, key), Log::join_with(network, key, log))
}

/// Hashed at compile time.
pub const ID: ::m0saik::UniqueId = ::m0saik::unique_id!("id");
/// The same under its short name.
pub const SAME: ::m0saik::UniqueId = ::m0saik::id!("id");
/// A tag.
pub const TAG: ::m0saik::Tag = ::m0saik::tag!("tag");

/// Everything works in the scope of a function, too.
#[must_use]
pub fn local() -> ::m0saik::StreamId {
    #[::m0saik::stream("local", crate = ::m0saik)]
    #[derive(::std::fmt::Debug)]
    struct Local;

    ::m0saik::declare::stream!(LocalPositions = Position, "local positions");

    let _ = (Local, LocalPositions::STREAM_ID);
    Local::STREAM_ID
}

#[cfg(test)]
mod tests {
    #[::m0saik::network_test(sim, crate = ::m0saik)]
    async fn nodes_are_given(nodes: [::m0saik::Network; 2]) {
        nodes.heal();
        ::std::assert_eq!(nodes.len(), 2);
    }

    #[test]
    fn names_agree() {
        ::std::assert_eq!(super::ID, super::SAME);
        ::std::assert_eq!(super::Tick::INTENT, "mosaik-ui-strict::Tick");
        ::std::assert_eq!(super::local(), ::m0saik::id!("local"));
    }
}
