//! A simulated connection and its two ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    faults::with,
    net::SimNet,
    path::Path,
    pipe::{Pipe, RecvStream, SendStream},
    queue::Arrivals,
    traffic::Event,
};
use crate::{
    id::PeerId,
    transport::{
        close::CloseReason,
        stream::{self, RecvHalf, SendHalf},
    },
};

/// What both ends share. Side 0 dialled.
#[derive(Debug)]
pub(super) struct Shared {
    net: SimNet,
    ids: [PeerId; 2],
    /// From each side to the other.
    paths: [Arc<Mutex<Path>>; 2],
    binding: [u8; 32],
    /// Why each end sees the connection closed, once it does.
    closed: [watch::Sender<Option<CloseReason>>; 2],
    /// Streams that each end is to accept.
    queues: [Queues; 2],
    /// Those that each side sends on.
    pipes: [Mutex<Vec<Weak<Pipe>>>; 2],
}

#[derive(Debug)]
struct Queues {
    bi: Arrivals<(stream::SendStream, stream::RecvStream)>,
    uni: Arrivals<stream::RecvStream>,
}

impl Queues {
    fn new() -> Self {
        Self { bi: Arrivals::new(), uni: Arrivals::new() }
    }
}

impl Shared {
    /// Which end is this node's, if one is.
    pub(super) fn side_of(&self, id: PeerId) -> Option<usize> {
        self.ids.iter().position(|end| *end == id)
    }

    pub(super) fn is_closed(&self, side: usize) -> bool {
        self.closed[side].borrow().is_some()
    }

    /// Closes one end; false if it was closed before.
    fn close_side(&self, side: usize, reason: CloseReason) -> bool {
        let closed = self.closed[side].send_if_modified(|seen| {
            let first = seen.is_none();
            seen.get_or_insert(reason);
            first
        });
        if closed {
            self.forget_unsent(side);
            self.wake(side);
        }
        closed
    }

    /// Whoever closed sends nothing again: what is not under way by now never arrives.
    fn forget_unsent(&self, side: usize) {
        let now = Instant::now();
        let limit = with(&self.paths[side], |path| match path.dead_since() {
            Some(since) => since.min(now),
            None => now + path.latency(),
        });
        self.pipes(side).iter().filter_map(Weak::upgrade).for_each(|pipe| pipe.lose_after(limit));
        let queues = &self.queues[1 - side];
        drop(queues.bi.lose_after(limit));
        drop(queues.uni.lose_after(limit));
    }

    fn wake(&self, side: usize) {
        for side in [side, 1 - side] {
            let pipes: Vec<_> = self.pipes(side).iter().filter_map(Weak::upgrade).collect();
            pipes.iter().for_each(|pipe| pipe.wake_all());
        }
        self.queues[side].bi.wake();
        self.queues[side].uni.wake();
    }

    /// An end has heard nothing for the idle time; false if it was closed before.
    pub(super) fn lapse(&self, side: usize) -> bool {
        self.close_side(side, CloseReason::TimedOut)
    }

    /// An end's node is no more; the far end learns nothing of it.
    pub(super) fn die(&self, side: usize) {
        self.close_side(side, CloseReason::Cancelled);
    }

    /// What `side` sent and should have arrived after `since` arrives `again` at the earliest.
    pub(super) fn delay(&self, side: usize, since: Instant, again: Instant) {
        let pipes: Vec<_> = self.pipes(side).iter().filter_map(Weak::upgrade).collect();
        pipes.iter().for_each(|pipe| pipe.delay(since, again));
        let pipes: Vec<_> = self.pipes(1 - side).iter().filter_map(Weak::upgrade).collect();
        pipes.iter().for_each(|pipe| pipe.delay_stop(since, again));
        self.queues[1 - side].bi.delay(since, again);
        self.queues[1 - side].uni.delay(since, again);
    }

    fn pipes(&self, side: usize) -> MutexGuard<'_, Vec<Weak<Pipe>>> {
        self.pipes[side].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pipe(&self, sender: usize) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::default());
        let mut pipes = self.pipes(sender);
        // Amortised: the list is swept each time it has doubled.
        if pipes.len().is_power_of_two() {
            pipes.retain(|pipe| pipe.strong_count() > 0);
        }
        pipes.push(Arc::downgrade(&pipe));
        pipe
    }
}

/// One end's view of the connection, for its streams.
#[derive(Clone, Debug)]
pub(super) struct End {
    shared: Arc<Shared>,
    side: usize,
}

impl End {
    pub(super) fn closed_now(&self) -> Option<CloseReason> {
        *self.shared.closed[self.side].borrow()
    }

    /// When a signal of a few bytes that is sent now arrives.
    pub(super) fn arrival(&self) -> Instant {
        with(self.way_out(), |path| path.arrival(Instant::now(), 0))
    }

    /// Sends bytes: counted, and said when they arrive.
    pub(super) fn send(&self, bytes: usize) -> Instant {
        let End { shared, side } = self;
        shared.net.record(&shared.ids[*side], &shared.ids[1 - side], Event::Sent(bytes));
        with(self.way_out(), |path| {
            path.counters.sent(bytes);
            path.arrival(Instant::now(), bytes)
        })
    }

    /// Whether what was to arrive here `at` is held up.
    pub(super) fn holds(&self, at: Instant) -> bool {
        with(self.way_in(), |path| path.holds(at))
    }

    fn way_out(&self) -> &Arc<Mutex<Path>> {
        &self.shared.paths[self.side]
    }

    fn way_in(&self) -> &Arc<Mutex<Path>> {
        &self.shared.paths[1 - self.side]
    }
}

/// One end; the connection closes when its last clone is dropped.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Connection(Arc<Handle>);

#[derive(Debug)]
struct Handle(End);

impl Drop for Handle {
    fn drop(&mut self) {
        // Streams keep a QUIC connection alive too, but nothing above relies on it.
        close(&self.0, CloseReason::UnexpectedClose);
        // Streams that nobody accepted refer to the connection that holds them.
        let queues = &self.0.shared.queues[self.0.side];
        drop(queues.bi.drain());
        drop(queues.uni.drain());
    }
}

impl Connection {
    pub(super) fn pair(net: &SimNet, near: PeerId, far: PeerId) -> (Self, Self) {
        let shared = Arc::new(Shared {
            net: net.clone(),
            ids: [near, far],
            paths: [net.path(near, far), net.path(far, near)],
            binding: net.binding(near, far),
            closed: [watch::Sender::new(None), watch::Sender::new(None)],
            queues: [Queues::new(), Queues::new()],
            pipes: Default::default(),
        });
        let end = |side| Self(Arc::new(Handle(End { shared: shared.clone(), side })));
        (end(0), end(1))
    }

    fn end(&self) -> &End {
        &self.0.0
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.end().shared
    }

    pub(in crate::transport) fn remote_id(&self) -> PeerId {
        self.shared().ids[1 - self.end().side]
    }

    pub(in crate::transport) fn channel_binding(&self, label: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.shared().binding, label.as_bytes()).as_bytes()
    }

    pub(in crate::transport) fn rtt(&self) -> Duration {
        self.shared().paths.iter().map(|path| with(path, |path| path.latency())).sum()
    }

    fn far_end(&self) -> End {
        let End { shared, side } = self.end().clone();
        End { shared, side: 1 - side }
    }

    fn half_pipe(&self, from: End, to: End) -> (stream::SendStream, stream::RecvStream) {
        let pipe = self.shared().pipe(from.side);
        (
            stream::SendStream::new(SendHalf::Sim(SendStream::new(pipe.clone(), from))),
            stream::RecvStream::new(RecvHalf::Sim(RecvStream::new(pipe, to))),
        )
    }

    pub(in crate::transport) fn open_bi(
        &self,
    ) -> Result<(stream::SendStream, stream::RecvStream), CloseReason> {
        self.check_open()?;
        let (near, far) = (self.end().clone(), self.far_end());
        let (send, far_recv) = self.half_pipe(near.clone(), far.clone());
        let (far_send, recv) = self.half_pipe(far, near);
        self.far_queues().bi.push(self.end().arrival(), (far_send, far_recv));
        Ok((send, recv))
    }

    pub(in crate::transport) fn open_uni(&self) -> Result<stream::SendStream, CloseReason> {
        self.check_open()?;
        let (send, far_recv) = self.half_pipe(self.end().clone(), self.far_end());
        self.far_queues().uni.push(self.end().arrival(), far_recv);
        Ok(send)
    }

    fn far_queues(&self) -> &Queues {
        &self.shared().queues[1 - self.end().side]
    }

    fn check_open(&self) -> Result<(), CloseReason> {
        self.end().closed_now().map_or(Ok(()), Err)
    }

    pub(in crate::transport) async fn accept_bi(
        &self,
    ) -> Result<(stream::SendStream, stream::RecvStream), CloseReason> {
        let queue = &self.shared().queues[self.end().side].bi;
        tokio::select! {
            biased;
            reason = self.closed() => Err(reason),
            streams = queue.next(self.end().way_in()) => Ok(streams),
        }
    }

    pub(in crate::transport) async fn accept_uni(&self) -> Result<stream::RecvStream, CloseReason> {
        let queue = &self.shared().queues[self.end().side].uni;
        tokio::select! {
            biased;
            reason = self.closed() => Err(reason),
            stream = queue.next(self.end().way_in()) => Ok(stream),
        }
    }

    pub(in crate::transport) fn close(&self, reason: CloseReason) {
        close(self.end(), reason);
    }

    pub(in crate::transport) async fn closed(&self) -> CloseReason {
        let mut closed = self.shared().closed[self.end().side].subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(CloseReason::UnexpectedClose),
            Err(_) => CloseReason::UnexpectedClose,
        }
    }

    pub(in crate::transport) fn is_closed(&self) -> bool {
        self.end().closed_now().is_some()
    }
}

/// Closes this end now, and the other when word has reached it.
fn close(end: &End, reason: CloseReason) {
    if end.closed_now().is_some() {
        return;
    }
    let End { shared, side } = end.clone();
    let word = end.arrival();
    shared.close_side(side, CloseReason::Cancelled);
    let net = shared.net.clone();
    net.record(&shared.ids[side], &shared.ids[1 - side], Event::Closed);
    net.clone().tasks().spawn("sim.close", async move {
        let silent = Instant::now() + net.config().idle_timeout;
        sleep_until(word).await;
        // Word of the close does not cross a cut link, and is not sent again when that heals: the
        // far end hears nothing more until its idle time-out.
        let mut seen = reason;
        if with(&shared.paths[side], |path| path.holds(word)) {
            sleep_until(silent).await;
            seen = CloseReason::TimedOut;
        }
        shared.close_side(1 - side, seen);
    });
}
