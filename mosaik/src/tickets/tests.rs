//! Judging tickets, as plain values.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use iroh::SecretKey;

use super::{Expiration, InvalidTicket, Ticket, TicketClass, TicketValidator, are_lacking, judge};
use crate::{
    discovery::{PeerEntry, SignedPeerEntry},
    id::UniqueId,
    ticket::Verdict,
};

/// Passes tickets that hold their expiry in seconds since 1970, or `never`.
struct Dated(&'static str);

impl TicketValidator for Dated {
    fn class(&self) -> TicketClass {
        TicketClass::from(self.0)
    }

    fn signature(&self) -> UniqueId {
        self.class().derive("dated")
    }

    fn validate(&self, ticket: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        match std::str::from_utf8(ticket).map_err(|_| InvalidTicket)? {
            "never" => Ok(Expiration::Never),
            "panic" => panic!("on purpose"),
            // Asks for the date, as a validator may.
            "now" => Ok(Expiration::in_1h()),
            text => {
                text.parse().map(|seconds| Expiration::At(at(seconds))).map_err(|_| InvalidTicket)
            }
        }
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn until(seconds: i64) -> Verdict {
    Verdict::Valid(Expiration::At(at(seconds)))
}

fn ticket(class: &str, text: &str) -> Ticket {
    Ticket::new(class.into(), text.to_owned().into())
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

fn entry(tickets: &[(&str, &str)]) -> PeerEntry {
    let entry = PeerEntry::new("net", key().public());
    tickets.iter().fold(entry, |entry, (class, text)| entry.add_ticket(ticket(class, text)))
}

/// The entry as it is known before its tickets have come.
fn without_bodies(entry: PeerEntry) -> PeerEntry {
    let json = serde_json::to_string(&entry).unwrap();
    let bare: PeerEntry = serde_json::from_str(&json).unwrap();
    assert_eq!(bare, entry);
    assert!(bare.tickets().is_empty());
    bare
}

fn requiring(classes: &[&'static str]) -> Vec<Arc<dyn TicketValidator>> {
    classes.iter().map(|class| Arc::new(Dated(class)) as Arc<dyn TicketValidator>).collect()
}

#[test]
fn without_validators_everybody_passes_for_ever() {
    assert_eq!(judge(&[], &entry(&[]), at(5)), Verdict::Valid(Expiration::Never));
    assert_eq!(entry(&[]).validate_tickets(&requiring(&[])), Ok(None));
}

#[test]
fn a_peer_without_a_ticket_of_the_class_or_with_a_wrong_or_expired_one_is_refused() {
    let a = requiring(&["a"]);
    for tickets in [&[][..], &[("b", "never")], &[("a", "wrong")], &[("a", "5")], &[("a", "4")]] {
        assert_eq!(judge(&a, &entry(tickets), at(5)), Verdict::Invalid, "{tickets:?}");
    }
    assert_eq!(judge(&a, &entry(&[("a", "6")]), at(5)), until(6));
}

#[test]
fn of_several_tickets_the_one_that_is_good_for_longest_counts() {
    let peer = entry(&[("a", "6"), ("a", "9"), ("a", "wrong"), ("b", "never")]);
    assert_eq!(judge(&requiring(&["a"]), &peer, at(5)), until(9));
    assert_eq!(peer.validate_ticket(&Dated("a")), Err(InvalidTicket), "by the machine's date");
    assert_eq!(peer.validate_ticket(&Dated("b")), Ok(Expiration::Never));
}

#[test]
fn all_validators_must_be_passed_and_the_earliest_expiry_counts() {
    let both = requiring(&["a", "b"]);
    assert_eq!(judge(&both, &entry(&[("a", "9"), ("b", "7")]), at(5)), until(7));
    assert_eq!(judge(&both, &entry(&[("a", "9")]), at(5)), Verdict::Invalid);
    assert_eq!(judge(&both, &entry(&[("a", "9"), ("b", "5")]), at(5)), Verdict::Invalid);
    let far = entry(&[("a", "never"), ("b", "99999999999")]);
    assert_eq!(far.validate_tickets(&both), Ok(Some(Expiration::At(at(99_999_999_999)))));
    assert!(far.validate_tickets(&requiring(&["a", "c"])).is_err());
}

#[test]
fn while_a_body_that_may_decide_is_not_here_nobody_is_refused() {
    let (a, both) = (requiring(&["a"]), requiring(&["a", "b"]));
    let bare = without_bodies(entry(&[("a", "9")]));
    assert_eq!(judge(&a, &bare, at(5)), Verdict::Pending);
    assert!(are_lacking(&a, &bare));
    // The other ticket is certainly missing.
    assert_eq!(judge(&both, &bare, at(5)), Verdict::Invalid);
    let mut come = bare.clone();
    assert!(come.attach_tickets([ticket("a", "9")]));
    assert_eq!(judge(&a, &come, at(5)), until(9));
    // One that passes is enough, but the other is wanted all the same.
    let mut one = without_bodies(entry(&[("a", "9"), ("a", "99")]));
    one.attach_tickets([ticket("a", "9")]);
    assert_eq!(judge(&a, &one, at(5)), until(9));
    assert!(are_lacking(&a, &one));
}

#[test]
fn a_validator_reads_the_date_of_the_node_that_asks_and_may_panic() {
    assert_eq!(judge(&requiring(&["a"]), &entry(&[("a", "now")]), at(5)), until(3605));
    assert_eq!(judge(&requiring(&["a"]), &entry(&[("a", "panic")]), at(5)), Verdict::Invalid);
}

#[test]
fn a_name_takes_the_place_of_the_signature() {
    let named: Arc<dyn TicketValidator> = Arc::new(Box::new(Dated("a")).named("prod"));
    let same = Dated("a").named("prod");
    assert_eq!(named.signature(), same.signature());
    assert_ne!(named.signature(), Dated("a").signature());
    assert_ne!(named.signature(), Dated("a").named("test").signature());
    assert_ne!(named.signature(), Dated("b").named("prod").signature());
    assert_eq!(
        (named.name(), format!("{named:?}")),
        ("prod".into(), "TicketValidator(prod)".into())
    );
    assert_eq!(judge(&[named], &entry(&[("a", "9")]), at(5)), until(9));
}

#[test]
fn bodies_that_the_entry_does_not_name_are_not_attached() {
    let mut bare = without_bodies(entry(&[("a", "9")]));
    assert!(!bare.attach_tickets([ticket("a", "never"), ticket("b", "9")]));
    assert!(bare.tickets().is_empty());
    assert!(!bare.attach_tickets([ticket("a", "never"), ticket("a", "9")]));
    assert_eq!(bare.tickets().len(), 1);
}

#[test]
fn a_signed_entry_takes_its_tickets_along_and_drops_forged_ones() {
    let signed = entry(&[("a", "9"), ("b", "x")]).sign(&key()).unwrap();
    let json = serde_json::to_string(&signed).unwrap();
    let decoded: SignedPeerEntry = serde_json::from_str(&json).unwrap();
    assert_eq!(decoded, signed);
    assert_eq!(decoded.tickets(), signed.tickets());
    let data = |text: &str| serde_json::to_string(text.as_bytes()).unwrap();
    assert!(json.contains(&data("9")));
    let forged = json.replace(&data("9"), &data("8"));
    let decoded: SignedPeerEntry = serde_json::from_str(&forged).unwrap();
    assert_eq!(decoded.tickets().len(), 1);
    assert!(decoded.tickets_of("a".into()).next().is_none());
}
