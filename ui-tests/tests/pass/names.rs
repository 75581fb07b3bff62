//! Where types may stand and what they may be called.

use mosaik::{Network, StreamId, UniqueId, stream};

#[stream]
#[derive(Debug)]
#[allow(non_camel_case_types)]
struct r#type {
    r#match: u8,
}

#[stream]
pub struct Größe(pub u8);

mod inner {
    #[mosaik::stream("restricted")]
    pub(in crate::names) struct Restricted;

    pub mod deeper {
        #[mosaik::stream("restricted")]
        pub(super) struct Hidden;

        pub fn id() -> mosaik::StreamId {
            Hidden::STREAM_ID
        }
    }
}

#[test]
fn a_type_without_an_intent_is_named_after_its_package() {
    assert_eq!(r#type::INTENT, "mosaik-ui-tests::type");
    assert_eq!(r#type::STREAM_ID, UniqueId::from("mosaik-ui-tests::type"));
    assert_eq!(Größe::INTENT, "mosaik-ui-tests::Größe");
    let _ = r#type { r#match: 1 }.r#match;
}

#[test]
fn visibility_is_carried_over() {
    assert_eq!(inner::Restricted::STREAM_ID, inner::deeper::id());
}

#[test]
fn a_function_may_hold_streams() {
    #[stream("local")]
    struct Local(u8);

    mosaik::declare::stream!(LocalNumbers = u64, "local.numbers");

    assert_eq!(Local::STREAM_ID, StreamId::from("local"));
    assert_eq!(LocalNumbers::STREAM_ID, StreamId::from("local.numbers"));
    let _ = Local(1).0;
}

#[test]
fn constructors_may_be_left_to_the_type() {
    #[stream("own", constructors = false)]
    struct Own;

    impl Own {
        fn producer() -> &'static str {
            "mine"
        }
    }

    assert_eq!(Own::producer(), "mine");
    let _: fn(&Network) -> mosaik::ProducerOf<Own> = <Own as mosaik::StreamProducer>::producer;
}

#[test]
fn a_deprecated_type_does_not_warn_about_itself() {
    #[deny(warnings)]
    mod old {
        #[deprecated = "for the test"]
        #[mosaik::stream("old")]
        pub struct Old;
    }
    #[allow(deprecated)]
    let id = old::Old::STREAM_ID;
    assert_eq!(id, StreamId::from("old"));
}
