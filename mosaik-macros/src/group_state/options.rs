//! What stands in the brackets of `#[group_state(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, ExprPath, Lit, LitInt};

use crate::{
    crate_path::CratePath,
    errors::Errors,
    options::{Key, Options, Spec},
    values::{self, literal},
};

pub(super) const ATTRIBUTE: &str = "mosaik::group_state";
const QUORUM: &str = "quorum = 3";
const ON_RIVALS: &str = "on_rivals = \"keep-winner\"";
const STORAGE: &str = "storage = \"memory\"";
const MAX_VOTERS: &str = "max_voters = 5";
const SNAPSHOT_EVERY: &str = "snapshot_every = 20_000";
const REQUIRE_TICKET: &str = "require_ticket = StaffOnly";
const CONSENSUS: &str = "consensus = ConsensusConfig::fast()";
const VERSION: &str = "version = 2";
const THREE_WAYS: &str = "say who must agree, in one of three ways:\n\
    - `quorum = 3`: three members found the group, and a majority decides ever after; below it, \
    the group stops\n\
    - `quorum = elastic, on_rivals = \"keep-winner\"`: one member is enough to begin; of two \
    groups that were founded apart, one is kept when they meet\n\
    - `quorum = elastic` with a `merge` method: as above, and the two become one (comes with a \
    later version)";

/// How many voters a group has unless it says otherwise, as in the runtime.
const DEFAULT_MAX_VOTERS: u64 = 5;

const SPEC: Spec = Spec {
    attribute: ATTRIBUTE,
    intent: true,
    keys: &[
        Key::expr("quorum", QUORUM),
        Key::expr("on_rivals", ON_RIVALS),
        Key::expr("storage", STORAGE),
        Key::expr("max_voters", MAX_VOTERS),
        Key::expr("snapshot_every", SNAPSHOT_EVERY),
        Key::exprs("require_ticket", REQUIRE_TICKET),
        Key::expr("consensus", CONSENSUS),
        Key::expr("version", VERSION),
        Key::expr("serde", "serde = false"),
        Key::CRATE,
    ],
};

/// What is said above the type.
pub(super) struct Settings {
    pub(super) quorum: Quorum,
    pub(super) storage: Option<Storage>,
    pub(super) max_voters: Option<Expr>,
    pub(super) snapshot_every: Option<Expr>,
    pub(super) require_ticket: Vec<Expr>,
    pub(super) consensus: Option<Expr>,
    pub(super) version: Option<Expr>,
    pub(super) serde: bool,
}

pub(super) enum Quorum {
    Strict(Expr),
    /// With keep-winner, the only rule for rivals so far.
    Elastic,
    /// Reported.
    Unknown,
}

pub(super) enum Storage {
    Memory,
}

/// Reads the list above a type.
pub(super) fn of_definition(tokens: TokenStream, errors: &mut Errors) -> (Options, Settings) {
    let options = Options::read(tokens, &SPEC, errors);
    let count = |name, example, errors: &mut Errors| {
        values::count(options.expr(name)?, name, example, errors).cloned()
    };
    let max_voters = count("max_voters", MAX_VOTERS, errors);
    let settings = Settings {
        quorum: quorum(&options, max_voters.as_ref(), errors),
        storage: options.expr("storage").and_then(|expr| storage(expr, errors)),
        snapshot_every: count("snapshot_every", SNAPSHOT_EVERY, errors),
        require_ticket: options
            .exprs("require_ticket")
            .filter_map(|expr| {
                values::validator(expr, "require_ticket", REQUIRE_TICKET, errors).cloned()
            })
            .collect(),
        consensus: options.expr("consensus").and_then(|expr| consensus(expr, errors)),
        version: options.expr("version").and_then(|expr| version(expr, errors)),
        serde: options
            .expr("serde")
            .and_then(|expr| values::boolean(expr, "serde", errors))
            .unwrap_or(true),
        max_voters,
    };
    (options, settings)
}

/// Reads the list above an `impl` block, where only the crate's path may stand.
pub(super) fn of_methods(tokens: TokenStream, errors: &mut Errors) -> CratePath {
    let options = Options::read(tokens, &SPEC, errors);
    if let Some(intent) = &options.intent {
        errors.at(intent, "the name stands above the type, not above its methods; remove it here");
    }
    for key in SPEC.keys.iter().filter(|key| key.name != "crate") {
        if let Some(name) = options.key(key.name) {
            errors.at(
                name,
                format!("`{name}` stands above the type, not above its methods; remove it here"),
            );
        }
    }
    CratePath::new(options.crate_path())
}

fn quorum(options: &Options, max_voters: Option<&Expr>, errors: &mut Errors) -> Quorum {
    let rivals = options.expr("on_rivals").map(|expr| keeps_winner(expr, errors));
    let Some(expr) = options.expr("quorum") else {
        // One in a wrong form is reported already.
        if options.lacks("quorum") {
            errors.at_span(Span::call_site(), THREE_WAYS);
        }
        return Quorum::Unknown;
    };
    match (is_elastic(expr, errors), rivals) {
        (true, Some(_)) => Quorum::Elastic,
        (true, None) => {
            errors.at(
                expr,
                "founders of an elastic group that have not met yet both go on: say what becomes \
                 of the two groups when they meet: `on_rivals = \"keep-winner\"` (a `merge` \
                 method comes with a later version)",
            );
            Quorum::Elastic
        }
        (false, Some(_)) => {
            errors.at(
                options.key("on_rivals"),
                "`on_rivals` goes with `quorum = elastic`: founders of a fixed number have no \
                 rivals; remove it",
            );
            strict(expr, max_voters, errors)
        }
        (false, None) => strict(expr, max_voters, errors),
    }
}

fn is_elastic(expr: &Expr, errors: &mut Errors) -> bool {
    match expr {
        Expr::Path(ExprPath { qself: None, path, .. }) => path.is_ident("elastic"),
        Expr::Group(group) => is_elastic(&group.expr, errors),
        _ => match literal(expr) {
            Some(Lit::Str(text)) if text.value() == "elastic" => {
                errors.at(expr, "write `quorum = elastic`, without quotes");
                true
            }
            _ => false,
        },
    }
}

/// A number of founders. What is no literal is the compiler's to judge, and the builder's.
fn strict(expr: &Expr, max_voters: Option<&Expr>, errors: &mut Errors) -> Quorum {
    match literal(expr) {
        Some(Lit::Int(int)) if !matches!(expr, Expr::Unary(_)) => founders(int, max_voters, errors),
        Some(_) => {
            errors.at(
                expr,
                format!("a quorum is a number of members or `elastic`: write `{QUORUM}`"),
            );
            return Quorum::Unknown;
        }
        None => {}
    }
    Quorum::Strict(expr.clone())
}

fn founders(int: &LitInt, max_voters: Option<&Expr>, errors: &mut Errors) {
    let limit = match max_voters.map(literal) {
        None => Some(DEFAULT_MAX_VOTERS),
        Some(Some(Lit::Int(limit))) => limit.base10_parse().ok(),
        Some(_) => None,
    };
    let Ok(count) = int.base10_parse::<u64>() else { return };
    if count == 0 {
        errors.at(int, format!("a quorum is at least 1: write `{QUORUM}`"));
    } else if count.is_multiple_of(2) {
        errors.at(
            int,
            format!(
                "a quorum is an odd number of members, since {count} can lose no more of them than \
                 {below}: write `quorum = {below}` or `quorum = {above}`",
                below = count - 1,
                above = count.saturating_add(1),
            ),
        );
    } else if let Some(limit) = limit.filter(|limit| count > *limit) {
        errors.at(
            int,
            format!(
                "the quorum is larger than `max_voters`, which is {limit}: write `max_voters = \
                 {count}` as well"
            ),
        );
    }
}

fn keeps_winner(expr: &Expr, errors: &mut Errors) {
    let Some(text) = values::text(expr, ON_RIVALS, errors) else { return };
    match text.value().as_str() {
        "keep-winner" => {}
        "merge" => errors.at(
            text,
            "merging rivals comes with a later version: write `on_rivals = \"keep-winner\"`",
        ),
        _ => errors.at(text, "`on_rivals` is `\"keep-winner\"`"),
    }
}

fn storage(expr: &Expr, errors: &mut Errors) -> Option<Storage> {
    let text = values::text(expr, STORAGE, errors)?;
    match text.value().as_str() {
        "memory" => return Some(Storage::Memory),
        "disk" => errors
            .at(text, format!("storage on disk comes with a later version: write `{STORAGE}`")),
        _ => errors.at(text, "`storage` is `\"memory\"`"),
    }
    None
}

fn consensus(expr: &Expr, errors: &mut Errors) -> Option<Expr> {
    if literal(expr).is_none() {
        return Some(expr.clone());
    }
    errors.at(expr, format!("`consensus` is a `ConsensusConfig`: write `{CONSENSUS}`"));
    None
}

fn version(expr: &Expr, errors: &mut Errors) -> Option<Expr> {
    match literal(expr) {
        None => return Some(expr.clone()),
        Some(Lit::Int(int)) if !matches!(expr, Expr::Unary(_)) => match int.base10_parse::<u32>() {
            Ok(_) => return Some(expr.clone()),
            Err(_) => errors.at(expr, "a version fits in 32 bits"),
        },
        Some(_) => errors.at(expr, format!("`version` is a whole number: write `{VERSION}`")),
    }
    None
}
