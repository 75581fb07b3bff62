//! What a `#[main]` function asks for.

use syn::{Expr, Lit, LitStr};

use super::parse::{ATTRIBUTE, FORM, Input};
use crate::{crate_path::CratePath, entry_fn::EntryFn, errors::Errors, intent::Id, values};

pub(super) struct Model {
    pub(super) krate: CratePath,
    /// The default of `--network`; `None` is the package's name.
    pub(super) network: Option<LitStr>,
    pub(super) worker_threads: Option<Expr>,
    pub(super) current_thread: bool,
    pub(super) tags: Vec<Tag>,
    pub(super) offline: Option<bool>,
    pub(super) data_dir: Option<Expr>,
    pub(super) log: Option<LitStr>,
    pub(super) function: EntryFn,
    /// Whether the function can be called as it is.
    pub(super) sound: bool,
}

pub(super) enum Tag {
    Literal(Id),
    Expr(Expr),
}

pub(super) fn model(input: Input, errors: &mut Errors) -> Model {
    let before = errors.count();
    input.function.check(ATTRIBUTE, FORM, errors);
    for extra in input.function.sig.inputs.iter().skip(2) {
        errors.at(
            extra,
            "expected `async fn main()`, `async fn main(network: Network)` or `async fn \
             main(network: Network, args: Args)`",
        );
    }
    let sound = errors.count() == before;
    let network = input.network.filter(|name| Id::read(name, "name", errors).is_some());
    let current_thread = input.flavor.as_ref().is_some_and(|flavor| {
        let value = flavor.value();
        if value != "current_thread" && value != "multi_thread" {
            errors.at(flavor, "`flavor` is \"multi_thread\" or \"current_thread\"");
        }
        value == "current_thread"
    });
    let worker_threads = input.worker_threads.filter(|threads| {
        if current_thread {
            errors.at(
                threads,
                "a \"current_thread\" runtime has no worker threads; remove one of the two",
            );
        }
        !current_thread
    });
    let tags = input.tags.into_iter().filter_map(|tag| read_tag(tag, errors)).collect();
    Model {
        krate: input.krate,
        network,
        worker_threads,
        current_thread,
        tags,
        offline: input.offline,
        data_dir: input.data_dir,
        log: input.log,
        function: input.function,
        sound,
    }
}

fn read_tag(expr: Expr, errors: &mut Errors) -> Option<Tag> {
    match values::literal(&expr) {
        Some(Lit::Str(text)) => Id::read(text, "tag", errors).map(Tag::Literal),
        Some(other) => {
            errors.at(other, "a tag is a string literal, or an expression such as a const's path");
            None
        }
        None => Some(Tag::Expr(expr)),
    }
}
