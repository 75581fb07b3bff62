//! Deliberate faults, so that the campaigns can be seen to find them.
//!
//! They exist only in tests and with the feature `faults`, and are of the thread that has switched
//! one on: a simulation runs in one thread, and others beside it stay sound.

use std::{cell::Cell, fmt, str::FromStr};

thread_local! {
    static PRESENT: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Something that is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A leader counts what it has sent to a follower as stored there.
    AcknowledgesEarly,
    /// A leader answers strong reads without asking a quorum whether it still leads.
    ReadsUnchecked,
    /// Snapshots are without the table of sessions.
    ForgetsSessions,
    /// A founder that loses sight of its leader forgets what it has granted to it, and stored, and
    /// founds again.
    ForgetsGrants,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AcknowledgesEarly, Self::ReadsUnchecked, Self::ForgetsSessions, Self::ForgetsGrants];

    /// Its name on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgesEarly => "acknowledges-early",
            Self::ReadsUnchecked => "reads-unchecked",
            Self::ForgetsSessions => "forgets-sessions",
            Self::ForgetsGrants => "forgets-grants",
        }
    }

    /// Does it wrong on this thread from here on, until the result is dropped.
    #[must_use = "it ends when this is dropped"]
    pub fn begin(self) -> Begun {
        Begun(PRESENT.replace(Some(self)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no fault of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault is called `{0}`")]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

/// Ends a fault when it is dropped.
#[derive(Debug)]
pub struct Begun(Option<Fault>);

impl Drop for Begun {
    fn drop(&mut self) {
        PRESENT.set(self.0);
    }
}

/// Whether this is to be done wrong here.
pub(crate) fn is_present(fault: Fault) -> bool {
    PRESENT.get() == Some(fault)
}
