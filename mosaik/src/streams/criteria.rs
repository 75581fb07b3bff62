//! What a consumer wants of a stream.

use serde::{Deserialize, Serialize};

use crate::schema::Datum;

/// Which datums of a stream a consumer wants. At present there is nothing to choose: all of them.
///
/// It travels in the subscription, so that a later version can have conditions that the producer
/// applies before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Criteria {}

impl Criteria {
    /// Whether the consumer wants this datum: always.
    #[must_use]
    pub const fn matches<D: Datum>(&self, _datum: &D) -> bool {
        true
    }
}
