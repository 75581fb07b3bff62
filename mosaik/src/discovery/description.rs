//! What ids stand for: names and schemas are not gossiped, but told to whoever asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{id::UniqueId, schema::Schema};

/// The most that the answer to a question about an id may take, encoded, in bytes.
const MAX_BYTES: usize = 60 * 1024;
/// The longest name, in bytes.
const MAX_INTENT_BYTES: usize = 1024;

/// What an id stands for, as the peer that uses it says: the name that it was derived from, and
/// what its data look like on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    intent: String,
    schema: Option<Schema>,
}

impl Description {
    /// A name alone, cut to 1 KiB.
    pub fn new(intent: impl Into<String>) -> Self {
        let mut intent = intent.into();
        let end = (0..=MAX_INTENT_BYTES.min(intent.len())).rev();
        intent.truncate(end.into_iter().find(|&end| intent.is_char_boundary(end)).unwrap_or(0));
        Self { intent, schema: None }
    }

    /// With a schema, if it is not too large to be told.
    pub(crate) fn with_schema(self, schema: Option<Arc<Schema>>) -> Self {
        let schema = schema.map(Arc::unwrap_or_clone);
        let fits = |schema: &Schema| {
            schema.to_send().is_some_and(|bytes| bytes.len() + self.intent.len() <= MAX_BYTES)
        };
        Self { schema: schema.filter(fits), ..self }
    }

    /// The name that the id was derived from.
    pub fn intent(&self) -> &str {
        &self.intent
    }

    /// What the data look like on the wire; `None` if they are opaque, or the schema is larger
    /// than 60 KiB or has more than 1,024 structs and enums.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }
}

/// What this node can say about ids.
#[derive(Debug, Default)]
pub(super) struct Descriptions(Mutex<HashMap<UniqueId, Description>>);

impl Descriptions {
    pub(super) fn insert(&self, id: UniqueId, description: Description) {
        self.lock().insert(id, description);
    }

    pub(super) fn remove(&self, id: &UniqueId) {
        self.lock().remove(id);
    }

    pub(super) fn get(&self, id: &UniqueId) -> Option<Description> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UniqueId, Description>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{self, schema_of};

    #[test]
    fn a_name_is_cut_between_characters() {
        let long = Description::new("ü".repeat(MAX_INTENT_BYTES));
        assert_eq!(long.intent().len(), MAX_INTENT_BYTES);
        let odd = Description::new(format!("x{}", "ü".repeat(MAX_INTENT_BYTES)));
        assert_eq!(odd.intent().len(), MAX_INTENT_BYTES - 1);
    }

    #[test]
    fn a_description_comes_out_as_it_went_in() {
        let schema = schema_of::<(u8, String)>();
        let description = Description::new("pairs").with_schema(Some(schema));
        assert!(description.schema().is_some());
        let bytes = schema::encode(&description).unwrap();
        assert_eq!(schema::decode::<Description>(&bytes).unwrap(), description);
    }
}
