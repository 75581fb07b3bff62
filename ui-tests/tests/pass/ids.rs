//! `unique_id!`, `id!`, `tag!`.

use mosaik::{Tag, UniqueId, id, tag, unique_id};

const PRICES: UniqueId = unique_id!("prices");
const MATCHER: Tag = tag!("matcher");

#[test]
fn ids_are_hashed_as_text_is_at_run_time() {
    assert_eq!(PRICES, UniqueId::from("prices"));
    assert_eq!(MATCHER, Tag::from("matcher"));
    assert_eq!(mosaik::id!("prices"), id!("prices"));
}

#[test]
fn sixty_four_digits_are_the_id_itself() {
    const ID: UniqueId =
        unique_id!("00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff");
    assert_eq!(ID.as_bytes()[..3], [0x00, 0x11, 0x22]);
    assert_eq!(ID, UniqueId::from(ID.to_string().as_str()));
}

#[test]
fn raw_text_and_escapes_are_text() {
    assert_eq!(unique_id!(r"a\b"), UniqueId::from("a\\b"));
    assert_eq!(unique_id!("größe"), UniqueId::from("größe"));
}
