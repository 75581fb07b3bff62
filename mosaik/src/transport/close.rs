//! Why a connection or a stream ended: one table of codes for the whole of mosaik.
//!
//! The same numbers are used in QUIC's `CONNECTION_CLOSE`, `RESET_STREAM` and `STOP_SENDING`.
//! No code is zero: zero is what QUIC sends when a connection is merely dropped.

use std::fmt;

use iroh::endpoint::ApplicationClose;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why a connection was closed, or a stream on it refused or reset.
        ///
        /// Shown to users where a peer said no; on the wire it is the number alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CloseReason {
            $($(#[$doc])* $name,)*
            /// The peer fell silent: nothing was heard from it for the idle time.
            TimedOut,
            /// The connection failed below mosaik (QUIC or TLS).
            Failed,
            /// A code that this version does not know, from a newer peer.
            Unknown(u32),
        }

        impl CloseReason {
            /// The number on the wire; 0 for the two reasons that are never sent.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::TimedOut | Self::Failed => 0,
                    Self::Unknown(code) => code,
                }
            }

            /// The reason behind a number from the wire.
            #[must_use]
            pub const fn from_code(code: u32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    0 => Self::UnexpectedClose,
                    other => Self::Unknown(other),
                }
            }

            /// The name in this table.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::TimedOut => "TimedOut",
                    Self::Failed => "Failed",
                    Self::Unknown(_) => "Unknown",
                }
            }

            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

codes! {
    /// The peer asked for a protocol that is not served here.
    InvalidAlpn = 100,
    /// The peer is in another network, or does not know this one's secret.
    DifferentNetwork = 101,
    /// The other side gave the operation up.
    Cancelled = 102,
    /// The connection was dropped without a reason.
    UnexpectedClose = 103,
    /// Another connection between the same two peers is already in use.
    Duplicate = 104,
    /// A newer run of the same peer has taken its place.
    Superseded = 105,
    /// Nothing had used the connection for a while.
    Idle = 106,
    /// All is done.
    Success = 200,
    /// The peer is shutting down in an orderly way.
    GracefulShutdown = 204,
    /// The peer sent what the protocol does not allow.
    ProtocolViolation = 400,
    /// The peer speaks a version of this protocol that the other does not know.
    UnsupportedVersion = 402,
    /// The peer is not in the other's catalog.
    UnknownPeer = 401,
    /// Whoever takes part in the other's network needs a valid ticket, and the peer showed none.
    NoTicket = 403,
    /// The peer did not answer in time.
    Timeout = 408,
    /// The tickets that the other side requires have not reached it yet; ask again.
    TicketsPending = 425,
    /// The producer's conditions do not admit this consumer.
    NotAllowed = 10_403,
    /// The stream is not produced there (any more).
    StreamNotFound = 10_404,
    /// The two sides disagree on the shape of the stream's type.
    SchemaMismatch = 10_409,
    /// The consumer could not keep up.
    TooSlow = 10_413,
    /// The producer has as many consumers as it takes.
    NoCapacity = 10_509,
    /// There is no such group there, the key was not proved, or a ticket that the group requires
    /// is missing: which of them is not told.
    GroupRefused = 30_403,
    /// The two sides disagree on how the group is configured.
    GroupMismatch = 30_409,
    /// The two members have another bond already.
    AlreadyBonded = 30_429,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            0 => f.write_str(self.name()),
            code => write!(f, "{} ({code})", self.name()),
        }
    }
}

impl std::error::Error for CloseReason {}

/// As it is on the wire, beside the name as text.
impl From<CloseReason> for ApplicationClose {
    fn from(reason: CloseReason) -> Self {
        Self { error_code: reason.code().into(), reason: reason.name().into() }
    }
}

/// By the number alone.
impl From<ApplicationClose> for CloseReason {
    fn from(close: ApplicationClose) -> Self {
        let code = u32::try_from(close.error_code.into_inner());
        code.map_or(Self::UnexpectedClose, Self::from_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_same_after_it_was_a_close_of_quic() {
        for reason in CloseReason::ALL {
            let close = ApplicationClose::from(*reason);
            assert_eq!(close.reason, reason.name());
            assert_eq!(CloseReason::from(close), *reason);
        }
    }

    #[test]
    fn every_code_is_unique_and_finds_its_reason() {
        for reason in CloseReason::ALL {
            assert_ne!(reason.code(), 0, "{reason}");
            assert_eq!(CloseReason::from_code(reason.code()), *reason);
        }
    }

    #[test]
    fn an_unknown_code_is_kept_and_zero_means_a_dropped_connection() {
        assert_eq!(CloseReason::from_code(77).code(), 77);
        assert_eq!(CloseReason::from_code(0), CloseReason::UnexpectedClose);
        assert_eq!(CloseReason::NoCapacity.to_string(), "NoCapacity (10509)");
    }
}
