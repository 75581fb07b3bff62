//! Appends as they travel: a head, then the entries.
//!
//! An entry is its term (8 bytes, little-endian), its kind (1 byte), the length of its content (4
//! bytes) and that; its index follows from the one before. What is received is not copied: items
//! are slices of the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::EntryPayload;

use super::{
    errors::AnswerError,
    log::content_len,
    messages::{AppendHead, WireMembership, decode, encode},
    type_config::{AppendRequest, Entry, Logged, Membership, entry_id},
};
use crate::groups::state::Item;

const ENTRY_HEAD: usize = 8 + 1 + 4;
/// More than any head takes.
const MAX_HEAD: usize = 160;

const BLANK: u8 = 0;
const ITEM: u8 = 1;
const MEMBERSHIP: u8 = 2;

pub(super) fn head(request: &AppendRequest) -> AppendHead {
    AppendHead {
        vote: (&request.vote).into(),
        previous: request.prev_log_id.map(Into::into),
        committed: request.leader_commit.map(Into::into),
        entries: u32::try_from(request.entries.len()).unwrap_or(u32::MAX),
    }
}

pub(super) fn encode_append(request: &AppendRequest) -> Bytes {
    let sizes = request.entries.iter().map(|entry| ENTRY_HEAD + content_len(entry));
    let mut out = BytesMut::with_capacity(MAX_HEAD + sizes.sum::<usize>());
    out.extend_from_slice(&encode(&head(request)));
    for entry in &request.entries {
        out.put_u64_le(entry.log_id.committed_leader_id().term);
        match &entry.payload {
            EntryPayload::Blank => put(&mut out, BLANK, &[]),
            EntryPayload::Normal(logged) => put(&mut out, ITEM, &logged.item.0),
            EntryPayload::Membership(membership) => {
                put(&mut out, MEMBERSHIP, &encode(&WireMembership::from(membership)));
            }
        }
    }
    out.freeze()
}

fn put(out: &mut BytesMut, kind: u8, content: &[u8]) {
    out.put_u8(kind);
    // Longer ones are refused long before they are entries.
    out.put_u32_le(u32::try_from(content.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(content);
}

pub(super) fn decode_append(mut message: Bytes) -> Result<AppendRequest, AnswerError> {
    let (head, rest) =
        postcard::take_from_bytes::<AppendHead>(&message).map_err(|_| AnswerError::Malformed)?;
    message.advance(message.len() - rest.len());
    let count = usize::try_from(head.entries).map_err(|_| AnswerError::Malformed)?;
    if count > message.len() / ENTRY_HEAD {
        return Err(AnswerError::Malformed);
    }
    let mut entries = Vec::with_capacity(count);
    let mut index = match head.previous {
        Some(previous) => previous.index.checked_add(1),
        None => Some(0),
    };
    for _ in 0..count {
        let at = index.ok_or(AnswerError::Malformed)?;
        entries.push(take_entry(&mut message, at)?);
        index = at.checked_add(1);
    }
    if message.is_empty() { Ok(request(&head, entries)) } else { Err(AnswerError::Malformed) }
}

pub(super) fn request(head: &AppendHead, entries: Vec<Entry>) -> AppendRequest {
    AppendRequest {
        vote: head.vote.into(),
        prev_log_id: head.previous.map(Into::into),
        entries,
        leader_commit: head.committed.map(Into::into),
    }
}

fn take_entry(message: &mut Bytes, index: u64) -> Result<Entry, AnswerError> {
    if message.len() < ENTRY_HEAD {
        return Err(AnswerError::Malformed);
    }
    let (term, kind, len) = (message.get_u64_le(), message.get_u8(), message.get_u32_le());
    let len = usize::try_from(len).map_err(|_| AnswerError::Malformed)?;
    if len > message.len() {
        return Err(AnswerError::Malformed);
    }
    let content = message.split_to(len);
    let payload = match kind {
        BLANK if content.is_empty() => EntryPayload::Blank,
        ITEM => EntryPayload::Normal(Logged::new(Item(content))),
        MEMBERSHIP => {
            let membership: WireMembership = decode(&content)?;
            EntryPayload::Membership(Membership::try_from(membership)?)
        }
        _ => return Err(AnswerError::Malformed),
    };
    Ok(Entry { log_id: entry_id(term, index), payload })
}
