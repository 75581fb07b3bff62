//! What a node publishes, and how it is scraped.

mod exporter;
mod values;

use std::net::SocketAddr;

use mosaik::{Network, network::NetworkBuilder, primitives::ShortFmtExt};
use mosaik_tests::{scaled, secs, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// Status line and body of an answer.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

/// A builder with an exporter on a free port.
fn exporting(builder: NetworkBuilder) -> NetworkBuilder {
    builder.with_prometheus_addr("127.0.0.1:0".parse().expect("an address"))
}

fn address(network: &Network) -> SocketAddr {
    network.prometheus_addr().expect("it exports")
}

/// All that is exported, by what stands before the value.
struct Scrape(String);

impl Scrape {
    async fn of(address: SocketAddr) -> Self {
        let (status, body) = get(address, "/metrics").await.expect("the exporter answers");
        assert_eq!(status, "HTTP/1.1 200 OK");
        Self(body)
    }

    /// The value of a network's series.
    fn value(&self, network: &Network, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let mut label = format!("network=\"{}\"", network.network_id().short());
        for (key, value) in labels {
            label += &format!(",{key}=\"{value}\"");
        }
        let series = format!("{name}{{{label}}} ");
        let value = self.0.lines().find_map(|line| line.strip_prefix(series.as_str()))?;
        Some(value.parse::<f64>().expect("a number") as u64)
    }
}

/// Scrapes until `holds`, for at most ten seconds; says what was seen last if it never does.
async fn scrape_until(address: SocketAddr, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
    let deadline = tokio::time::Instant::now() + scaled(secs(10));
    loop {
        let scrape = within(secs(5), "a scrape", Scrape::of(address)).await;
        if holds(&scrape) {
            return scrape;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {what}; the last was\n{}", scrape.0);
        sleep(std::time::Duration::from_millis(50)).await;
    }
}
