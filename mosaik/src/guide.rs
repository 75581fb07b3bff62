//! How the parts work, chapter by chapter. Exists in the documentation only.

#[doc = include_str!("../docs/networks.md")]
pub mod networks {}

#[doc = include_str!("../docs/discovery.md")]
pub mod discovery {}

#[doc = include_str!("../docs/streams.md")]
pub mod streams {}

#[doc = include_str!("../docs/groups.md")]
pub mod groups {}

#[doc = include_str!("../docs/tickets.md")]
pub mod tickets {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/metrics.md")]
#[cfg(feature = "prometheus")]
pub mod metrics {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}
