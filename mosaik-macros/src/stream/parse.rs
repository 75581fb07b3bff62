//! Reads `#[stream(…)]` and its item.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, LitStr, Type};

use crate::{
    channel::{ConsumerEnd, OnLag, ProducerEnd},
    crate_path::CratePath,
    errors::Errors,
    options::{Key, Options, Spec},
    type_item::TypeItem,
    values,
};

const REQUIRE: &str = "require = |peer| peer.tags().contains(&TRUSTED)";
const ON_LAG: &str = "on_lag = \"drop-oldest\"";
const REQUIRE_TICKET: &str = "require_ticket = StaffOnly";
const ONLINE_WHEN: &str = "online_when = |c| c.minimum_of(2)";

/// What may also be said of one side alone.
const SIDE: &[Key] = &[
    Key::exprs("require", REQUIRE),
    Key::exprs("require_ticket", REQUIRE_TICKET),
    Key::expr("online_when", ONLINE_WHEN),
];

const SPEC: Spec = Spec {
    attribute: "mosaik::stream",
    intent: true,
    keys: &[
        Key::expr("buffer", "buffer = 1024"),
        Key::expr("on_lag", ON_LAG),
        Key::expr("retain", "retain = 20"),
        Key::expr("max_consumers", "max_consumers = 8"),
        Key::expr("online_when", ONLINE_WHEN),
        Key::exprs("require", REQUIRE),
        Key::exprs("require_ticket", REQUIRE_TICKET),
        Key::group("producer", SIDE, "producer(online_when = |c| c.minimum_of(2))"),
        Key::group("consumer", SIDE, "consumer(require = |peer| peer.tags().contains(&TRUSTED))"),
        Key::ty("datum", "datum = Price"),
        Key::expr("constructors", "constructors = false"),
        Key::expr("serde", "serde = false"),
        Key::CRATE,
    ],
};

pub(super) struct Input {
    pub(super) krate: CratePath,
    pub(super) intent: Option<LitStr>,
    pub(super) datum: Option<Datum>,
    pub(super) producer: ProducerEnd,
    pub(super) consumer: ConsumerEnd,
    pub(super) constructors: bool,
    pub(super) serde: bool,
    pub(super) item: TypeItem,
}

/// `datum = Type`, and where it stands.
pub(super) struct Datum {
    pub(super) ty: Type,
    pub(super) key: Span,
}

pub(super) fn parse(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<Input> {
    let options = Options::read(attribute, &SPEC, errors);
    let item = TypeItem::read(item, SPEC.attribute, errors)?;
    let flag = |name, errors: &mut Errors| {
        options.expr(name).and_then(|expr| values::boolean(expr, name, errors)).unwrap_or(true)
    };
    let both = side(&options, errors);
    let of_producer = options.group("producer").map(|group| side(group, errors));
    let of_consumer = options.group("consumer").map(|group| side(group, errors));
    let count = |name, example, errors: &mut Errors| {
        let expr = options.expr(name)?;
        values::count(expr, name, example, errors).cloned()
    };
    let buffer = count("buffer", "buffer = 1024", errors);
    let on_lag = options.expr("on_lag").and_then(|expr| on_lag(expr, errors));
    let retain = count("retain", "retain = 20", errors);
    let max_consumers = count("max_consumers", "max_consumers = 8", errors);
    // A side's `require` and `require_ticket` say what that side must satisfy, so the other side
    // checks it.
    let Side { require, require_ticket, online_when } =
        merge(&both, of_consumer.as_ref(), of_producer.as_ref());
    let producer = ProducerEnd {
        buffer,
        on_lag,
        disconnect_lagging: None,
        retain,
        max_consumers,
        require,
        require_ticket,
        online_when,
    };
    let Side { require, require_ticket, online_when } =
        merge(&both, of_producer.as_ref(), of_consumer.as_ref());
    let consumer =
        ConsumerEnd { criteria: None, backoff: None, require, require_ticket, online_when };
    Some(Input {
        krate: CratePath::new(options.crate_path()),
        intent: options.intent.clone(),
        datum: options.ty("datum").map(|ty| Datum {
            ty: ty.clone(),
            key: options.key("datum").map_or_else(Span::call_site, proc_macro2::Ident::span),
        }),
        producer,
        consumer,
        constructors: flag("constructors", errors),
        serde: flag("serde", errors),
        item,
    })
}

fn on_lag(expr: &Expr, errors: &mut Errors) -> Option<OnLag> {
    let text = values::text(expr, ON_LAG, errors)?;
    match text.value().as_str() {
        "block" => Some(OnLag::Block),
        "drop-oldest" => Some(OnLag::DropOldest),
        "disconnect" => Some(OnLag::Disconnect),
        _ => {
            errors.at(text, "`on_lag` is `\"block\"`, `\"drop-oldest\"` or `\"disconnect\"`");
            None
        }
    }
}

struct Side {
    require: Vec<Expr>,
    require_ticket: Vec<Expr>,
    online_when: Option<Expr>,
}

fn side(options: &Options, errors: &mut Errors) -> Side {
    let require = options
        .exprs("require")
        .filter_map(|expr| values::callable(expr, "require", REQUIRE, errors).cloned())
        .collect();
    let require_ticket = options
        .exprs("require_ticket")
        .filter_map(|expr| {
            values::validator(expr, "require_ticket", REQUIRE_TICKET, errors).cloned()
        })
        .collect();
    let online_when = options
        .expr("online_when")
        .and_then(|expr| values::callable(expr, "online_when", ONLINE_WHEN, errors).cloned());
    Side { require, require_ticket, online_when }
}

/// What is said of both sides, then what the other side must satisfy and what holds for this one.
fn merge(both: &Side, required: Option<&Side>, own: Option<&Side>) -> Side {
    let all = |of: fn(&Side) -> &Vec<Expr>| {
        let required = required.into_iter().flat_map(of);
        of(both).iter().chain(required).cloned().collect()
    };
    let online_when = own.and_then(|side| side.online_when.as_ref()).or(both.online_when.as_ref());
    Side {
        require: all(|side| &side.require),
        require_ticket: all(|side| &side.require_ticket),
        online_when: online_when.cloned(),
    }
}
