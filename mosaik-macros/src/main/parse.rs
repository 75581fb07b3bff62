//! Reads `#[main(…)]` and its function.

use proc_macro2::TokenStream;
use syn::{Expr, LitStr};

use crate::{
    crate_path::CratePath,
    entry_fn::EntryFn,
    errors::Errors,
    options::{Key, Options, Spec},
    values,
};

pub(super) const ATTRIBUTE: &str = "mosaik::main";
pub(super) const FORM: &str = "async fn main(network: Network)";

const TAGS: &str = "tags = [\"matcher\"]";
const FLAVOR: &str = "flavor = \"current_thread\"";
const DATA_DIR: &str = "data_dir = path()";
const OFFLINE: &str = "offline = true";
const LOG: &str = "log = \"warn\"";
const WORKER_THREADS: &str = "worker_threads = 4";

const SPEC: Spec = Spec {
    attribute: ATTRIBUTE,
    intent: true,
    keys: &[
        Key::expr("worker_threads", WORKER_THREADS),
        Key::expr("flavor", FLAVOR),
        Key::expr("tags", TAGS),
        Key::expr("offline", OFFLINE),
        Key::expr("data_dir", DATA_DIR),
        Key::expr("log", LOG),
        Key::CRATE,
    ],
};

pub(super) struct Input {
    pub(super) krate: CratePath,
    pub(super) network: Option<LitStr>,
    pub(super) worker_threads: Option<Expr>,
    pub(super) flavor: Option<LitStr>,
    pub(super) tags: Vec<Expr>,
    pub(super) offline: Option<bool>,
    pub(super) data_dir: Option<Expr>,
    pub(super) log: Option<LitStr>,
    pub(super) function: EntryFn,
}

pub(super) fn parse(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<Input> {
    let options = Options::read(attribute, &SPEC, errors);
    let function = EntryFn::read(item, ATTRIBUTE, FORM, errors)?;
    let worker_threads = options
        .expr("worker_threads")
        .and_then(|expr| values::count(expr, "worker_threads", WORKER_THREADS, errors).cloned());
    let flavor =
        options.expr("flavor").and_then(|expr| values::text(expr, FLAVOR, errors).cloned());
    let tags = options
        .expr("tags")
        .map(|expr| values::array(expr, TAGS, errors).cloned().collect())
        .unwrap_or_default();
    let offline = options.expr("offline").and_then(|expr| values::boolean(expr, "offline", errors));
    let log = options.expr("log").and_then(|expr| values::text(expr, LOG, errors).cloned());
    Some(Input {
        krate: CratePath::new(options.crate_path()),
        network: options.intent.clone(),
        worker_threads,
        flavor,
        tags,
        offline,
        data_dir: options.expr("data_dir").cloned(),
        log,
        function,
    })
}
