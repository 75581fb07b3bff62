//! `#[group_state]`: every documented form.

use std::{borrow::Cow, collections::BTreeMap};

use mosaik::{
    UniqueId, data,
    discovery::PeerEntry,
    group_state,
    groups::{ApplyContext, ConsensusConfig, Group, GroupKey, Index, StateMachine},
    tickets::{Expiration, InvalidTicket, TicketClass, TicketValidator},
};

#[group_state("ui.ledger", quorum = 3)]
#[derive(Default, Clone, Debug, PartialEq)]
pub struct Ledger {
    accounts: BTreeMap<String, u64>,
    last: Index,
}

#[data]
#[derive(Clone, Debug, PartialEq)]
pub enum TransferError {
    Insufficient { balance: u64 },
}

#[group_state]
impl Ledger {
    pub const FEE: u64 = 1;

    /// Adds to an account and returns its balance.
    pub fn deposit(
        &mut self,
        /// Whose.
        account: String,
        amount: u64,
        ctx: &ApplyContext,
    ) -> u64 {
        self.last = ctx.index();
        let balance = self.accounts.entry(account).or_default();
        *balance += amount;
        *balance
    }

    pub fn transfer(
        &mut self,
        from: String,
        to: String,
        mut amount: u64,
    ) -> Result<(), TransferError> {
        amount += self.fee();
        let balance = self.accounts.get(&from).copied().unwrap_or_default();
        let Some(left) = balance.checked_sub(amount) else {
            return Err(TransferError::Insufficient { balance });
        };
        self.accounts.insert(from, left);
        *self.accounts.entry(to).or_default() += amount - self.fee();
        Ok(())
    }

    pub fn balance(&self, account: String) -> Option<u64> {
        self.accounts.get(&account).copied()
    }

    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
    }

    fn fee(&self) -> u64 {
        Self::FEE
    }
}

/// Other blocks stay local.
impl Ledger {
    pub fn sum(&self) -> u64 {
        self.accounts.values().sum()
    }
}

fn key() -> GroupKey {
    GroupKey::from_secret("ui tests")
}

#[mosaik::network_test(sim)]
async fn methods_are_called_through_the_group(network: mosaik::Network) {
    let ledger = alone::Alone::join(&network, key());
    assert_eq!(ledger.add(5).await.unwrap(), 5);
    assert_eq!(ledger.add(2).await.unwrap(), 7);
    assert_eq!(ledger.take(9).await.unwrap(), Err(alone::TooMuch { there: 7 }));
    assert_eq!(ledger.total().await.unwrap(), 7);
    assert_eq!(ledger.read(|state| *state), alone::Alone(7));
    let (first, second) = (ledger.add(1), ledger.clone().add(10));
    assert_eq!((second.await.unwrap(), first.await.unwrap()), (18, 8));
}

#[mosaik::network_test(sim)]
async fn a_group_begins_with_a_value(network: mosaik::Network) {
    let counter = alone::Alone::join_with(&network, UniqueId::from("a key"), alone::Alone(40));
    assert_eq!(counter.add(2).await.unwrap(), 42);
}

/// The second half is where its type cannot be seen from outside.
mod alone {
    use mosaik::{data, group_state};

    #[group_state("ui.alone", quorum = elastic, on_rivals = "keep-winner")]
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub(super) struct Alone(pub(super) u64);

    #[data]
    #[derive(Clone, Debug, PartialEq)]
    pub struct TooMuch {
        pub there: u64,
    }

    pub mod methods {
        use super::{Alone, TooMuch};

        #[mosaik::group_state]
        impl super::Alone {
            pub fn add(&mut self, n: u64) -> u64 {
                self.0 += n;
                self.0
            }

            pub fn take(&mut self, n: u64) -> Result<u64, TooMuch> {
                self.0 = self.0.checked_sub(n).ok_or(TooMuch { there: self.0 })?;
                Ok(self.0)
            }

            pub fn total(&self) -> u64 {
                let Alone(total) = self;
                *total
            }
        }
    }
}

#[test]
fn the_struct_is_a_plain_struct() {
    let mut ledger = Ledger::default();
    let ctx = ApplyContext::for_tests().with_index(Index(7));
    assert_eq!(ledger.deposit("ann".into(), 5, &ctx), 5);
    assert_eq!(ledger.last, 7);
    assert_eq!(ledger.transfer("ann".into(), "bob".into(), 2), Ok(()));
    let error = TransferError::Insufficient { balance: 2 };
    assert_eq!(ledger.transfer("ann".into(), "bob".into(), 2), Err(error));
    assert_eq!((ledger.balance("bob".into()), ledger.sum()), (Some(2), 4));
}

#[test]
fn the_machine_calls_the_methods() {
    let ctx = ApplyContext::for_tests().with_index(Index(3));
    let mut machine = Ledger::default();
    let command = LedgerCommand::Deposit { account: "ann".into(), amount: 5 };
    assert_eq!(format!("{command:?}"), "Deposit");
    assert!(matches!(machine.apply(command.clone(), &ctx), LedgerReply::Deposit(5)));
    assert_eq!(machine.last, 3);
    let query = LedgerQuery::Balance { account: "ann".into() };
    assert!(matches!(StateMachine::query(&machine, query), LedgerAnswer::Balance(Some(5))));
    let restored = Ledger::restore(&machine.snapshot().unwrap()).unwrap();
    assert_eq!((&restored, restored.digest().unwrap()), (&machine, machine.digest().unwrap()));
    assert!(matches!(machine.apply(LedgerCommand::Clear {}, &ctx), LedgerReply::Clear(())));
    assert_eq!(machine.sum(), 0);
}

#[test]
fn a_machine_is_named_and_numbered() {
    assert_eq!(Ledger::default().signature(), UniqueId::from("ui.ledger"));
    assert_eq!(Ledger::default().version(), 0);
    assert_eq!(Shape::Empty.signature(), UniqueId::from("mosaik-ui-tests::Shape"));
    assert_eq!(Shape::Empty.version(), 2);
    let logs = [Log::<u8>::default().signature(), Log::<u16>::default().signature()];
    assert_ne!(logs[0], logs[1]);
}

#[test]
fn what_travels_is_compared() {
    assert_ne!(Ledger::default().schema(), Shape::Empty.schema());
}

/// An enum, with every option.
#[group_state(
    quorum = FOUNDERS,
    storage = "memory",
    max_voters = 2 + 3,
    snapshot_every = 1_000,
    require_ticket = Anybody,
    require_ticket = Anybody,
    consensus = ConsensusConfig::fast(),
    version = 2,
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Empty,
    Square { side: u8 },
}

const FOUNDERS: usize = 3;

struct Anybody;

impl TicketValidator for Anybody {
    fn class(&self) -> TicketClass {
        UniqueId::from("ui.anybody")
    }

    fn signature(&self) -> UniqueId {
        UniqueId::from("ui.anybody")
    }

    fn validate(&self, _: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        Ok(Expiration::Never)
    }
}

/// All that a method may look like.
#[group_state]
#[allow(
    clippy::needless_arbitrary_self_type,
    clippy::needless_lifetimes,
    clippy::needless_pub_self
)]
impl Shape {
    pub const SIZE: usize = 3;

    pub fn new() -> Self {
        Self::Empty
    }

    pub fn patterns(&mut self, (a, b): (u8, u8), _: u8, arg1: u8, _unused: u8) -> (u8, u8) {
        *self = Self::Square { side: a };
        (b, arg1)
    }

    pub fn of_self(self: &mut Self, other: Self, sides: [u8; Self::SIZE]) -> Vec<Self> {
        vec![std::mem::replace(self, other), Self::Square { side: sides[1] }]
    }

    pub fn r#match(&mut self, r#type: u8, ctx: u8, asked: u8, context: u8, größe: u8) -> u8 {
        r#type + ctx + asked + context + größe
    }

    #[cfg(any())]
    pub fn absent(&mut self, value: DoesNotExist) -> DoesNotExist {
        value
    }

    #[cfg_attr(all(), cfg(any()))]
    pub fn absent_too(&self, value: DoesNotExist) -> DoesNotExist {
        value
    }

    pub fn partly(
        &mut self,
        #[cfg(any())] absent: DoesNotExist,
        #[cfg(not(target_os = "none"))] there: u8,
    ) -> u8 {
        there
    }

    #[deprecated = "use `patterns`"]
    pub fn old(&mut self) {}

    #[expect(unused_variables)]
    pub fn expecting(&mut self, unused: u8) {}

    pub fn self_(&self) -> Self {
        self.clone()
    }

    pub fn lifetimes<'a>(&'a self, text: Cow<'static, str>) -> usize {
        text.len()
    }

    pub fn _1(&self) -> u8 {
        1
    }

    pub(self) fn local(&self, _: &str) {}

    fn local_too(&self, _: impl Into<String>) -> &str {
        self.local("");
        ""
    }
}

#[test]
#[allow(deprecated)]
fn every_form_of_a_method_is_called() {
    let ctx = ApplyContext::for_tests();
    let mut shape = Shape::new();
    let patterns = ShapeCommand::Patterns { arg1_: (1, 2), arg2: 3, arg1: 4, _unused: 5 };
    assert!(matches!(shape.apply(patterns, &ctx), ShapeReply::Patterns((2, 4))));
    let of_self = ShapeCommand::OfSelf { other: Shape::Empty, sides: [7, 8, 9] };
    let ShapeReply::OfSelf(shapes) = shape.apply(of_self, &ctx) else { panic!("another reply") };
    assert_eq!(shapes, [Shape::Square { side: 1 }, Shape::Square { side: 8 }]);
    let raw = ShapeCommand::Match { r#type: 1, ctx: 2, asked: 3, context: 4, größe: 5 };
    assert!(matches!(shape.apply(raw, &ctx), ShapeReply::Match(15)));
    let partly = ShapeCommand::Partly { there: 6 };
    assert!(matches!(shape.apply(partly, &ctx), ShapeReply::Partly(6)));
    assert!(matches!(shape.apply(ShapeCommand::Old {}, &ctx), ShapeReply::Old(())));
    let expecting = ShapeCommand::Expecting { unused: 0 };
    assert!(matches!(shape.apply(expecting, &ctx), ShapeReply::Expecting(())));
    let answer = StateMachine::query(&shape, ShapeQuery::MethodSelf {});
    assert!(matches!(answer, ShapeAnswer::MethodSelf(Shape::Empty)));
    let answer = StateMachine::query(&shape, ShapeQuery::Lifetimes { text: "four".into() });
    assert!(matches!(answer, ShapeAnswer::Lifetimes(4)));
    let answer = StateMachine::query(&shape, ShapeQuery::Method1 {});
    assert!(matches!(answer, ShapeAnswer::Method1(1)));
    assert_eq!(shape.local_too("a"), "");
}

pub trait Amount: Clone + 'static {
    type Unit: mosaik::groups::Command;
}

impl Amount for u8 {
    type Unit = u16;
}

impl Amount for u16 {
    type Unit = u32;
}

/// Generic, with a condition of its own.
#[group_state("ui.log", quorum = 1)]
#[derive(Clone, Debug)]
pub struct Log<T: Amount, const N: usize = 2>
where
    T: PartialEq,
{
    entries: Vec<T>,
}

impl<T: Amount + PartialEq, const N: usize> Default for Log<T, N> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

#[group_state]
impl<T: Amount, const N: usize> Log<T, N>
where
    T: PartialEq,
{
    pub fn push(&mut self, entry: T, unit: T::Unit) -> Result<usize, T::Unit> {
        if self.entries.len() == N {
            return Err(unit);
        }
        self.entries.push(entry);
        Ok(self.entries.len())
    }

    pub fn entries(&self) -> Vec<T> {
        self.entries.clone()
    }
}

#[mosaik::network_test(sim)]
async fn a_generic_state_is_joined(network: mosaik::Network) {
    let log: LogHandle<Log<u8, 1>> = Log::<u8, 1>::join(&network, key());
    assert_eq!(log.push(7, 8).await.unwrap(), Ok(1));
    assert_eq!(log.push(8, 9).await.unwrap(), Err(9));
    assert_eq!(log.entries().await.unwrap(), [7]);
}

#[mosaik::network_test(sim)]
async fn a_handle_is_as_its_group(network: mosaik::Network) {
    fn shared<T: Send + Sync + 'static>(future: T) -> T {
        future
    }
    let log = Log::<u8, 1>::join(&network, key());
    assert_eq!(shared(log.push(7, 8)).await.unwrap(), Ok(1));
    assert_eq!(shared(log.entries()).await.unwrap(), [7]);
    assert_eq!(log.to_string(), Group::clone(&log).to_string());
    log.leave().await.unwrap();
    assert!(log.entries().await.is_err());
}

/// No commands, no `Default`.
#[group_state("ui.fixed", quorum = 1)]
#[derive(Clone)]
pub struct Fixed(u8);

#[group_state]
impl Fixed {
    pub fn value(&self) -> u8 {
        self.0
    }
}

#[group_state("ui.mute", quorum = 1)]
#[derive(Clone, Default)]
pub struct Mute;

#[group_state]
impl Mute {}

#[mosaik::network_test(sim)]
async fn a_state_may_be_asked_only(network: mosaik::Network) {
    let fixed = Fixed::join_with(&network, key(), Fixed(3));
    assert_eq!(fixed.value().await.unwrap(), 3);
    let mute: Group<Mute> = (*Mute::join(&network, key())).clone();
    let _: MuteHandle = mute.into();
}

#[mosaik::network_test(sim)]
async fn a_state_may_live_in_a_function(network: mosaik::Network) {
    #[group_state("ui.local", quorum = 1)]
    #[derive(Clone, Default)]
    struct Local(Inner);

    #[data]
    #[derive(Clone, Default, Debug, PartialEq)]
    struct Inner(u8);

    #[group_state]
    impl Local {
        pub fn set(&mut self, inner: Inner) -> Inner {
            std::mem::replace(&mut self.0, inner)
        }
    }

    let local = Local::join(&network, key());
    assert_eq!(local.set(Inner(2)).await.unwrap(), Inner(0));
    assert_eq!(local.set(Inner(3)).await.unwrap(), Inner(2));
}

#[mosaik::stream("ui.both")]
#[group_state("ui.both", quorum = 1)]
#[derive(Clone, Default)]
pub struct Both(u8);

#[group_state]
impl Both {
    pub fn inc(&mut self) -> u8 {
        self.0 += 1;
        self.0
    }
}

#[group_state("ui.both.turned", quorum = 1)]
#[mosaik::stream("ui.both.turned")]
#[derive(Clone, Default)]
pub struct Turned(u8);

#[group_state]
impl Turned {
    pub fn inc(&mut self) -> u8 {
        self.0 += 1;
        self.0
    }
}

macro_rules! counter {
    ($name:ident, $number:ty, $intent:literal, $step:expr) => {
        #[group_state($intent, quorum = 1)]
        #[derive(Clone, Default)]
        pub struct $name($number);

        #[group_state]
        impl $name {
            pub fn step(&mut self, by: $number) -> $number {
                self.0 += by * $step;
                self.0
            }
        }
    };
}

counter!(Small, u8, "ui.small", 2);
counter!(Large, u64, "ui.large", 3);

#[test]
fn macros_may_write_it() {
    let ctx = ApplyContext::for_tests();
    let SmallReply::Step(small) = Small::default().apply(SmallCommand::Step { by: 4 }, &ctx);
    let LargeReply::Step(large) = Large::default().apply(LargeCommand::Step { by: 4 }, &ctx);
    assert_eq!((small, large), (8, 12));
}

/// serde by hand.
#[group_state("ui.by_hand", quorum = 1, serde = false)]
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct ByHand {
    value: u8,
}

#[group_state]
impl ByHand {
    pub fn value(&self) -> u8 {
        self.value
    }
}
