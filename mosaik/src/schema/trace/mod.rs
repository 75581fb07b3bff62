//! Learns what a type looks like on the wire by watching its serde `Deserialize` at work.
//!
//! `T::deserialize` is run against a deserializer that answers every question with a sample value
//! and writes down what it was asked for. One run shows only so much (one variant of an enum, and
//! nothing behind a value that the type refuses), so there are several *passes*; what each learns
//! about the questions and about which answers were refused is kept in a [`Plan`], until a pass
//! learns nothing new. Nothing is needed from the type but `Deserialize`, nested and foreign types
//! included, and serde's attributes are respected by construction.
//!
//! - Types are told apart by [`std::any::type_name`], which distinguishes generic types where
//!   serde's names do not. It is used within a trace only and never gets out.
//! - In one pass a type is *explored* where it is met first. Wherever else it occurs, within itself
//!   above all, it gets the smallest value that is known to work: `None`, an empty list, the enum's
//!   first variant that could be built.
//! - Structs are fed as maps, field by field, so that a field whose value is refused can be left out
//!   and does not hide those after it.

mod access;
mod answer;
mod build;
mod plan;
mod samples;
mod stop;

#[cfg(test)]
mod tests;

use std::{
    any::TypeId,
    cell::RefCell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use serde::de::DeserializeOwned;

use super::Schema;
use answer::Tracer;
use plan::Plan;
use stop::Stop;

static TRACED: LazyLock<RwLock<HashMap<TypeId, Arc<Schema>>>> = LazyLock::new(RwLock::default);

/// What `T` looks like on the wire. Traced once in a process, then kept.
///
/// The first call for a type takes some microseconds, a millisecond for large types. It runs the
/// type's `Deserialize` on made-up values; a panic in there is caught (the panic hook still
/// reports it) and taken for a refusal.
pub fn schema_of<T: DeserializeOwned + 'static>() -> Arc<Schema> {
    let id = TypeId::of::<T>();
    if let Some(schema) = TRACED.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Arc::clone(schema);
    }
    // Traced without the lock, since this runs code of the user's. Two threads may do it at once;
    // they get the same.
    let schema = Arc::new(trace::<T>());
    let mut traced = TRACED.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(traced.entry(id).or_insert(schema))
}

fn trace<T: DeserializeOwned>() -> Schema {
    let plan = RefCell::new(Plan::default());
    while plan.borrow_mut().begin_pass() {
        let pass = AssertUnwindSafe(|| T::deserialize(Tracer::at_root(&plan)).map(drop));
        match catch_unwind(pass) {
            Ok(Err(Stop::Refused)) => plan.borrow_mut().blame_value_since(0),
            Ok(_) => {}
            Err(_panic) => plan.borrow_mut().panicked(),
        }
    }
    build::schema(&plan.into_inner())
}
