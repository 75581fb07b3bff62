use insta::assert_snapshot;
use quote::quote;

use super::stream;
use crate::testing::{messages, pretty};

#[test]
fn a_struct_with_an_intent() {
    let item = quote! {
        /// One measurement.
        #[derive(Debug, Clone)]
        pub struct Reading {
            pub sensor: u64,
            pub celsius: f64,
        }
    };
    assert_snapshot!(pretty(stream(quote!("sensors.temperature"), item)));
}

#[test]
fn an_enum_without_an_intent_is_named_after_its_package() {
    let item = quote!(
        enum Tick {
            Up(u8),
            Down { by: u16 },
        }
    );
    assert_snapshot!(pretty(stream(quote!(), item)));
}

#[test]
fn a_generic_type_folds_its_parameters_into_the_id() {
    let item = quote! {
        pub struct Wrapper<T: Clone, const N: usize = 3>
        where
            T: PartialEq,
        {
            pub v: [T; N],
        }
    };
    assert_snapshot!(pretty(stream(quote!("wrap", crate = ::m0saik), item)));
}

#[test]
fn a_second_name_for_a_type() {
    let item = quote!(
        pub struct EthPrice;
    );
    assert_snapshot!(pretty(stream(quote!("oracle.eth", datum = Vec<Price>), item)));
}

#[test]
fn every_option() {
    let attribute = quote! {
        "busy",
        buffer = 16,
        on_lag = "drop-oldest",
        retain = 20,
        max_consumers = LIMIT,
        online_when = |c| c.minimum_of(2),
        require = |peer| peer.tags().contains(&A),
        require = trusted,
        require_ticket = StaffOnly,
        require_ticket = member(of::<A, B>()),
        producer(
            online_when = |c| c.minimum_of(3),
            require = |peer| fast(peer),
            require_ticket = Signed { by: KEY },
        ),
        consumer(require = |peer| peer.tags().contains(&B), require_ticket = paid, require_ticket = seen),
        constructors = false,
        serde = false,
    };
    let item = quote!(
        struct Busy(u8);
    );
    assert_snapshot!(pretty(stream(attribute, item)));
}

#[test]
fn derives_that_are_there_are_not_added() {
    let item = quote! {
        #[derive(serde::Serialize, Debug)]
        #[serde(crate = "my::serde", rename_all = "camelCase")]
        struct Half {
            a: u8,
        }
    };
    let expansion = pretty(stream(quote!("half"), item));
    assert!(expansion.contains("#[derive(::mosaik::private::serde::Deserialize)]"), "{expansion}");
    assert!(!expansion.contains("private::serde::Serialize)]"), "{expansion}");
    assert!(!expansion.contains("#[serde(crate = \"::mosaik"), "{expansion}");
}

#[test]
fn a_wrong_option_does_not_take_the_stream_away() {
    let expansion = stream(
        quote!("a", bufer = 3),
        quote!(
            struct A;
        ),
    );
    assert_eq!(messages(expansion.clone()).len(), 1);
    assert!(pretty(expansion).contains("Datum for A"));
}

#[test]
fn a_structural_error_leaves_the_item_and_what_makes_it_serdes() {
    let expansion = stream(
        quote!("a"),
        quote!(
            struct A<'a> {
                b: &'a str,
            }
        ),
    );
    assert_eq!(messages(expansion.clone()).len(), 2);
    let expansion = pretty(expansion);
    assert!(expansion.contains("serde::Serialize"), "{expansion}");
    assert!(!expansion.contains("Datum for A"), "{expansion}");
}

#[test]
fn all_errors_of_an_item_are_reported_together() {
    let item = quote! {
        struct Many {
            #[serde(flatten)]
            a: A,
            #[serde(skip_serializing_if = "Option::is_none")]
            b: Option<&'static str>,
            c: [u8; 64],
        }
    };
    let attribute = quote!("", buffer = 0, colour = |a, b| 3, serde = 1, buffer = 2);
    assert_snapshot!(messages(stream(attribute, item)).join("\n"));
}

#[test]
fn a_syntax_error_ends_the_attribute_only() {
    let expansion = stream(
        quote!("a", buffer = 16, max_consumers = = 3),
        quote!(
            struct A;
        ),
    );
    assert_eq!(messages(expansion.clone()).len(), 1);
    assert!(pretty(expansion).contains("with_buffer_size(16)"));
}

#[test]
fn raw_names_are_named_without_their_mark() {
    let expansion = pretty(stream(
        quote!(),
        quote!(
            struct r#Type;
        ),
    ));
    assert!(expansion.contains("\"::\", \"Type\""), "{expansion}");
}

#[test]
fn sixty_four_hex_digits_are_the_id_itself() {
    let id = "AB".repeat(32);
    let expansion = pretty(stream(
        quote!(#id),
        quote!(
            struct A;
        ),
    ));
    assert!(expansion.contains(&format!("\"{}\"", "ab".repeat(32))), "{expansion}");
}

#[test]
fn fields_that_serde_refuses_get_impls_that_stand_in() {
    let item = quote! {
        #[derive(Debug, serde::Serialize)]
        struct A<T> {
            #[serde(rename = "b")]
            a: [T; 64],
        }
    };
    assert_snapshot!(pretty(crate::data::data(quote!(), item)));
}
