use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::stream;
use crate::testing::{messages, pretty};

fn declare(declaration: TokenStream) -> TokenStream {
    stream(quote!(::mosaik, #declaration))
}

#[test]
fn a_plain_declaration() {
    assert_snapshot!(pretty(declare(quote!(pub Prices = Price))));
}

#[test]
fn one_side_with_everything() {
    assert_snapshot!(pretty(declare(quote! {
        /// Prices of one kind.
        #[derive(Clone)]
        pub(crate) producer Prices<T: Datum, const N: usize> = Wrap<T, N>, "prices",
        consumer require: |peer| peer.tags().contains(&A),
        consumer require_ticket: StaffOnly,
        require_ticket: member(A),
        online_when: |c| c.minimum_of(1),
        max_consumers: 3,
        buffer_size: 16,
        disconnect_lagging: true,
    })));
}

#[test]
fn an_id_expression_and_entries_of_both_sides() {
    assert_snapshot!(pretty(declare(quote! {
        Prices = Price, ids::PRICES,
        require: |peer| fast(peer),
        require: trusted,
        producer require: |peer| peer.tags().contains(&A),
        require_ticket: StaffOnly,
        producer require_ticket: member(of::<A, B>()),
        consumer require_ticket: Signed { by: KEY },
        consumer online_when: |c| c.minimum_of(0),
        producer online_when: |c| c.minimum_of(2),
        criteria: Criteria::default(),
        backoff: slow(),
    })));
}

#[test]
fn the_published_forms_are_understood() {
    let forms = [
        quote!(pub Prices = Price,),
        quote!(/** doc */ #[allow(x)] pub(crate) producer Prices = Vec<Option<u8>>, ids::PRICES,
            require: |peer| peer.a::<u8>(1, 2) > 3),
        quote!(producer = u8),
        quote!(pub consumer producer = u8),
        quote!(X = <A as B>::C, crate::ids::X),
        quote!(X = u8, make_id(1)),
        quote!(X = u8, unique_id!("x")),
        quote!(X = u8, ID),
        quote!(X<'a, T> = Wrap<'a, T>, "x"),
    ];
    for form in forms {
        let text = form.to_string();
        assert_eq!(messages(declare(form)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn all_errors_of_a_declaration_are_reported_together() {
    let wrong = declare(quote! {
        producer X = u8, 3,
        backof: 1,
        consumer max_consumers: 3,
        producer require: |_| true,
        producer require_ticket: StaffOnly,
        require_ticket: "staff",
        buffer_size: 0,
        buffer_size: "x",
        max_consumers: 1,
        max_consumers: 2,
        online_when: 3,
        criteria: C,
        producer criteria: C
    });
    assert_snapshot!(messages(wrong).join("\n"));
}
