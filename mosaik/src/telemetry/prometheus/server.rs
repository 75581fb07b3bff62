//! The three paths over HTTP/1.1, for clients that may be slow, many or hostile.

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{Site, recorders};
use crate::tasks::Tasks;

/// Clients at once; a further one is disconnected.
const MAX_CLIENTS: usize = 32;
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take in all, with reading the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of a request.
const MAX_HEADERS: usize = 64;
/// How often histograms are worked off if nobody scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// After a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What clients may take; shorter in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) clients: usize,
    pub(super) head_timeout: Duration,
    pub(super) client_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: MAX_CLIENTS, head_timeout: HEAD_TIMEOUT, client_timeout: CLIENT_TIMEOUT }
    }
}

/// Answers clients, each in a task of its own, for ever.
pub(super) async fn run(listener: &TcpListener, site: &Arc<Site>, tasks: &Tasks, limits: Limits) {
    let slots = Arc::new(Semaphore::new(limits.clients));
    let mut upkeep = interval(UPKEEP_INTERVAL);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = upkeep.tick() => {
                recorders::upkeep();
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
                let site = site.clone();
                tasks.spawn("telemetry.client", async move {
                    let _ = timeout(limits.client_timeout, answer(stream, &site, limits)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a client of the metrics was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, site: &Site, limits: Limits) {
    let service = service_fn(|request| ready(Ok::<_, Infallible>(respond(&request, site))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client of the metrics was not answered");
    }
}

fn respond(request: &Request<Incoming>, site: &Site) -> Response<Full<bytes::Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, content_type, body) = match request.uri().path() {
        "/metrics" | "/healthz" | "/readyz" if !is_read => {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned())
        }
        "/metrics" => (StatusCode::OK, EXPOSITION, recorders::render()),
        "/healthz" => (StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/readyz" => match site.unready() {
            None => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Some(reasons) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, reasons),
        },
        _ => (StatusCode::NOT_FOUND, TEXT, "/metrics, /healthz, /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
