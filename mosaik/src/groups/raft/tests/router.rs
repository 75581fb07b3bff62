//! Joins the nodes of a process, with faults.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::{CancellationToken, PollSender};

use crate::groups::{
    member::MemberId,
    raft::{AnswerError, MessageSink, MessageSource, Node, Wire, WireError},
};

/// So many messages are under way on a stream.
const WINDOW: usize = 256;

#[derive(Clone, Default)]
pub(super) struct Router(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: HashMap<MemberId, Node>,
    /// Who is on which side of a partition; those who are on none reach each other.
    sides: HashMap<MemberId, u8>,
    /// Ends the streams that cross a new partition, or lead to somebody who is gone.
    cut: CancellationToken,
    delay: Duration,
    /// Appends and heartbeats do not arrive.
    only_votes: bool,
    snapshots: u32,
    /// The next snapshots that arrive are damaged.
    damage: u32,
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn add(&self, node: Node) {
        self.lock().nodes.insert(node.me(), node);
    }

    pub(super) fn remove(&self, member: MemberId) {
        let mut state = self.lock();
        state.nodes.remove(&member);
        std::mem::take(&mut state.cut).cancel();
    }

    pub(super) fn partition(&self, sides: &[&[MemberId]]) {
        let mut state = self.lock();
        let sides = sides.iter().zip(1..);
        state.sides = sides
            .flat_map(|(members, side)| members.iter().map(move |member| (*member, side)))
            .collect();
        std::mem::take(&mut state.cut).cancel();
    }

    pub(super) fn heal(&self) {
        self.lock().sides.clear();
    }

    /// Of messages on streams that are opened from now on, and of all others.
    pub(super) fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// From now on a leader is heard by nobody; members still vote.
    pub(super) fn only_votes(&self) {
        let mut state = self.lock();
        state.only_votes = true;
        std::mem::take(&mut state.cut).cancel();
    }

    fn leads(&self) -> Result<(), WireError> {
        if self.lock().only_votes {
            return Err(WireError::Unreachable("only votes arrive".into()));
        }
        Ok(())
    }

    pub(super) fn damage_snapshots(&self, count: u32) {
        self.lock().damage = count;
    }

    /// How many snapshots were sent.
    pub(super) fn snapshots(&self) -> u32 {
        self.lock().snapshots
    }

    pub(super) fn wire(&self, from: MemberId) -> Arc<dyn Wire> {
        Arc::new(Routed { router: self.clone(), from })
    }

    fn reach(&self, from: MemberId, to: MemberId) -> Result<(Node, Duration), WireError> {
        let state = self.lock();
        assert_ne!(from, to, "nobody calls himself");
        let side = |member: &MemberId| state.sides.get(member).copied().unwrap_or(0);
        let node = state.nodes.get(&to).filter(|_| side(&from) == side(&to));
        let node = node.ok_or_else(|| WireError::Unreachable("no way there".into()))?;
        Ok((node.clone(), state.delay))
    }
}

struct Routed {
    router: Router,
    from: MemberId,
}

fn refused(error: AnswerError) -> WireError {
    match error {
        AnswerError::Gone | AnswerError::Malformed => WireError::Unreachable(error.to_string()),
        AnswerError::Broken => WireError::Broken(error.to_string()),
    }
}

async fn pass(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

impl Wire for Routed {
    fn request(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>> {
        let (router, from) = (self.router.clone(), self.from);
        async move {
            let asked = async {
                let (node, delay) = router.reach(from, to)?;
                pass(delay).await;
                let answer = node.answer(request).await.map_err(refused)?;
                pass(delay).await;
                router.reach(from, to)?;
                Ok(answer)
            };
            timeout(limit, asked).await.unwrap_or(Err(WireError::Timeout))
        }
        .boxed()
    }

    fn heartbeat(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>> {
        let leads = self.router.leads();
        let answer = self.request(to, request, limit);
        async move {
            leads?;
            answer.await
        }
        .boxed()
    }

    fn open_append(
        &self,
        to: MemberId,
        _: Duration,
    ) -> BoxFuture<'static, Result<(MessageSink, MessageSource), WireError>> {
        let reached = self.router.leads().and_then(|()| self.router.reach(self.from, to));
        let cut = self.router.lock().cut.child_token();
        async move {
            let (node, delay) = reached?;
            let (sink, their_source) = pipe(delay, cut.clone());
            let (their_sink, source) = pipe(delay, cut.clone());
            tokio::spawn(cut.run_until_cancelled_owned(async move {
                node.serve_append(their_source, their_sink).await.ok();
            }));
            Ok((sink, source))
        }
        .boxed()
    }

    fn snapshot(
        &self,
        to: MemberId,
        head: Bytes,
        body: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>> {
        let (router, from) = (self.router.clone(), self.from);
        async move {
            let (node, delay) = router.reach(from, to)?;
            let mut body = body.to_vec();
            {
                let mut state = router.lock();
                state.snapshots += 1;
                if state.damage > 0 {
                    state.damage -= 1;
                    body[0] ^= 1;
                }
            }
            pass(delay).await;
            node.install(head, body.into()).await.map_err(refused)
        }
        .boxed()
    }
}

/// One direction of a stream.
fn pipe(delay: Duration, cut: CancellationToken) -> (MessageSink, MessageSource) {
    let (sender, receiver) = mpsc::channel::<Bytes>(WINDOW);
    let broken = |_| WireError::Broken("cut".into());
    let sink = PollSender::new(sender).sink_map_err(broken);
    let messages = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|message| (message, receiver))
    });
    let source: MessageSource = if delay.is_zero() {
        Box::pin(messages.map(Ok).take_until(cut.cancelled_owned()))
    } else {
        let delayed = messages.map(move |message| async move {
            tokio::time::sleep(delay).await;
            Ok(message)
        });
        Box::pin(delayed.buffered(WINDOW).take_until(cut.cancelled_owned()))
    };
    (Box::pin(sink), source)
}

pub(super) fn set(members: &[MemberId]) -> BTreeSet<MemberId> {
    members.iter().copied().collect()
}
