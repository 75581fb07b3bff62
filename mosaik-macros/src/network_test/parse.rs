//! Reads `#[network_test(…)]` and its function.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};

use crate::{
    crate_path::CratePath,
    entry_fn::EntryFn,
    errors::Errors,
    options::{Key, Options, Spec},
    values,
};

pub(super) const ATTRIBUTE: &str = "mosaik::network_test";
pub(super) const FORM: &str = "async fn name(nodes: [Network; 3])";

const SEED: &str = "seed = 7";
pub(super) const SEEDS: &str = "seeds = 100";
const TIMEOUT: &str = "timeout = \"10s\"";

const SPEC: Spec = Spec {
    attribute: ATTRIBUTE,
    intent: false,
    keys: &[
        Key::flag("sim"),
        Key::expr("seed", SEED),
        Key::expr("seeds", SEEDS),
        Key::expr("timeout", TIMEOUT),
        Key::CRATE,
    ],
};

pub(super) struct Input {
    pub(super) krate: CratePath,
    pub(super) sim: bool,
    pub(super) seed: Option<(Ident, u64)>,
    pub(super) seeds: Option<(Ident, u64)>,
    pub(super) timeout: Option<Duration>,
    pub(super) function: EntryFn,
}

pub(super) fn parse(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<Input> {
    let options = Options::read(attribute, &SPEC, errors);
    let function = EntryFn::read(item, ATTRIBUTE, FORM, errors)?;
    let number = |name, example, errors: &mut Errors| {
        let value = values::integer(options.expr(name)?, example, errors)?;
        Some((options.key(name)?.clone(), value))
    };
    Some(Input {
        krate: CratePath::new(options.crate_path()),
        sim: options.key("sim").is_some(),
        seed: number("seed", SEED, errors),
        seeds: number("seeds", SEEDS, errors),
        timeout: options.expr("timeout").and_then(|expr| values::duration(expr, TIMEOUT, errors)),
        function,
    })
}
