use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::*;

const LIMITS: Limits = Limits {
    clients: 2,
    head_timeout: Duration::from_millis(100),
    client_timeout: Duration::from_millis(400),
};

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn open(address: SocketAddr) -> Exporter {
    Exporter::open(address, &NetworkId::random(), CancellationToken::new()).unwrap()
}

/// An exporter that is served within `limits`.
fn serve(tasks: &Tasks, limits: Limits) -> SocketAddr {
    let exporter = open(loopback());
    let (address, clients) = (exporter.site.address, tasks.clone());
    exporter.member.is_up.store(true, Ordering::Release);
    tasks.spawn("test", async move {
        server::run(&exporter.listener, &exporter.site, &clients, limits).await;
    });
    address
}

/// Sends `text` and reads to the end; what comes when nothing came is an empty answer.
async fn say(address: SocketAddr, text: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        // Whoever is cut off may see a reset.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    timeout(Duration::from_secs(10), exchange).await.expect("the exporter ends every connection")
}

async fn get(address: SocketAddr, path: &str) -> String {
    say(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await
}

#[tokio::test]
async fn only_the_three_paths_can_be_read() {
    let tasks = Tasks::new();
    let address = serve(&tasks, Limits::default());
    for (request, answer) in [
        ("GET /metrics", "200 OK"),
        ("HEAD /metrics", "200 OK"),
        ("GET /healthz", "200 OK"),
        ("GET /readyz?verbose=1", "200 OK"),
        ("GET /", "404 Not Found"),
        ("GET /metrics/", "404 Not Found"),
        ("POST /metrics", "405 Method Not Allowed"),
        ("DELETE /healthz", "405 Method Not Allowed"),
    ] {
        let text = say(address, &format!("{request} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {answer}\r\n")), "{request}: {text}");
    }
    tasks.cancel();
    tasks.ended().await;
}

#[tokio::test]
async fn a_network_is_ready_between_its_start_and_its_leave() {
    let (tasks, leaving) = (Tasks::new(), CancellationToken::new());
    let id = NetworkId::from_bytes([0xab; 32]);
    let first = open(loopback());
    let address = first.serve(&tasks);
    let second = Exporter::open(address, &id, leaving.clone()).unwrap();
    let starting = get(address, "/readyz").await;
    assert!(starting.starts_with("HTTP/1.1 503"), "{starting}");
    assert!(starting.ends_with("\r\n\r\nnetwork ababababab is starting\n"), "{starting}");
    assert_eq!(second.serve(&tasks), address);
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    leaving.cancel();
    let leaving = get(address, "/readyz").await;
    assert!(leaving.ends_with("network ababababab is leaving\n"), "{leaving}");
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    tasks.cancel();
    tasks.ended().await;
}

#[tokio::test]
async fn an_address_is_free_after_its_last_network() {
    let [first, second] = [Tasks::new(), Tasks::new()];
    let address = open(loopback()).serve(&first);
    open(address).serve(&second);
    first.cancel();
    first.ended().await;
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    second.cancel();
    second.ended().await;
    assert!(TcpStream::connect(address).await.is_err());
    drop(StdTcpListener::bind(address).unwrap());
}

#[tokio::test]
async fn a_port_of_another_process_is_an_error() {
    let other = StdTcpListener::bind(loopback()).unwrap();
    let address = other.local_addr().unwrap();
    let error = Exporter::open(address, &NetworkId::random(), CancellationToken::new());
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert!(!sites().contains_key(&address));
}

#[tokio::test]
async fn silent_and_slow_clients_are_cut_and_do_not_keep_others_out() {
    let tasks = Tasks::new();
    let address = serve(&tasks, LIMITS);
    let silent = [TcpStream::connect(address).await, TcpStream::connect(address).await];
    // Both slots are taken until the two are cut: then one is answered again.
    let answered = async {
        while !get(address, "/healthz").await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), answered).await.expect("a slot is free again");
    for stream in silent {
        let mut rest = Vec::new();
        let mut stream = stream.unwrap();
        let cut = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
        // An end or a reset.
        let _ = cut.await.expect("a silent client is cut");
    }
    tasks.cancel();
    tasks.ended().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let tasks = Tasks::new();
    let address = serve(&tasks, Limits::default());
    let field = format!("X: {}\r\n", "y".repeat(32 * 1024));
    let fields = "X: y\r\n".repeat(100);
    for text in [
        "garbage\r\n\r\n".to_owned(),
        format!("GET /metrics HTTP/1.1\r\n{field}\r\n"),
        format!("GET /metrics HTTP/1.1\r\n{fields}\r\n"),
        format!("GET /{} HTTP/1.1\r\n\r\n", "m".repeat(32 * 1024)),
    ] {
        let answer = say(address, &text).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    tasks.cancel();
    tasks.ended().await;
}
