//! A simulated connection and its two ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Context,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    net::SimNet,
    pipe::{Pipe, RecvStream, SendStream},
};
use crate::{
    id::PeerId,
    transport::{
        close::CloseReason,
        stream::{self, RecvHalf, SendHalf},
    },
};

type BiStream = (Instant, stream::SendStream, stream::RecvStream);
type UniStream = (Instant, stream::RecvStream);

/// What both ends share.
#[derive(Debug)]
pub(super) struct Shared {
    net: SimNet,
    ids: [PeerId; 2],
    latency: Duration,
    binding: [u8; 32],
    /// Why each end sees the connection closed, once it does.
    closed: [watch::Sender<Option<CloseReason>>; 2],
    queues: [Queues; 2],
    pipes: Mutex<Vec<Weak<Pipe>>>,
}

/// Streams that the other end opened.
#[derive(Debug)]
struct Queues {
    bi: (mpsc::UnboundedSender<BiStream>, tokio::sync::Mutex<mpsc::UnboundedReceiver<BiStream>>),
    uni: (mpsc::UnboundedSender<UniStream>, tokio::sync::Mutex<mpsc::UnboundedReceiver<UniStream>>),
}

impl Queues {
    fn new() -> Self {
        let (bi, bi_receiver) = mpsc::unbounded_channel();
        let (uni, uni_receiver) = mpsc::unbounded_channel();
        Self {
            bi: (bi, tokio::sync::Mutex::new(bi_receiver)),
            uni: (uni, tokio::sync::Mutex::new(uni_receiver)),
        }
    }
}

impl Shared {
    pub(super) fn ends(&self) -> (PeerId, PeerId) {
        (self.ids[0], self.ids[1])
    }

    pub(super) fn joins(&self, a: PeerId, b: PeerId) -> bool {
        self.ids == [a, b] || self.ids == [b, a]
    }

    pub(super) fn close_both(&self, reason: CloseReason) {
        self.close_side(0, reason);
        self.close_side(1, reason);
    }

    fn close_side(&self, side: usize, reason: CloseReason) {
        self.closed[side].send_if_modified(|seen| {
            let first = seen.is_none();
            seen.get_or_insert(reason);
            first
        });
        let pipes: Vec<_> = self.pipes().iter().filter_map(Weak::upgrade).collect();
        pipes.iter().for_each(|pipe| pipe.wake_all());
    }

    fn pipes(&self) -> MutexGuard<'_, Vec<Weak<Pipe>>> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pipe(&self) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::default());
        let mut pipes = self.pipes();
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

    /// When something sent now arrives.
    pub(super) fn arrival(&self) -> Instant {
        Instant::now() + self.shared.latency
    }

    /// Whether the link is cut; if so, the task is woken when it heals.
    pub(super) fn is_cut(&self, cx: &mut Context<'_>) -> bool {
        let cut = self.shared.net.is_cut(self.shared.ends());
        if cut {
            self.shared.net.wake_when_healed(cx.waker());
        }
        cut
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
        if let Ok(mut bi) = queues.bi.1.try_lock() {
            while bi.try_recv().is_ok() {}
        }
        if let Ok(mut uni) = queues.uni.1.try_lock() {
            while uni.try_recv().is_ok() {}
        }
    }
}

impl Connection {
    pub(super) fn pair(net: &SimNet, near: PeerId, far: PeerId) -> (Self, Self) {
        let shared = Arc::new(Shared {
            net: net.clone(),
            ids: [near, far],
            latency: net.latency(near, far),
            binding: net.random().bytes(),
            closed: [watch::Sender::new(None), watch::Sender::new(None)],
            queues: [Queues::new(), Queues::new()],
            pipes: Mutex::default(),
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
        self.shared().latency * 2
    }

    fn far_end(&self) -> End {
        let End { shared, side } = self.end().clone();
        End { shared, side: 1 - side }
    }

    fn half_pipe(&self, from: End, to: End) -> (stream::SendStream, stream::RecvStream) {
        let pipe = self.shared().pipe();
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
        let queue = &self.shared().queues[1 - self.end().side].bi.0;
        // The receiver lives in the same allocation as the sender.
        let _ = queue.send((self.end().arrival(), far_send, far_recv));
        Ok((send, recv))
    }

    pub(in crate::transport) fn open_uni(&self) -> Result<stream::SendStream, CloseReason> {
        self.check_open()?;
        let (send, far_recv) = self.half_pipe(self.end().clone(), self.far_end());
        let queue = &self.shared().queues[1 - self.end().side].uni.0;
        let _ = queue.send((self.end().arrival(), far_recv));
        Ok(send)
    }

    fn check_open(&self) -> Result<(), CloseReason> {
        self.end().closed_now().map_or(Ok(()), Err)
    }

    pub(in crate::transport) async fn accept_bi(
        &self,
    ) -> Result<(stream::SendStream, stream::RecvStream), CloseReason> {
        let mut queue = self.shared().queues[self.end().side].bi.1.lock().await;
        tokio::select! {
            biased;
            reason = self.closed() => Err(reason),
            Some((at, send, recv)) = queue.recv() => {
                sleep_until(at).await;
                Ok((send, recv))
            }
        }
    }

    pub(in crate::transport) async fn accept_uni(&self) -> Result<stream::RecvStream, CloseReason> {
        let mut queue = self.shared().queues[self.end().side].uni.1.lock().await;
        tokio::select! {
            biased;
            reason = self.closed() => Err(reason),
            Some((at, recv)) = queue.recv() => {
                sleep_until(at).await;
                Ok(recv)
            }
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
    shared.close_side(side, CloseReason::Cancelled);
    let arrival = end.arrival();
    let net = shared.net.clone();
    net.clone().tasks().spawn("sim.close", async move {
        sleep_until(arrival).await;
        // Word of the close does not cross a cut link, and is not sent again when that heals: the
        // far end hears nothing more until its idle time-out.
        let mut seen = reason;
        if net.is_cut(shared.ends()) {
            sleep(net.config().idle_timeout).await;
            seen = CloseReason::TimedOut;
        }
        shared.close_side(1 - side, seen);
    });
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;
    use crate::transport::sim::SimConfig;

    #[tokio::test(start_paused = true)]
    async fn a_close_that_a_cut_swallows_is_a_time_out_at_the_far_end() {
        let [a, b] = [1, 2].map(|seed| SecretKey::from_bytes(&[seed; 32]).public());
        let net = SimNet::new(1, SimConfig::default());
        let (near, far) = Connection::pair(&net, a, b);
        net.partition(&[vec![a], vec![b]]);
        let begun = Instant::now();
        near.close(CloseReason::Cancelled);
        sleep(Duration::from_secs(1)).await;
        net.heal();
        assert!(!far.is_closed());
        assert_eq!(far.closed().await, CloseReason::TimedOut);
        assert!(begun.elapsed() >= net.config().idle_timeout);
        assert!(begun.elapsed() < 2 * net.config().idle_timeout);
    }
}
