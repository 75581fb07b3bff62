//! The same work on iroh's own endpoints, connections and streams.

use std::time::{Duration, Instant};

use mosaik::{
    Bytes, BytesMut,
    iroh::{
        Endpoint, EndpointAddr, RelayMode,
        endpoint::{Connection, presets},
    },
};

use crate::figures::{Meter, median};

const ALPN: &[u8] = b"raw/1";
const CHUNK: usize = 64 * 1024;

async fn endpoint() -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_address_lookup()
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .expect("an address")
        .alpns(vec![ALPN.to_vec()]);
    builder.bind().await.expect("an endpoint")
}

/// Two endpoints, and a connection as seen from both.
async fn pair() -> ([Endpoint; 2], [Connection; 2]) {
    let (a, b) = (endpoint().await, endpoint().await);
    let addr = EndpointAddr::new(b.id()).with_ip_addr(b.bound_sockets()[0]);
    let accepting = tokio::spawn({
        let b = b.clone();
        async move { b.accept().await.expect("a dial").await.expect("a connection") }
    });
    let there = a.connect(addr, ALPN).await.expect("a connection");
    let here = accepting.await.expect("accepted");
    ([a, b], [there, here])
}

/// Frames a second, each a length and `size` bytes, gathered into chunks by the sender.
#[allow(dead_code, reason = "each bench uses some")]
pub async fn rate(span: Duration, size: usize) -> f64 {
    let (endpoints, [there, here]) = pair().await;
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let mut stream = there.open_uni().await.expect("a stream");
        let head = Bytes::copy_from_slice(&(size as u32).to_le_bytes());
        let body = Bytes::from(vec![7; size]);
        let frame = [&head[..], &body].concat();
        let mut sent = 0u64;
        while begun.elapsed() < span {
            if size >= CHUNK {
                // Nothing is gained by copying what is large already.
                let mut chunks = [head.clone(), body.clone()];
                stream.write_all_chunks(&mut chunks).await.expect("written");
                sent += 1;
                continue;
            }
            let mut chunk = BytesMut::with_capacity(CHUNK + frame.len());
            while chunk.len() < CHUNK {
                chunk.extend_from_slice(&frame);
                sent += 1;
            }
            stream.write_chunk(chunk.freeze()).await.expect("written");
        }
        stream.finish().expect("finished");
        (sent, there)
    });
    let receiving = tokio::spawn(async move {
        let mut stream = here.accept_uni().await.expect("a stream");
        let mut chunks = vec![Bytes::new(); 64];
        let (mut head, mut head_length, mut missing) = ([0; 4], 0, 0);
        let mut meter = Meter::new(span);
        while let Some(read) = stream.read_many_chunks(&mut chunks).await.expect("read") {
            for chunk in &mut chunks[..read] {
                let chunk = std::mem::take(chunk);
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    if missing == 0 && head_length == 0 && rest.len() >= 4 + size {
                        let (frame, after) = rest.split_at(4 + size);
                        assert_eq!(frame[..4], (size as u32).to_le_bytes());
                        rest = after;
                        meter.tick();
                    } else if missing == 0 {
                        head[head_length] = rest[0];
                        head_length += 1;
                        rest = &rest[1..];
                        if head_length == 4 {
                            missing = u32::from_le_bytes(head) as usize;
                            head_length = 0;
                        }
                    } else {
                        let taken = missing.min(rest.len());
                        rest = &rest[taken..];
                        missing -= taken;
                        if missing == 0 {
                            meter.tick();
                        }
                    }
                }
            }
        }
        (meter.count(), meter.rate(), here)
    });
    let (sent, _there) = sending.await.expect("the sender");
    let (received, rate, _here) = receiving.await.expect("the receiver");
    assert_eq!(sent, received);
    let [a, b] = endpoints;
    tokio::join!(a.close(), b.close());
    rate
}

/// The median time of 64 bytes there and back on one open stream, in seconds.
pub async fn ping_pong(span: Duration) -> f64 {
    let (endpoints, [there, here]) = pair().await;
    let echo = tokio::spawn(async move {
        let (mut send, mut recv) = here.accept_bi().await.expect("a stream");
        while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX).await {
            send.write_chunk(chunk).await.expect("written");
        }
    });
    let pinging = tokio::spawn(async move {
        let (mut send, mut recv) = there.open_bi().await.expect("a stream");
        let (mut times, begun, mut answer) = (Vec::new(), Instant::now(), [0; 64]);
        while begun.elapsed() < span {
            let sent = Instant::now();
            send.write_chunk(Bytes::from_static(&[7; 64])).await.expect("written");
            recv.read_exact(&mut answer).await.expect("returned");
            times.push(sent.elapsed());
        }
        median(times)
    });
    let median = pinging.await.expect("pings");
    echo.abort();
    let [a, b] = endpoints;
    tokio::join!(a.close(), b.close());
    median
}
