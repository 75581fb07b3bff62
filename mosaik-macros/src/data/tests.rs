use insta::assert_snapshot;
use quote::quote;

use super::data;
use crate::testing::{messages, pretty};

#[test]
fn the_derives_go_through_mosaik() {
    let item = quote! {
        #[derive(Debug)]
        pub enum Shape<T> {
            Dot,
            Path(Vec<T>),
        }
    };
    assert_snapshot!(pretty(data(quote!(), item)));
}

#[test]
fn phantoms_and_skipped_fields_may_borrow() {
    let item = quote! {
        struct A {
            a: PhantomData<&'static str>,
            #[serde(skip)]
            b: Option<&'static str>,
            #[serde(with = "bytes")]
            c: [u8; 64],
            d: Cow<'static, str>,
            e: [u8; 32],
        }
    };
    assert_eq!(messages(data(quote!(), item)), Vec::<String>::new());
}

#[test]
fn what_hides_in_cfg_attr_is_seen() {
    let item = quote! {
        struct A {
            #[cfg_attr(feature = "x", serde(flatten))]
            a: B,
        }
    };
    assert_eq!(messages(data(quote!(), item)).len(), 1);
}

#[test]
fn what_is_no_type_passes_through() {
    let expansion = data(
        quote!(),
        quote!(
            fn f() {}
        ),
    );
    assert_eq!(messages(expansion.clone()), ["`#[mosaik::data]` goes on a struct or an enum"]);
    assert!(pretty(expansion).starts_with("fn f() {}"));
}
