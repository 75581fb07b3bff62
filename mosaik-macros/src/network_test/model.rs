//! What a `#[network_test]` function asks for.

use std::time::Duration;

use proc_macro2::Ident;

use super::parse::{ATTRIBUTE, FORM, Input};
use crate::{crate_path::CratePath, entry_fn::EntryFn, errors::Errors};

pub(super) struct Model {
    pub(super) krate: CratePath,
    pub(super) simulation: Option<Simulation>,
    pub(super) timeout: Option<Duration>,
    pub(super) function: EntryFn,
    /// Whether the function can be called as it is.
    pub(super) sound: bool,
}

pub(super) struct Simulation {
    pub(super) first_seed: u64,
    pub(super) runs: u64,
}

pub(super) fn model(input: Input, errors: &mut Errors) -> Model {
    let before = errors.count();
    input.function.check(ATTRIBUTE, FORM, errors);
    if input.function.sig.inputs.is_empty() {
        errors.at(
            &input.function.sig.ident,
            format!(
                "a network test is given nodes: write `{FORM}` or `async fn name(network: Network)`"
            ),
        );
    }
    let sound = errors.count() == before;
    let needs_sim = |given: Option<&(Ident, u64)>, errors: &mut Errors| {
        if let Some((key, _)) = given.filter(|_| !input.sim) {
            errors.at(key, format!("`{key}` needs `sim`: only simulated networks are seeded"));
        }
    };
    needs_sim(input.seed.as_ref(), errors);
    needs_sim(input.seeds.as_ref(), errors);
    if let Some((key, 0)) = &input.seeds {
        errors.at(key, "`seeds` is the number of runs, at least 1");
    }
    let simulation = input.sim.then(|| Simulation {
        first_seed: input.seed.map_or(0, |(_, seed)| seed),
        runs: input.seeds.map_or(1, |(_, runs)| runs),
    });
    Model {
        krate: input.krate,
        simulation,
        timeout: input.timeout,
        function: input.function,
        sound,
    }
}
