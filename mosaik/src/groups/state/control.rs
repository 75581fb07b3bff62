//! What a group agrees upon for itself.

use serde::{Deserialize, Serialize};

use super::session::SessionId;
use crate::{
    groups::{index::Index, member::IncarnationId},
    id::PeerId,
};

/// An entry that is no command of a caller. It consumes no application index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Control {
    /// A process of this peer will send commands under this session. The peer's others end.
    OpenSession { session: SessionId, peer: PeerId },
    /// The peer's sessions end.
    EndSessions { peer: PeerId },
    /// All founders have stored their first entry: from here on commands are taken.
    Open,
    /// The founding has failed; nothing is applied after this.
    Dissolve,
    /// Members compare their states here.
    Checkpoint,
    /// The command at this index, which makes the machine panic, is not applied.
    Skip { index: Index },
    /// The incarnation to which this one has yielded is gone: commands are applied again.
    Resume,
    /// Another incarnation has won; nothing is applied after this.
    Yield { winner: IncarnationId },
}
