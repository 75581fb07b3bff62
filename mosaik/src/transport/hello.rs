//! The first words on a control connection: who is there, whether both are of one network, which
//! of two connections stays, and what each lacks of the other.
//!
//! The dialler opens one stream both ways:
//! 1. dialler: [`Opening`];
//! 2. acceptor, only after the dialler's MAC held: its own [`Opening`], and its verdict if it is
//!    the one of the two that decides about duplicates;
//! 3. both: the offer (and the dialler's verdict, if that one decides);
//! 4. both: bodies, then [`Hello::Admitted`] or [`Hello::Refused`].
//!
//! The stream stays open: the two ends arrange their other lanes on it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    Admission,
    close::CloseReason,
    connection::{Allowance, Connection, Side},
    error::MessageError,
    link::Clocks,
    message::{MessageReader, MessageWriter},
};
use crate::id::{NetworkId, PeerId};

/// Version of the whole wire protocol. There is one so far; two nodes speak the lower of theirs,
/// so that a higher one is no reason to refuse.
const VERSION: u32 = 1;
/// No optional part of the protocol exists yet.
const CAPABILITIES: u64 = 0;
/// A stranger's opening is about 100 bytes.
const OPENING_LIMIT: usize = 4 * 1024;
/// Offers and bodies: 256 KiB of entry, 64 KiB beside it, and their frames.
const BODIES_LIMIT: usize = 328 * 1024;
/// Bodies that take longer count as missing.
const BODIES_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take to show an older run of a peer that there is a newer one.
const PROOF_TIMEOUT: Duration = Duration::from_secs(1);
const BINDING_LABEL: &str = "EXPORTER-mosaik-hello";

/// Names one connection to both of its ends and to nobody else.
pub(super) type Tag = [u8; 16];

/// Proves knowledge of the network's id without showing it.
#[derive(Clone)]
pub(super) struct NetworkKey([u8; 32]);

impl NetworkKey {
    pub(super) fn new(network: &NetworkId) -> Self {
        Self(blake3::derive_key("mosaik 2026-11 hello", network.as_bytes()))
    }

    fn mac(&self, binding: &[u8; 32], role: Role, from: &PeerId, to: &PeerId) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(binding).update(&[role as u8]).update(from.as_bytes()).update(to.as_bytes());
        hasher.finalize()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Dialler = 0,
    Acceptor = 1,
}

/// What each end says first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Opening {
    version: u32,
    capabilities: u64,
    /// When this run of the node began, in microseconds since 1970: newer runs replace older ones.
    start: u64,
    /// The node's date in milliseconds since 1970, so that a wrong clock is noticed.
    clock_ms: i64,
    /// The control connection that this end already holds to the other.
    holds: Option<Tag>,
    mac: [u8; 32],
}

/// Which of two connections between the same peers stays; the smaller id says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    Keep,
    Duplicate,
    Superseded,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Hello {
    Opening(Opening, Option<Verdict>),
    Offer(Option<Verdict>, Bytes),
    Bodies(Bytes),
    Admitted,
    Refused(u32),
    /// A newer run of the hearer is known; this proves it. Nothing follows.
    NewerRun(Bytes),
}

/// What the two ends say on the hello's stream once both are admitted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Signal {
    /// To the acceptor of the control connection: a token for the bulk lane, please.
    AskBulk,
    /// To the dialler: dial the bulk lane and show this.
    BulkToken(Tag),
    /// The same for the log lane.
    AskLog,
    /// The same for the log lane.
    LogToken(Tag),
}

impl Signal {
    /// To the acceptor: a token for this lane, please.
    pub(super) fn ask(side: Side) -> Self {
        match side {
            Side::Bulk => Self::AskBulk,
            Side::Log => Self::AskLog,
        }
    }

    /// To the dialler: the token for this lane.
    pub(super) fn token(side: Side, token: Tag) -> Self {
        match side {
            Side::Bulk => Self::BulkToken(token),
            Side::Log => Self::LogToken(token),
        }
    }

    /// Which lane it is about, with the token if it is not asked for but given.
    pub(super) fn request(self) -> (Side, Option<Tag>) {
        match self {
            Self::AskBulk => (Side::Bulk, None),
            Self::BulkToken(token) => (Side::Bulk, Some(token)),
            Self::AskLog => (Side::Log, None),
            Self::LogToken(token) => (Side::Log, Some(token)),
        }
    }
}

/// What the decision about duplicates needs to know of the peer's opening.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) peer: PeerId,
    pub(super) tag: Tag,
    pub(super) start: u64,
    pub(super) holds: Option<Tag>,
    pub(super) clocks: Clocks,
}

/// The registry's part in a hello.
pub(super) trait Registry: Sync {
    /// The connection that this node holds to the peer.
    fn holds(&self, peer: &PeerId) -> Option<Tag>;
    /// Decides, and on [`Verdict::Keep`] gives the new connection the peer's place.
    fn decide(&self, claim: &Claim) -> Verdict;
    /// The peer decided to keep the new connection.
    fn obey(&self, claim: &Claim) -> Verdict;
}

/// What one end brings to a hello.
pub(super) struct Party<'a> {
    pub(super) me: PeerId,
    pub(super) start: u64,
    pub(super) clock_ms: i64,
    pub(super) key: &'a NetworkKey,
    pub(super) registry: &'a dyn Registry,
    pub(super) admission: &'a dyn Admission,
}

/// A hello that went well.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) claim: Claim,
    pub(super) reader: MessageReader,
    pub(super) writer: MessageWriter,
}

/// Runs one end of the hello. If it fails, the connection is closed with the reason.
pub(super) async fn greet(
    party: &Party<'_>,
    conn: &Connection,
    role: Role,
) -> Result<Greeted, CloseReason> {
    let (send, recv) = match role {
        Role::Dialler => conn.open_bi().await.map_err(|_| CloseReason::UnexpectedClose)?,
        Role::Acceptor => conn.accept_bi().await?,
    };
    let reader = MessageReader::new(recv, OPENING_LIMIT);
    let mut talk = Talk { party, conn, reader, writer: MessageWriter::new(send) };
    let outcome = match role {
        Role::Dialler => talk.dial().await,
        Role::Acceptor => talk.accept().await,
    };
    match outcome {
        Ok(claim) => Ok(Greeted { claim, reader: talk.reader, writer: talk.writer }),
        Err(reason) => {
            // Before the streams are dropped, or the peer would see their reset first.
            conn.close(reason);
            Err(reason)
        }
    }
}

struct Talk<'a> {
    party: &'a Party<'a>,
    conn: &'a Connection,
    reader: MessageReader,
    writer: MessageWriter,
}

impl Talk<'_> {
    async fn dial(&mut self) -> Result<Claim, CloseReason> {
        self.say(&Hello::Opening(self.opening(Role::Dialler), None)).await?;
        let (opening, verdict) = self.hear_opening(Role::Acceptor).await?;
        self.conn.allow(Allowance::PROVEN);
        let claim = self.claim(&opening);
        let (verdict, ours) = match verdict {
            Some(Verdict::Keep) => (self.party.registry.obey(&claim), None),
            Some(no) => return Err(self.turned_away(no).await),
            None => {
                let verdict = self.party.registry.decide(&claim);
                (verdict, Some(verdict))
            }
        };
        self.uphold(verdict, &claim).await?;
        self.reader.set_limit(BODIES_LIMIT);
        self.offer_and_admit(claim.peer, ours, None).await?;
        Ok(claim)
    }

    async fn accept(&mut self) -> Result<Claim, CloseReason> {
        let (opening, _) = self.hear_opening(Role::Dialler).await?;
        self.conn.allow(Allowance::PROVEN);
        let claim = self.claim(&opening);
        let verdict = self.decides().then(|| self.party.registry.decide(&claim));
        self.say(&Hello::Opening(self.opening(Role::Acceptor), verdict)).await?;
        if let Some(verdict) = verdict {
            self.uphold(verdict, &claim).await?;
        }
        self.reader.set_limit(BODIES_LIMIT);
        let undecided = verdict.is_none().then_some(&claim);
        self.offer_and_admit(claim.peer, None, undecided).await?;
        Ok(claim)
    }

    /// Acts on this end's own verdict. An older run of the peer is shown that there is a newer one:
    /// two nodes with the same key must learn of each other.
    async fn uphold(&mut self, verdict: Verdict, claim: &Claim) -> Result<(), CloseReason> {
        if verdict == Verdict::Superseded {
            let proof = self.party.admission.newer_run(claim.peer);
            if !proof.is_empty() && self.say(&Hello::NewerRun(proof)).await.is_ok() {
                // Closing discards what has not been read: the peer does it.
                let _ = timeout(PROOF_TIMEOUT, self.conn.closed()).await;
            }
        }
        check(verdict)
    }

    /// The peer does not want this connection; if it knows a newer run of this node, it says so.
    async fn turned_away(&mut self, verdict: Verdict) -> CloseReason {
        if verdict == Verdict::Superseded {
            self.reader.set_limit(BODIES_LIMIT);
            let _ = timeout(PROOF_TIMEOUT, self.hear()).await;
        }
        check(verdict).err().unwrap_or(CloseReason::Cancelled)
    }

    /// Of two peers the one with the smaller id decides about duplicates.
    fn decides(&self) -> bool {
        self.party.me < self.conn.remote_id()
    }

    fn opening(&self, role: Role) -> Opening {
        let peer = self.conn.remote_id();
        let binding = self.conn.channel_binding(BINDING_LABEL);
        Opening {
            version: VERSION,
            capabilities: CAPABILITIES,
            start: self.party.start,
            clock_ms: self.party.clock_ms,
            holds: self.party.registry.holds(&peer),
            mac: *self.party.key.mac(&binding, role, &self.party.me, &peer).as_bytes(),
        }
    }

    async fn hear_opening(
        &mut self,
        from: Role,
    ) -> Result<(Opening, Option<Verdict>), CloseReason> {
        let Hello::Opening(opening, verdict) = self.hear().await? else {
            return Err(CloseReason::ProtocolViolation);
        };
        let peer = self.conn.remote_id();
        let binding = self.conn.channel_binding(BINDING_LABEL);
        let expected = self.party.key.mac(&binding, from, &peer, &self.party.me);
        // Compared in constant time.
        if expected != blake3::Hash::from_bytes(opening.mac) {
            return Err(CloseReason::DifferentNetwork);
        }
        tracing::debug!(peer = %peer.fmt_short(), opening.version, opening.capabilities, "hello");
        Ok((opening, verdict))
    }

    fn claim(&self, opening: &Opening) -> Claim {
        Claim {
            peer: self.conn.remote_id(),
            tag: tag_of(self.conn),
            start: opening.start,
            holds: opening.holds,
            clocks: Clocks { ours_ms: self.party.clock_ms, theirs_ms: opening.clock_ms },
        }
    }

    /// Steps 3 and 4; `undecided` is the claim that the dialler's offer still has to decide.
    async fn offer_and_admit(
        &mut self,
        peer: PeerId,
        verdict: Option<Verdict>,
        undecided: Option<&Claim>,
    ) -> Result<(), CloseReason> {
        let admission = self.party.admission;
        self.say(&Hello::Offer(verdict, admission.offer(peer))).await?;
        let Hello::Offer(theirs, offer) = self.hear().await? else {
            return Err(CloseReason::ProtocolViolation);
        };
        if let Some(claim) = undecided {
            match theirs {
                Some(Verdict::Keep) => {
                    let verdict = self.party.registry.obey(claim);
                    self.uphold(verdict, claim).await?;
                }
                Some(no) => return Err(self.turned_away(no).await),
                None => return Err(CloseReason::ProtocolViolation),
            }
        }
        self.say(&Hello::Bodies(admission.bodies(peer, &offer)?)).await?;
        let bodies = match timeout(BODIES_TIMEOUT, self.hear()).await {
            Ok(Ok(Hello::Bodies(bodies))) => bodies,
            Ok(Ok(_)) => return Err(CloseReason::ProtocolViolation),
            Ok(Err(reason)) => return Err(reason),
            Err(_) => Bytes::new(),
        };
        if let Err(reason) = admission.admit(peer, &offer, &bodies) {
            self.say(&Hello::Refused(reason.code())).await?;
            return Err(reason);
        }
        self.say(&Hello::Admitted).await?;
        self.hear_admission().await
    }

    async fn hear_admission(&mut self) -> Result<(), CloseReason> {
        loop {
            match self.hear().await? {
                Hello::Admitted => return Ok(()),
                Hello::Refused(code) => return Err(CloseReason::from_code(code)),
                // They came too late to be judged.
                Hello::Bodies(_) => {}
                Hello::Opening(..) | Hello::Offer(..) | Hello::NewerRun(_) => {
                    return Err(CloseReason::ProtocolViolation);
                }
            }
        }
    }

    async fn say(&mut self, message: &Hello) -> Result<(), CloseReason> {
        self.writer.send(message).await.map_err(|error| reason_of(&error))
    }

    async fn hear(&mut self) -> Result<Hello, CloseReason> {
        loop {
            return match self.reader.next().await {
                Ok(Some(Hello::NewerRun(proof))) => {
                    self.party.admission.hear_of_newer_run(&proof);
                    Err(CloseReason::Superseded)
                }
                Ok(Some(message)) => Ok(message),
                // Of a later version; the time for the hello is limited.
                Err(MessageError::Unknown) => continue,
                Ok(None) => Err(CloseReason::UnexpectedClose),
                Err(error) => Err(reason_of(&error)),
            };
        }
    }
}

fn check(verdict: Verdict) -> Result<(), CloseReason> {
    match verdict {
        Verdict::Keep => Ok(()),
        Verdict::Duplicate => Err(CloseReason::Duplicate),
        Verdict::Superseded => Err(CloseReason::Superseded),
    }
}

fn reason_of(error: &MessageError) -> CloseReason {
    match error {
        MessageError::Stream(error) => error.reason().unwrap_or(CloseReason::Cancelled),
        _ => CloseReason::ProtocolViolation,
    }
}

/// The connection's name, known to its two ends only.
pub(super) fn tag_of(conn: &Connection) -> Tag {
    let binding = conn.channel_binding("EXPORTER-mosaik-connection");
    let mut tag = Tag::default();
    tag.copy_from_slice(&binding[..16]);
    tag
}

/// One of each message.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn samples() -> Vec<Hello> {
    let opening = Opening {
        version: VERSION,
        capabilities: CAPABILITIES,
        start: 1_700_000_000_000_000,
        clock_ms: 1_700_000_000_000,
        holds: Some([3; 16]),
        mac: [5; 32],
    };
    let first = Opening { holds: None, ..opening.clone() };
    vec![
        Hello::Opening(first, None),
        Hello::Opening(opening, Some(Verdict::Superseded)),
        Hello::Offer(Some(Verdict::Keep), Bytes::from_static(&[1; 70])),
        Hello::Offer(None, Bytes::new()),
        Hello::Bodies(Bytes::from_static(&[2; 300])),
        Hello::Admitted,
        Hello::Refused(404),
        Hello::NewerRun(Bytes::from_static(&[4; 90])),
    ]
}

#[cfg(test)]
mod tests;
