//! The handshake as it goes on between two members.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use super::{
    bond::Bond,
    frames::{FrameReader, FrameWriter},
    group::Group,
    handshake::{Claim, Greeting, Hello, Proofs, Side, read, read_claim},
    line::{Line, LineParts},
    protocol::{FRAME_LIMIT, Frame, Head, VERSION, read_frame},
    registry::{Number, Shared},
    session::{Session, reason_of},
    traffic::Traffic,
};
use crate::{
    groups::member::MemberId,
    id::{PeerId, UniqueId},
    schema,
    transport::{CloseReason, Link, LogSlot, RecvStream, SendStream, StreamKind},
};

/// How long it may take to judge somebody's tickets, beside the time for the step.
const JUDGEMENT: Duration = Duration::from_secs(3);

/// The two directions of a stream on which two members meet.
struct Meeting {
    link: Link,
    reader: FrameReader,
    writer: FrameWriter,
    /// How long the other side may take for one step.
    step: Duration,
}

/// What this side says of itself, and what it promises by that.
struct Introduction {
    hello: Hello,
    number: Number,
    log_slot: LogSlot,
    version: u64,
    traffic: Arc<Traffic>,
}

/// A bond that is made, and not served yet.
struct Made {
    bond: Bond,
    frames: mpsc::Receiver<Frame>,
    log_slot: LogSlot,
    version: u64,
}

impl Introduction {
    fn new(group: &Arc<Group>, link: &Link) -> Self {
        let me = group.me();
        let (number, log_slot) = (group.number(link.peer()), link.reserve_log());
        let hello = Hello {
            session: me.session,
            observer: me.observer,
            agreement: group.agreement.clone(),
            number: number.get(),
            log_slot: log_slot.id(),
            status: me.status.to_vec(),
        };
        let traffic = group.traffic.clone();
        Self { hello, number, log_slot, version: me.version, traffic }
    }

    /// Both sides have introduced themselves.
    fn meet(self, link: &Link, theirs: Hello, opener: PeerId, id: UniqueId) -> Made {
        let (line, frames) = Line::new(LineParts {
            id,
            link: link.clone(),
            traffic: self.traffic,
            opener,
            number: self.number,
            their_number: theirs.number,
            their_log_slot: theirs.log_slot,
        });
        let member = MemberId::new(&link.peer(), theirs.session);
        let bond = Bond::new(member, theirs.observer, theirs.status.into(), line);
        Made { bond, frames, log_slot: self.log_slot, version: self.version }
    }
}

/// Whether the group's tickets are there. Everybody is judged by whoever is asked.
async fn judge(group: &Group, link: &Link) -> bool {
    timeout(JUDGEMENT, (group.judge)(link.peer())).await.unwrap_or(false)
}

/// Makes a bond with whom the link leads to.
pub(super) async fn open(group: &Arc<Group>, link: Link) -> Result<Session, CloseReason> {
    let _opening = group.opening(link.peer());
    let opened = link.open(StreamKind::Bond).await;
    let (send, recv) = opened.map_err(|_| CloseReason::UnexpectedClose)?;
    let mut meeting = Meeting::new(link, send, recv, group.shared.handshake_timeout);
    let made = meeting.open(group).await;
    meeting.end(group, made)
}

/// Answers somebody who wants to make a bond, and serves it until it ends.
pub(super) async fn accept(shared: Weak<Shared>, link: Link, send: SendStream, recv: RecvStream) {
    let Some(step) = shared.upgrade().map(|shared| shared.handshake_timeout) else { return };
    let mut meeting = Meeting::new(link, send, recv, step);
    let claim = meeting.next(step).await.and_then(|claim| read_claim(&claim));
    let found = claim.and_then(|claim| {
        let group = shared.upgrade().and_then(|shared| shared.group(&claim.group));
        Ok((claim, group.ok_or(CloseReason::GroupRefused)?))
    });
    drop(shared);
    match found {
        Ok((claim, group)) => {
            let made = meeting.accept(&group, &claim).await;
            if let Ok(session) = meeting.end(&group, made) {
                drop(group);
                session.run().await;
            }
        }
        Err(reason) => meeting.refuse(reason),
    }
}

impl Meeting {
    fn new(link: Link, send: SendStream, recv: RecvStream, step: Duration) -> Self {
        let reader = FrameReader::new(recv, FRAME_LIMIT);
        Self { link, reader, writer: FrameWriter::new(send), step }
    }

    async fn open(&mut self, group: &Arc<Group>) -> Result<Made, CloseReason> {
        let peer = self.link.peer();
        let proofs = Proofs::new(&group.secret, group.id, &self.link, group.local, peer);
        let proof = proofs.of(Side::Opener);
        self.say(&Claim { version: VERSION, group: group.id, proof }).await?;
        let greeting: Greeting = read(&self.next(self.step + JUDGEMENT).await?)?;
        if !proofs.are_right(Side::Accepter, greeting.proof) || !judge(group, &self.link).await {
            return Err(CloseReason::GroupRefused);
        }
        let ours = Introduction::new(group, &self.link);
        self.say(&ours.hello).await?;
        if let Err(reason) = self.compare(group, &ours.hello, &greeting.hello).await {
            // What was said must arrive, so that the other side can see for itself.
            self.writer.finish();
            let _ = self.next(self.step).await;
            return Err(reason);
        }
        let last = self.next(self.step).await?;
        match read_frame(&last) {
            Ok((Head::Welcome, _)) => {}
            _ => return Err(CloseReason::ProtocolViolation),
        }
        let id = proofs.bond_id(ours.hello.number, greeting.hello.number);
        let made = ours.meet(&self.link, greeting.hello, group.local, id);
        group.join(&made.bond, made.version).await?;
        Ok(made)
    }

    async fn accept(&mut self, group: &Arc<Group>, claim: &Claim) -> Result<Made, CloseReason> {
        let peer = self.link.peer();
        let proofs = Proofs::new(&group.secret, group.id, &self.link, peer, group.local);
        if !proofs.are_right(Side::Opener, claim.proof) {
            return Err(CloseReason::GroupRefused);
        }
        if group.prefers_own(&peer) {
            return Err(CloseReason::AlreadyBonded);
        }
        if !judge(group, &self.link).await {
            return Err(CloseReason::GroupRefused);
        }
        let ours = Introduction::new(group, &self.link);
        let proof = proofs.of(Side::Accepter);
        let greeting = Greeting { proof, hello: ours.hello.clone() };
        self.say(&greeting).await?;
        let theirs: Hello = read(&self.next(self.step + JUDGEMENT).await?)?;
        self.compare(group, &ours.hello, &theirs).await?;
        let id = proofs.bond_id(theirs.number, ours.hello.number);
        let made = ours.meet(&self.link, theirs, peer, id);
        // The first frame in the queue.
        let said = made.bond.line().send(&Head::Welcome, Bytes::new());
        said.map_err(|_| CloseReason::UnexpectedClose)?;
        group.join(&made.bond, made.version).await?;
        Ok(made)
    }

    /// Two members that cannot be bonded part.
    async fn compare(
        &mut self,
        group: &Group,
        ours: &Hello,
        theirs: &Hello,
    ) -> Result<(), CloseReason> {
        if let Some(mismatch) = ours.agreement.differs_from(&theirs.agreement) {
            group.differs(self.link.peer(), mismatch).await;
            return Err(CloseReason::GroupMismatch);
        }
        if ours.observer && theirs.observer {
            // Neither has anything that the other one may take from it.
            return Err(CloseReason::GroupRefused);
        }
        Ok(())
    }

    async fn say<T: Serialize>(&mut self, message: &T) -> Result<(), CloseReason> {
        let body = schema::encode(message).map_err(|_| CloseReason::Cancelled)?;
        match timeout(self.step, self.writer.send(body)).await {
            Ok(said) => said.map_err(|error| reason_of(&error)),
            Err(_) => Err(CloseReason::Timeout),
        }
    }

    async fn next(&mut self, limit: Duration) -> Result<Bytes, CloseReason> {
        match timeout(limit, self.reader.next()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(CloseReason::UnexpectedClose),
            Ok(Err(error)) => Err(reason_of(&error)),
            Err(_) => Err(CloseReason::Timeout),
        }
    }

    fn refuse(&mut self, reason: CloseReason) {
        self.writer.reset(reason);
        self.reader.stop(reason);
    }

    fn end(
        mut self,
        group: &Arc<Group>,
        made: Result<Made, CloseReason>,
    ) -> Result<Session, CloseReason> {
        match made {
            Ok(Made { bond, frames, log_slot, .. }) => {
                let Self { reader, writer, .. } = self;
                Ok(Session { group: group.clone(), bond, reader, writer, frames, log_slot })
            }
            Err(reason) => {
                self.refuse(reason);
                Err(reason)
            }
        }
    }
}
