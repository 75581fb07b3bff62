//! The gate by itself.

use std::task::{Context, Wake, Waker};

use super::*;
use crate::id::NetworkId;

/// Counts how often it is woken.
#[derive(Default)]
struct Woke(AtomicU64);

impl Wake for Woke {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_waits_is_woken_by_whoever_finds_that_there_is_room() {
    let mut config = ProducerConfig::new("stream".into(), NetworkId::zero());
    config.buffer_size = 8;
    let (requests, _receiver) = futures::channel::mpsc::unbounded();
    let core = Core::new(config, 1, None, requests, None);
    core.set_online(true);
    let (cursor, _) = core.lock().sending.join(Start::Retained, None);
    for _ in 0..8 {
        let mut frame = BytesMut::zeroed(MAX_PREFIX + 100_000);
        core.push(&mut frame, Room::Everybody, Then::Flush).unwrap();
    }
    let woke = Arc::new(Woke::default());
    let waker = Waker::from(woke.clone());
    let (mut waits, mut gives_up) = (None, None);
    let poll = |key: &mut Option<u64>, waker: &Waker| {
        core.poll_ready(key, &mut Context::from_waker(waker))
    };
    assert!(poll(&mut waits, &waker).is_pending());
    for _ in 0..2 {
        core.next_batch(cursor, false, &mut Vec::new());
    }
    assert!(core.lock().sending.ring.has_room() && !core.lock().sending.ring.is_half_free());
    assert_eq!(woke.0.load(Ordering::Relaxed), 0);
    // This one opens the gate, and does not go through.
    assert!(poll(&mut gives_up, Waker::noop()).is_pending());
    core.forget(gives_up);
    assert_eq!(woke.0.load(Ordering::Relaxed), 1);
    assert!(poll(&mut waits, &waker).is_ready());
}
