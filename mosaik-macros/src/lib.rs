//! The procedural macros of mosaik. Use them through the `mosaik` crate, which re-exports and
//! documents them: expansions speak to that crate's private module.
//!
//! One folder per macro: `parse` reads tokens into a plain struct and collects all errors, `model`
//! checks and names, `expand` writes. Entry points are functions over `proc_macro2` tokens, so that
//! the tests beside them can show whole expansions.

#![allow(special_module_name, reason = "the folder `main` is named after its macro")]

mod channel;
mod crate_path;
mod data;
mod declare;
mod entry_fn;
mod errors;
mod generics;
mod group_state;
mod ids;
mod intent;
mod main;
mod network_test;
mod options;
mod serde_attrs;
mod stream;
#[cfg(test)]
mod testing;
mod type_item;
mod values;

use proc_macro::TokenStream;

/// Makes a type a stream: it can be produced and consumed under its name.
///
/// ```ignore
/// #[mosaik::stream("sensors.temperature")]
/// #[derive(Debug, Clone)]
/// pub struct Reading { pub sensor: u64, pub celsius: f64 }
///
/// let mut out = Reading::producer(&network);
/// let mut inp = Reading::consumer(&network);
/// ```
///
/// The string is the stream's *intent*: its id is the intent's blake3 hash (64 hex digits are the
/// id itself). Without one it is `"<package>::<Type>"`. Goes on structs and enums, generic ones
/// too; stands above the derives, and adds serde's where they are missing, so that no dependency
/// on serde is needed. Type parameters must be streams or types of std.
///
/// | Option | Meaning |
/// |---|---|
/// | `buffer = 1024` | datums that a consumer may be behind before `on_lag` applies |
/// | `on_lag = "block"` | what becomes of one that is further behind: the producer waits for it, it skips (`"drop-oldest"`), or it is cut (`"disconnect"`) |
/// | `retain = 20` | datums that a late consumer gets first |
/// | `max_consumers = 8` | a producer refuses more |
/// | `online_when = \|c\| c.minimum_of(2)` | when `producer` and `consumer` are online |
/// | `require = \|peer\| …` | what a peer must satisfy; repeatable, all must hold |
/// | `require_ticket = validator` | what the tickets of a peer must pass; repeatable, all must be passed |
/// | `producer(…)`, `consumer(…)` | the three above for one side: `online_when` of that side, `require` and `require_ticket` of the peers on that side |
/// | `datum = Type` | on a unit struct: a second, separately named stream of an existing serde type |
/// | `constructors = false` | no functions `producer`, `consumer`, …: for types with their own |
/// | `serde = false` | adds no derives: for hand-written impls |
/// | `crate = ::path` | where a renamed mosaik is found |
///
/// Generates `impl Datum`, the constructors `producer`, `consumer`, `online_producer` and
/// `online_consumer`, `impl StreamProducer` and `impl StreamConsumer` (so that `ProducerOf<Reading>`
/// and `ConsumerOf<Reading>` name the handles), `INTENT`, and `STREAM_ID` for types without
/// parameters.
#[proc_macro_attribute]
pub fn stream(attribute: TokenStream, item: TokenStream) -> TokenStream {
    stream::stream(attribute.into(), item.into()).into()
}

/// Makes a type the state of a group, and its public methods the group's commands and queries.
///
/// ```ignore
/// #[mosaik::group_state("bank.ledger", quorum = 3)]
/// #[derive(Default, Clone)]
/// pub struct Ledger { accounts: BTreeMap<String, u64> }
///
/// #[mosaik::group_state]
/// impl Ledger {
///     /// Adds to an account and returns its balance.
///     pub fn deposit(&mut self, account: String, amount: u64) -> u64 {
///         let balance = self.accounts.entry(account).or_default();
///         *balance += amount;
///         *balance
///     }
///
///     pub fn balance(&self, account: String) -> Option<u64> {
///         self.accounts.get(&account).copied()
///     }
/// }
///
/// let ledger = Ledger::join(&network, key);
/// let balance = ledger.deposit("ann".into(), 5).await?;       // agreed upon, applied, its result
/// let seen = ledger.balance("ann".into()).await?;             // never older than what was answered
/// let fast = ledger.read(|state| state.accounts.len());       // what this member knows
/// ```
///
/// The attribute stands twice: on the struct or enum, above its derives, and on one `impl` block,
/// which may be in another module. The type stays a plain type that unit tests use without a network;
/// it must be `Clone`, and serde's derives are added where they are missing. The string names the
/// group's state machine; without one it is `"<package>::<Type>"`. Who holds the same key and runs the
/// same machine is a member.
///
/// A `pub` or `pub(crate) fn(&mut self, …)` is a **command**: every member calls it, in the same
/// order. It must do the same everywhere: no clocks, no randomness, no files; and it must not panic.
/// What it needs of the kind is in a last parameter `ctx: &ApplyContext`, which callers do not give.
/// A `fn(&self, …)` is a **query**, which the member answers that is asked, with everything in it
/// that was agreed upon before. Arguments and results travel: they are serde types that own what
/// they hold, and `Clone`. Private functions, those without `self` and those of other `impl` blocks
/// stay local.
///
/// | Option, above the type | Meaning |
/// |---|---|
/// | `quorum = 3` | three members found the group, and ever after a majority must agree; must be odd. Below it, the group stops |
/// | `quorum = elastic` | one member is enough to begin, and the group grows; founders that have not met yet both go on |
/// | `on_rivals = "keep-winner"` | of two elastic groups that were founded apart one is kept when they meet, and `GroupEvent::Merged` tells what the other lost; must be stated |
/// | `storage = "memory"` | where members keep what they know |
/// | `max_voters = 5` | how many vote; further members learn |
/// | `snapshot_every = 20_000` | commands after which the state is saved and the log cut |
/// | `require_ticket = validator` | what the tickets of members must pass; repeatable, all must be passed |
/// | `consensus = ConsensusConfig::fast()` | how patient members are with each other |
/// | `version = 2` | members of different versions refuse each other; 0 if not given |
/// | `serde = false` | adds no derives: for hand-written impls |
/// | `crate = ::path` | where a renamed mosaik is found; on both halves |
///
/// Generates, beside the type, `join(&network, key)`, for states with a `Default`, and
/// `join_with(&network, key, value)`; beside the `impl` block, `impl StateMachine`, the enums
/// `LedgerCommand`, `LedgerReply`, `LedgerQuery` and `LedgerAnswer`, and `LedgerHandle`: a `Group` with
/// the same methods as the block, which send at once and return what to await: what the method
/// returned, or a `CommandError` that says whether the command was applied, or a `QueryError`. The
/// guide's chapter on groups says what the group promises.
#[proc_macro_attribute]
pub fn group_state(attribute: TokenStream, item: TokenStream) -> TokenStream {
    group_state::group_state(attribute.into(), item.into()).into()
}

/// Adds serde's derives, through mosaik's own serde, to a type that travels inside others: nested
/// types, errors, keys and values.
///
/// ```ignore
/// #[mosaik::data]
/// #[derive(Debug, Clone)]
/// pub struct Position { pub x: f32, pub y: f32 }
/// ```
///
/// The only option is `crate = ::path`. What the binary format cannot carry is refused:
/// `skip_serializing_if`, `flatten`, `untagged`, `tag` and borrowed fields.
#[proc_macro_attribute]
pub fn data(attribute: TokenStream, item: TokenStream) -> TokenStream {
    data::data(attribute.into(), item.into()).into()
}

/// Makes a function the entry point of a program that is a node.
///
/// ```ignore
/// #[mosaik::main("my-app", tags = ["matcher"])]
/// async fn main(network: Network, args: Args) -> anyhow::Result<()> {
///     serve(network, args).await
/// }
/// ```
///
/// Builds the tokio runtime, reads flags and `MOSAIK_*` variables, starts logging, builds the
/// `Network` and runs the body; on Ctrl-C or SIGTERM the node leaves gracefully within 5 s. An
/// error is printed with its causes, and the exit code is then 1. `Args` is any
/// `clap::Parser` (by `use mosaik::clap;`): its flags and mosaik's stand in one `--help`, and a
/// flag of the same name is the program's own. Both parameters may be left out; `Network::current()`
/// then gives the network.
///
/// | Option | Meaning |
/// |---|---|
/// | `"my-app"` | the network's name unless `--network` gives another; else the package's name |
/// | `tags = ["matcher", TAG]` | what the node is tagged with |
/// | `offline = true` | uses no service on the internet unless `--offline=false` says otherwise |
/// | `data_dir = path()` | where the node keeps its key unless `--data-dir` says otherwise: a path or an `Option` of one |
/// | `log = "warn"` | what is logged unless `-v`, `MOSAIK_LOG` or `RUST_LOG` says otherwise; else `info` |
/// | `worker_threads = 4`, `flavor = "current_thread"` | as in `#[tokio::main]` |
/// | `crate = ::path` | where a renamed mosaik is found |
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    main::main(attribute.into(), item.into()).into()
}

/// Makes a function a test that is given connected nodes.
///
/// ```ignore
/// #[mosaik::network_test]
/// async fn they_meet(nodes: [Network; 3]) {
///     assert_eq!(nodes[0].discovery().catalog().peers_count(), 2);
/// }
///
/// #[mosaik::network_test(sim, seed = 7, seeds = 100)]
/// async fn they_survive_a_partition(nodes: [Network; 5]) {
///     nodes.partition(&[&[0, 1], &[2, 3, 4]]);
///     nodes.heal();
/// }
/// ```
///
/// Parameters are `Network` or `[Network; N]`, as many as one likes; all nodes know each other when
/// the body begins. The test fails after a time limit instead of hanging.
///
/// | Option | Meaning |
/// |---|---|
/// | `timeout = "10s"` | the time limit, times `TIME_FACTOR`; 30 s if not given. In a simulation it is simulated time, and 10 minutes |
/// | `sim` | on the simulated transport, in paused time, instead of sockets on loopback |
/// | `seed = 7` | the seed of the simulation; 0 if not given |
/// | `seeds = 100` | that many runs, each with the next seed |
/// | `crate = ::path` | where a renamed mosaik is found |
#[proc_macro_attribute]
pub fn network_test(attribute: TokenStream, item: TokenStream) -> TokenStream {
    network_test::network_test(attribute.into(), item.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn __id(tokens: TokenStream) -> TokenStream {
    ids::id(tokens.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn __declare_stream(tokens: TokenStream) -> TokenStream {
    declare::stream(tokens.into()).into()
}
