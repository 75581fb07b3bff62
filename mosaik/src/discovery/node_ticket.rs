//! A node's id and addresses as one line of text, to be handed to others.

use std::{fmt, str::FromStr};

use iroh::{EndpointAddr, TransportAddr};

use crate::{id::PeerId, schema};

const PREFIX: &str = "mosaik1";
const CHECKSUM_BYTES: usize = 4;
/// Longer text is refused before it is decoded.
const MAX_TEXT_BYTES: usize = 4096;
/// RFC 4648 in lower case: no digit looks like a letter.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The id and the addresses of a node as one line of text, to paste into another node's
/// `--bootstrap` or [`with_bootstrap`](super::ConfigBuilder::with_bootstrap).
///
/// It says where a node is, and nothing about its network: it lets nobody in.
///
/// ```
/// use mosaik::discovery::NodeTicket;
/// use mosaik::iroh::{EndpointAddr, SecretKey};
///
/// let id = SecretKey::from_bytes(&[7; 32]).public();
/// let address = EndpointAddr::new(id).with_ip_addr("192.0.2.1:4433".parse().unwrap());
/// let text = NodeTicket::from(address.clone()).to_string();
/// assert!(text.starts_with("mosaik1"));
/// assert_eq!(text.parse::<NodeTicket>().unwrap().address(), &address);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeTicket(EndpointAddr);

impl NodeTicket {
    /// Where the node is.
    pub fn address(&self) -> &EndpointAddr {
        &self.0
    }

    /// Which node it is.
    pub fn id(&self) -> PeerId {
        self.0.id
    }
}

/// The text is not a node ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeTicketError {
    /// It does not begin with `mosaik1`. It may be something else altogether.
    #[error("a node ticket begins with `{PREFIX}`")]
    Prefix,
    /// A character does not belong there, or the text is far too long.
    #[error("a node ticket consists of the letters a to z and the digits 2 to 7")]
    Text,
    /// The checksum does not match: a character was mistyped or lost. Copy the ticket again.
    #[error("the ticket is damaged: its checksum does not match")]
    Checksum,
    /// The checksum matches, but this version does not understand the content.
    #[error("the ticket was made by a newer version")]
    Content,
}

impl From<EndpointAddr> for NodeTicket {
    fn from(address: EndpointAddr) -> Self {
        Self(address)
    }
}

impl From<NodeTicket> for EndpointAddr {
    fn from(ticket: NodeTicket) -> Self {
        ticket.0
    }
}

impl fmt::Display for NodeTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = postcard::to_stdvec(&(&self.0.id, &self.0.addrs))
            .expect("writing plain data to memory cannot fail");
        bytes.extend_from_slice(&checksum(&bytes));
        f.write_str(PREFIX)?;
        f.write_str(&to_base32(&bytes))
    }
}

impl FromStr for NodeTicket {
    type Err = NodeTicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text.strip_prefix(PREFIX).ok_or(NodeTicketError::Prefix)?;
        if digits.len() > MAX_TEXT_BYTES {
            return Err(NodeTicketError::Text);
        }
        let bytes = from_base32(digits).ok_or(NodeTicketError::Text)?;
        let (content, sum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(NodeTicketError::Checksum)?;
        if checksum(content) != *sum {
            return Err(NodeTicketError::Checksum);
        }
        let (id, addrs): (PeerId, Vec<TransportAddr>) =
            schema::decode(content).map_err(|_| NodeTicketError::Content)?;
        Ok(Self(EndpointAddr::from_parts(id, addrs)))
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = blake3::derive_key("mosaik 2026 node ticket: checksum", content);
    [hash[0], hash[1], hash[2], hash[3]]
}

fn to_base32(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    (0..digits)
        .map(|digit| {
            let value = (0..5).fold(0, |value, bit| {
                let at = digit * 5 + bit;
                let byte = bytes.get(at / 8).copied().unwrap_or(0);
                (value << 1) | (byte >> (7 - at % 8) & 1)
            });
            char::from(ALPHABET[usize::from(value)])
        })
        .collect()
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for digit in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == digit.to_ascii_lowercase())?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    // What is left over fills up the last digit, and is zero.
    (bits < 5 && buffer == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;
    use proptest::prelude::*;

    use super::*;

    fn ticket() -> NodeTicket {
        let address = EndpointAddr::new(SecretKey::from_bytes(&[1; 32]).public())
            .with_ip_addr("127.0.0.1:4433".parse().unwrap())
            .with_ip_addr("[::1]:4433".parse().unwrap())
            .with_relay_url("https://relay.example.org".parse().unwrap());
        NodeTicket(address)
    }

    #[test]
    fn a_mistyped_ticket_is_refused() {
        let text = ticket().to_string();
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(format!(" {text}\n").parse(), Ok(ticket()));
        for at in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.parse::<NodeTicket>().is_err(), "{text}");
        }
        assert!(text[..text.len() - 2].parse::<NodeTicket>().is_err());
        assert_eq!("abc".parse::<NodeTicket>(), Err(NodeTicketError::Prefix));
        let long = format!("{PREFIX}{}", "a".repeat(MAX_TEXT_BYTES + 1));
        assert_eq!(long.parse::<NodeTicket>(), Err(NodeTicketError::Text));
    }

    proptest! {
        #[test]
        fn base32_is_reversible(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(from_base32(&to_base32(&bytes)), Some(bytes));
        }

        #[test]
        fn random_text_never_panics(text in ".{0,80}") {
            let _ = text.parse::<NodeTicket>();
            let _ = format!("{PREFIX}{text}").parse::<NodeTicket>();
        }
    }
}
