//! What the snapshots are made with.

use proc_macro2::TokenStream;

/// An expansion as formatted source.
pub(crate) fn pretty(tokens: TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("the expansion does not parse: {error}\n{tokens}"),
    }
}

/// The messages in an expansion.
pub(crate) fn messages(tokens: TokenStream) -> Vec<String> {
    let file = syn::parse2::<syn::File>(tokens).expect("an expansion parses");
    file.items
        .into_iter()
        .filter_map(|item| match item {
            syn::Item::Macro(item) => item.mac.parse_body::<syn::LitStr>().ok(),
            _ => None,
        })
        .map(|message| message.value())
        .collect()
}
