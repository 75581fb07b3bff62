//! How changes spread: a protocol value over our own streams, every frame checked first.

mod announcement;
mod frame;
mod limits;
mod overlay;
#[cfg(test)]
mod tests;

pub(crate) use announcement::{Announcement, Due, Schedule};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use frame::samples;
pub(crate) use overlay::{Effect, Overlay};

/// The largest frame that a reader accepts, in bytes.
pub(crate) const MAX_FRAME_BYTES: usize = frame::MAX_FRAME_BYTES;
