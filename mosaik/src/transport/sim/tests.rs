use std::time::Duration;

use bytes::Bytes;
use iroh::SecretKey;
use tokio::time::{Instant, sleep, timeout};

use super::{Connection, LinkQuality, SimConfig, SimNet};
use crate::{
    id::PeerId,
    transport::{CloseReason, StreamError},
};

const IDLE: Duration = Duration::from_secs(5);
const MS: Duration = Duration::from_millis(1);

fn ids() -> [PeerId; 2] {
    [1, 2].map(|seed| SecretKey::from_bytes(&[seed; 32]).public())
}

fn pair() -> (SimNet, Connection, Connection) {
    let [a, b] = ids();
    let net = SimNet::new(1, SimConfig::default());
    let (near, far) = Connection::pair(&net, a, b);
    net.lock().add(near.shared());
    (net, near, far)
}

fn text(text: &'static str) -> [Bytes; 1] {
    [Bytes::from_static(text.as_bytes())]
}

#[tokio::test(start_paused = true)]
async fn a_close_that_a_cut_swallows_is_a_time_out_at_the_far_end() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    net.partition(&[vec![a], vec![b]]);
    let begun = Instant::now();
    near.close(CloseReason::Cancelled);
    sleep(Duration::from_secs(1)).await;
    net.heal();
    assert!(!far.is_closed());
    assert_eq!(far.closed().await, CloseReason::TimedOut);
    assert!(begun.elapsed() >= IDLE);
    assert!(begun.elapsed() < 2 * IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_delays_and_loses_nothing() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    let mut send = near.open_uni().unwrap();
    send.write_all_chunks(&mut text("before")).await.unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "before");
    net.cut(a, b);
    send.write_all_chunks(&mut text("during")).await.unwrap();
    let mut second = near.open_uni().unwrap();
    second.write_all_chunks(&mut text("second")).await.unwrap();
    assert!(timeout(IDLE - MS, recv.read_chunk()).await.is_err());
    net.mend(a, b);
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "during");
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "second");
    sleep(3 * IDLE).await;
    assert!(!near.is_closed() && !far.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_had_arrived_before_a_cut_can_be_read_during_it() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    let mut send = near.open_uni().unwrap();
    send.write_all_chunks(&mut text("before")).await.unwrap();
    sleep(20 * MS).await;
    net.partition(&[vec![a], vec![b]]);
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "before");
}

#[tokio::test(start_paused = true)]
async fn a_one_way_cut_ends_the_deaf_end_first_and_then_the_mute_one() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    let begun = Instant::now();
    net.cut(a, b);
    let mut send = far.open_uni().unwrap();
    send.write_all_chunks(&mut text("the way back works")).await.unwrap();
    let mut recv = near.accept_uni().await.unwrap();
    assert!(recv.read_chunk().await.unwrap().is_some());
    assert_eq!(far.closed().await, CloseReason::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), IDLE.as_secs());
    assert!(!near.is_closed());
    assert_eq!(near.closed().await, CloseReason::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 2 * IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn cuts_with_a_pause_between_them_do_not_add_up() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    for _ in 0..5 {
        net.partition(&[vec![a], vec![b]]);
        sleep(IDLE - 100 * MS).await;
        net.heal();
        sleep(200 * MS).await;
    }
    assert!(!near.is_closed() && !far.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_silence_at_the_far_end() {
    let (net, near, far) = pair();
    let [a, _] = ids();
    let mut send = near.open_uni().unwrap();
    send.write_all_chunks(&mut text("under way")).await.unwrap();
    let begun = Instant::now();
    net.crash(a);
    assert!(near.is_closed() && !far.is_closed());
    near.close(CloseReason::Success);
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "under way");
    let lost = recv.read_chunk().await;
    assert_eq!(lost, Err(StreamError::Lost(CloseReason::TimedOut)));
    assert_eq!(begun.elapsed().as_secs(), IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn what_a_crashed_node_had_left_to_send_again_never_arrives() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    let mut send = near.open_uni().unwrap();
    send.write_all_chunks(&mut text("1")).await.unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "1");
    net.cut(a, b);
    send.write_all_chunks(&mut text("2")).await.unwrap();
    sleep(20 * MS).await;
    net.crash(a);
    net.heal();
    let lost = recv.read_chunk().await;
    assert_eq!(lost, Err(StreamError::Lost(CloseReason::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn loss_and_jitter_keep_the_order_of_a_stream_and_not_that_of_streams() {
    let (net, near, far) = pair();
    net.set_links(&LinkQuality::default().with_loss(0.3).with_jitter(30 * MS));
    let mut send = near.open_uni().unwrap();
    for n in 0..200u8 {
        send.write_all_chunks(&mut [Bytes::copy_from_slice(&[n])]).await.unwrap();
    }
    send.finish();
    let mut recv = far.accept_uni().await.unwrap();
    for n in 0..200u8 {
        assert_eq!(recv.read_chunk().await.unwrap().unwrap(), [n][..]);
    }
    assert_eq!(recv.read_chunk().await, Ok(None));
    let mut sends: Vec<_> = (0..20).map(|_| near.open_uni().unwrap()).collect();
    for send in &mut sends {
        send.write_all_chunks(&mut text("at once")).await.unwrap();
    }
    let mut arrivals = Vec::new();
    for _ in &sends {
        let mut recv = far.accept_uni().await.unwrap();
        arrivals.push(async move {
            recv.read_chunk().await.unwrap();
            Instant::now()
        });
    }
    let arrivals = futures::future::join_all(arrivals).await;
    assert!(!arrivals.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_accept_loses_no_stream() {
    let (_net, near, far) = pair();
    let mut send = near.open_uni().unwrap();
    send.write_all_chunks(&mut text("kept")).await.unwrap();
    assert!(timeout(Duration::from_micros(10), far.accept_uni()).await.is_err());
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk().await.unwrap().unwrap(), "kept");
}

#[tokio::test(start_paused = true)]
async fn a_narrow_link_makes_its_streams_wait_in_line() {
    let (net, near, far) = pair();
    let [a, b] = ids();
    net.set_link(a, b, &LinkQuality::default().with_bandwidth(100_000));
    let begun = Instant::now();
    let mut first = near.open_uni().unwrap();
    first.write_all_chunks(&mut [vec![0; 50_000].into()]).await.unwrap();
    let mut second = near.open_uni().unwrap();
    second.write_all_chunks(&mut [vec![0; 50_000].into()]).await.unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    recv.read_chunk().await.unwrap();
    assert_eq!(begun.elapsed().as_millis() / 100, 5);
    let mut recv = far.accept_uni().await.unwrap();
    recv.read_chunk().await.unwrap();
    assert_eq!(begun.elapsed().as_millis() / 100, 10);
    assert_eq!(net.traffic(&a).bytes, 100_000);
    assert_eq!(net.traffic(&a).messages, 2);
}

#[tokio::test(start_paused = true)]
async fn the_seed_alone_decides_latencies() {
    let [a, b] = ids();
    let latencies = |seed| {
        let net = SimNet::new(seed, SimConfig::default());
        let (near, _far) = Connection::pair(&net, a, b);
        near.rtt()
    };
    assert_eq!(latencies(1), latencies(1));
    assert!((2..20).any(|seed| latencies(seed) != latencies(1)));
}

/// How late each of 200 packets of a bad link comes.
async fn delays(seed: u64, others_talk: bool) -> Vec<Duration> {
    let [a, b] = ids();
    let net = SimNet::new(seed, SimConfig::default());
    net.set_links(&LinkQuality::default().with_loss(0.3).with_jitter(30 * MS));
    let (near, far) = Connection::pair(&net, a, b);
    let other = SecretKey::from_bytes(&[3; 32]).public();
    let (elsewhere, _there) = Connection::pair(&net, a, other);
    let mut delays = Vec::new();
    for _ in 0..200 {
        if others_talk {
            let mut send = elsewhere.open_uni().unwrap();
            send.write_all_chunks(&mut text("something else")).await.unwrap();
        }
        let sent = Instant::now();
        let mut send = near.open_uni().unwrap();
        send.write_all_chunks(&mut text("packet")).await.unwrap();
        let mut recv = far.accept_uni().await.unwrap();
        recv.read_chunk().await.unwrap();
        delays.push(sent.elapsed());
    }
    delays
}

#[tokio::test(start_paused = true)]
async fn the_seed_alone_decides_which_packets_are_lost_and_which_are_late() {
    let once = delays(1, false).await;
    assert_eq!(delays(1, false).await, once);
    assert_eq!(delays(1, true).await, once, "what others send changes nothing");
    let (least, most) = (once.iter().min().unwrap(), once.iter().max().unwrap());
    assert!(*most >= *least + 50 * MS, "some were lost: {least:?} to {most:?}");
    assert_ne!(delays(2, false).await, once);
}
