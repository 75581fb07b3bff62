//! What a declaration says: which end is configured by which entry.

use syn::{Attribute, Expr, Ident, Lit};

use super::parse::{Declaration, Entry, Side};
use crate::{
    channel::{Channel, ChannelId, ConsumerEnd, ProducerEnd},
    errors::Errors,
    intent::Intent,
    values,
};

const KEYS: &str = "require, require_ticket, online_when, max_consumers, buffer_size, \
     disconnect_lagging, criteria, backoff";

pub(super) struct Model {
    pub(super) attrs: Vec<Attribute>,
    pub(super) channel: Channel,
}

pub(super) fn model(declaration: Declaration, errors: &mut Errors) -> Model {
    let mut ends = Ends::default();
    for entry in declaration.entries {
        ends.apply(entry, declaration.side, errors);
    }
    let name = declaration.name;
    let id = match declaration.id {
        Some(expr) => channel_id(expr, &name, errors),
        None => ChannelId::OfDatum,
    };
    let has = |side| declaration.side.is_none_or(|only| only == side);
    let channel = Channel {
        krate: declaration.krate,
        vis: declaration.vis,
        name,
        generics: declaration.generics,
        carries_parameters: false,
        id,
        datum: Some(declaration.datum),
        producer: has(Side::Producer).then_some(ends.producer),
        consumer: has(Side::Consumer).then_some(ends.consumer),
        constructors: true,
    };
    Model { attrs: declaration.attrs, channel }
}

/// A refused literal is replaced by the name that an attribute would give.
fn channel_id(expr: Expr, name: &Ident, errors: &mut Errors) -> ChannelId {
    match values::literal(&expr) {
        Some(Lit::Str(text)) => ChannelId::Named(Intent::of(Some(text), "id", name, errors)),
        Some(other) => {
            errors.at(other, "an id is a string literal, or an expression such as a const's path");
            ChannelId::Named(Intent::of(None, "id", name, errors))
        }
        None => ChannelId::Expr(expr),
    }
}

/// Both ends while the entries are read.
#[derive(Default)]
struct Ends {
    producer: ProducerEnd,
    consumer: ConsumerEnd,
}

impl Ends {
    fn apply(&mut self, entry: Entry, only: Option<Side>, errors: &mut Errors) {
        let Entry { side, key, value } = entry;
        let Some(sides) = configured(&key, side.as_ref(), only, errors) else { return };
        let callable = |name, example, errors: &mut Errors| {
            values::callable(&value, name, example, errors).cloned()
        };
        let count = |name, example, errors: &mut Errors| {
            values::count(&value, name, example, errors).cloned()
        };
        let (producer, consumer) = (&mut self.producer, &mut self.consumer);
        match key.to_string().as_str() {
            "require" => {
                let example = "require: |peer| peer.tags().contains(&TRUSTED)";
                let Some(value) = callable("require", example, errors) else { return };
                for side in sides {
                    match side {
                        Side::Producer => producer.require.push(value.clone()),
                        Side::Consumer => consumer.require.push(value.clone()),
                    }
                }
            }
            "require_ticket" => {
                let example = "require_ticket: StaffOnly";
                let value = values::validator(&value, "require_ticket", example, errors);
                let Some(value) = value else { return };
                for side in sides {
                    match side {
                        Side::Producer => producer.require_ticket.push(value.clone()),
                        Side::Consumer => consumer.require_ticket.push(value.clone()),
                    }
                }
            }
            "online_when" => {
                let example = "online_when: |c| c.minimum_of(2)";
                let Some(value) = callable("online_when", example, errors) else { return };
                for side in sides {
                    let slot = match side {
                        Side::Producer => &mut producer.online_when,
                        Side::Consumer => &mut consumer.online_when,
                    };
                    set(slot, value.clone(), &key, errors);
                }
            }
            "max_consumers" => {
                let Some(value) = count("max_consumers", "max_consumers: 8", errors) else {
                    return;
                };
                set(&mut producer.max_consumers, value, &key, errors);
            }
            "buffer_size" => {
                let Some(value) = count("buffer_size", "buffer_size: 1024", errors) else { return };
                set(&mut producer.buffer, value, &key, errors);
            }
            "disconnect_lagging" => set(&mut producer.disconnect_lagging, value, &key, errors),
            "backoff" => set(&mut consumer.backoff, value, &key, errors),
            _ => set(&mut consumer.criteria, value, &key, errors),
        }
    }
}

fn set(slot: &mut Option<Expr>, value: Expr, key: &Ident, errors: &mut Errors) {
    if slot.is_some() {
        errors.at(key, format!("`{key}` is given twice"));
    } else {
        *slot = Some(value);
    }
}

/// The ends that an entry configures; `None` after an error.
///
/// A prefix of `require` or `require_ticket` names who must satisfy it, so the other end checks
/// it; any other prefix names the end that is configured.
fn configured(
    key: &Ident,
    side: Option<&(Side, Ident)>,
    only: Option<Side>,
    errors: &mut Errors,
) -> Option<Vec<Side>> {
    let written = side.map(|(side, _)| *side);
    let (owner, ends) = match key.to_string().as_str() {
        "require" | "require_ticket" => (None, written.map(Side::other)),
        "online_when" => (None, written),
        "max_consumers" | "buffer_size" | "disconnect_lagging" => {
            (Some(Side::Producer), Some(Side::Producer))
        }
        "criteria" | "backoff" => (Some(Side::Consumer), Some(Side::Consumer)),
        _ => {
            errors.at(key, format!("unknown key `{key}`; expected one of: {KEYS}"));
            return None;
        }
    };
    if let (Some(owner), Some((written, word))) = (owner, side)
        && owner != *written
    {
        let owner = owner.name();
        errors.at(word, format!("`{key}` configures the {owner}: remove `{word}`"));
        return None;
    }
    let all = ends.map_or_else(|| vec![Side::Producer, Side::Consumer], |end| vec![end]);
    if let (Some(only), Some(end)) = (only, ends)
        && only != end
    {
        let is_checked = key == "require" || key == "require_ticket";
        let does = if is_checked { "is checked by" } else { "configures" };
        let (end, only) = (end.name(), only.name());
        errors.at(key, format!("this {does} the {end}, and only the {only} is declared"));
        return None;
    }
    Some(all)
}
