//! A node to begin with, as users name it.

use std::{fmt, str::FromStr};

use iroh::EndpointAddr;
use serde::{Deserialize, Serialize};

use super::node_ticket::{NodeTicket, NodeTicketError};
use crate::id::PeerId;

/// A node to begin with: by its address, its ticket, its id, or as `id@host:port`.
///
/// ```
/// use mosaik::discovery::Bootstrap;
///
/// let id = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
/// let by_name: Bootstrap = format!("{id}@node.example.org:4433").parse().unwrap();
/// assert!(matches!(by_name, Bootstrap::Host(_)));
/// let by_id: Bootstrap = id.parse().unwrap();
/// assert!(matches!(by_id, Bootstrap::Address(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bootstrap {
    /// At these addresses; without any, they are looked up by the id.
    Address(EndpointAddr),
    /// At a host whose name is resolved again at every attempt.
    Host(BootstrapHost),
}

/// A node at a named host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootstrapHost {
    /// The node.
    pub id: PeerId,
    /// The name or the IP address of its host.
    pub host: String,
    /// The UDP port of the node.
    pub port: u16,
}

/// The text names no bootstrap node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// It looks like a node ticket but is none.
    #[error(transparent)]
    Ticket(#[from] NodeTicketError),
    /// What should be the node's id is not 64 hexadecimal digits of a valid key.
    #[error("`{0}` is not the id of a node")]
    Id(String),
    /// After `id@` a host and a port are expected, as in `node.example.org:4433`.
    #[error("`{0}` is not a host with a port")]
    Host(String),
}

impl FromStr for Bootstrap {
    type Err = BootstrapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.split_once('@') {
            Some((id, host)) => {
                let error = || BootstrapError::Host(host.into());
                let (name, port) = host.rsplit_once(':').ok_or_else(error)?;
                let port = port.parse().map_err(|_| error())?;
                // An IPv6 address stands in brackets, to tell its colons from the port's.
                let name = name.strip_prefix('[').map_or(Some(name), |v6| v6.strip_suffix(']'));
                let host = name.filter(|name| !name.is_empty()).ok_or_else(error)?.to_owned();
                Ok(Self::Host(BootstrapHost { id: parse_id(id)?, host, port }))
            }
            None if text.starts_with("mosaik1") => Ok(text.parse::<NodeTicket>()?.into()),
            None => Ok(parse_id(text)?.into()),
        }
    }
}

fn parse_id(text: &str) -> Result<PeerId, BootstrapError> {
    text.parse().map_err(|_| BootstrapError::Id(text.into()))
}

impl From<EndpointAddr> for Bootstrap {
    fn from(address: EndpointAddr) -> Self {
        Self::Address(address)
    }
}

impl From<&EndpointAddr> for Bootstrap {
    fn from(address: &EndpointAddr) -> Self {
        Self::Address(address.clone())
    }
}

impl From<PeerId> for Bootstrap {
    fn from(id: PeerId) -> Self {
        Self::Address(id.into())
    }
}

impl From<&PeerId> for Bootstrap {
    fn from(id: &PeerId) -> Self {
        Self::from(*id)
    }
}

impl From<NodeTicket> for Bootstrap {
    fn from(ticket: NodeTicket) -> Self {
        Self::Address(ticket.into())
    }
}

impl From<BootstrapHost> for Bootstrap {
    fn from(host: BootstrapHost) -> Self {
        Self::Host(host)
    }
}

/// `id@host:port`.
impl fmt::Display for BootstrapHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, host, port } = self;
        if host.contains(':') {
            write!(f, "{id}@[{host}]:{port}")
        } else {
            write!(f, "{id}@{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn all_forms_are_understood() {
        let id = SecretKey::from_bytes(&[1; 32]).public();
        assert_eq!(id.to_string().parse(), Ok(Bootstrap::from(id)));
        let ticket = NodeTicket::from(EndpointAddr::new(id));
        assert_eq!(ticket.to_string().parse(), Ok(Bootstrap::from(ticket)));
        for (text, host) in [("localhost:1", "localhost"), ("[::1]:1", "::1")] {
            let parsed: Bootstrap = format!("{id}@{text}").parse().unwrap();
            let expected = BootstrapHost { id, host: host.into(), port: 1 };
            assert_eq!(format!("{id}@{text}"), expected.to_string());
            assert_eq!(parsed, expected.into());
        }
    }

    #[test]
    fn other_text_is_refused_with_the_part_that_is_wrong() {
        let id = SecretKey::from_bytes(&[1; 32]).public();
        let parse = |text: String| text.parse::<Bootstrap>().unwrap_err();
        assert!(matches!(parse("nonsense".into()), BootstrapError::Id(_)));
        assert!(matches!(parse("nonsense@localhost:1".into()), BootstrapError::Id(_)));
        assert!(matches!(parse("mosaik1nonsense".into()), BootstrapError::Ticket(_)));
        for host in ["", "localhost", "localhost:port", ":1", "[::1:1", "localhost:99999"] {
            assert!(matches!(parse(format!("{id}@{host}")), BootstrapError::Host(_)), "{host}");
        }
    }
}
