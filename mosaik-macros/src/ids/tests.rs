use proc_macro2::TokenStream;
use quote::quote;

use super::id;

fn parses(tokens: TokenStream) -> Result<String, String> {
    let text = id(tokens).to_string();
    if text.contains("compile_error") { Err(text) } else { Ok(text.replace(' ', "")) }
}

#[test]
fn text_is_hashed() {
    let hash = blake3::hash(b"prices").to_hex();
    let expected = format!("::mosaik::private::UniqueId::from_hex_or_hash(\"{hash}\")");
    assert_eq!(parses(quote!(::mosaik, unique_id, "prices")), Ok(expected));
}

#[test]
fn the_limit_is_that_of_the_runtime() {
    let (most, more) = ("x".repeat(1024), "x".repeat(1025));
    assert!(parses(quote!(::mosaik, tag, #most)).is_ok());
    let error = parses(quote!(::mosaik, tag, #more)).unwrap_err();
    assert!(error.contains("the tag has 1025 bytes; the limit is 1024"), "{error}");
}

#[test]
fn what_is_no_literal_is_refused() {
    for wrong in [quote!(), quote!(PRICES), quote!("a", "b"), quote!(3), quote!(concat!("a", "b"))]
    {
        let error = parses(quote!(::mosaik, id, #wrong)).unwrap_err();
        assert!(error.contains("`id!` takes one string literal"), "{error}");
    }
}
