use std::{
    fs,
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{ImplItem, Item, ItemImpl, Type, Visibility};

use super::group_state;
use crate::testing::{messages, pretty};

#[test]
fn a_struct() {
    let item = quote! {
        /// A bank.
        #[derive(Default, Clone)]
        pub struct Ledger {
            accounts: BTreeMap<String, u64>,
        }
    };
    assert_snapshot!(pretty(group_state(quote!("bank.ledger", quorum = 3), item)));
}

#[test]
fn every_option() {
    let attribute = quote! {
        quorum = elastic,
        on_rivals = "keep-winner",
        storage = "memory",
        max_voters = 7,
        snapshot_every = OFTEN,
        require_ticket = StaffOnly,
        require_ticket = member(of::<A, B>()),
        consensus = ConsensusConfig::fast(),
        version = 2,
        serde = false,
        crate = ::m0saik,
    };
    let item = quote!(
        enum Switch<T: Clone> {
            On(T),
            Off,
        }
    );
    assert_snapshot!(pretty(group_state(attribute, item)));
}

#[test]
fn commands_and_queries() {
    let block = quote! {
        impl Ledger {
            pub const FEE: u64 = 1;

            /// Adds to an account and returns its balance.
            #[deprecated]
            pub fn deposit(
                &mut self,
                /// Whose.
                account: String,
                amount: u64,
                ctx: &ApplyContext,
            ) -> u64 {
                self.half typed
            }

            pub(crate) fn clear(&mut self) {}

            #[expect(unused)]
            #[must_use = "it is slow"]
            #[cfg(feature = "audit")]
            pub fn audit(
                &self,
                (from, to): (Self, Option<Self>),
                #[cfg_attr(all(), cfg(any()), allow(unused))] size: [u8; Self::SIZE],
            ) -> Result<Vec<Entry>, AuditError> {
            }

            fn local(&self, _: &str) {}

            pub fn new() -> Self {}
        }
    };
    assert_snapshot!(pretty_block(quote!(), block));
}

#[test]
fn a_generic_block() {
    let block = quote! {
        impl<T: Amount, const N: usize> bank::Log<T, N>
        where
            T: PartialEq,
        {
            pub fn push(&mut self, entry: T, unit: T::Unit) -> Option<T::Unit> {}
        }
    };
    assert_snapshot!(pretty_block(quote!(crate = ::m0saik), block));
}

/// Bodies need not be Rust as syn knows it; here they need be to be formatted.
fn pretty_block(attribute: TokenStream, block: TokenStream) -> String {
    let expansion = group_state(attribute, block).to_string();
    let expansion = expansion.replace("self . half typed", "todo ! ()");
    pretty(expansion.parse().expect("an expansion is made of tokens"))
}

#[test]
fn all_mistakes_of_a_block_are_reported_together() {
    let block = quote! {
        impl Ledger {
            pub async fn wait(&mut self, name: &str) -> &str {}
            pub fn generic<T>(&mut self, value: impl Into<T>) -> Box<dyn Fn()> {}
            pub fn context(&mut self, ctx: &ApplyContext, last: u8) -> ! {}
            pub fn asks(&self, ctx: &ApplyContext, all: Option<Cow<'_, [&[u8]]>>, long: [u8; 33]) {}
            pub fn consumed(self) {}
            pub fn read(&self) -> u8 {}
            pub fn foo_bar(&mut self) {}
            pub fn fooBar(&mut self) {}
            fn merge(&mut self, other: Self) {}
            pub fn join(&mut self) {}
            pub unsafe fn unsound(&mut self) {}
        }
    };
    assert_snapshot!(
        messages(group_state(quote!("name", quorum = 3, color = 1), block)).join("\n")
    );
}

#[test]
fn a_quorum_must_be_stated() {
    let item = || {
        quote!(
            struct Ledger;
        )
    };
    let of = |attribute| messages(group_state(attribute, item()));
    assert!(of(quote!())[0].contains("in one of three ways"));
    assert!(of(quote!(quorum = elastic))[0].contains("keep-winner"));
    assert_eq!(of(quote!(quorum(3))), ["write `quorum = 3`"]);
    for fine in [
        quote!(quorum = 1),
        quote!(quorum = N),
        quote!(quorum = 7, max_voters = 7),
        quote!(quorum = 7, max_voters = N),
        quote!(quorum = elastic, on_rivals = "keep-winner"),
    ] {
        assert_eq!(of(fine), Vec::<String>::new());
    }
}

#[test]
fn what_is_neither_type_nor_methods_passes_through() {
    for item in [
        quote!(
            fn f() {}
        ),
        quote!(
            trait T {}
        ),
        quote!(union U { a: u8 }),
    ] {
        let expansion = group_state(quote!(quorum = 3), item.clone());
        assert_eq!(
            messages(expansion.clone()),
            ["`#[mosaik::group_state]` goes on a struct or an enum, and on its `impl` block"]
        );
        assert!(expansion.to_string().starts_with(&item.to_string()));
    }
}

#[test]
fn what_is_no_block_of_a_type_s_own_passes_through() {
    for item in [quote!(impl Clone for Ledger {}), quote!(impl [u8] {}), quote!(unsafe impl A {})] {
        let expansion = group_state(quote!(), item.clone());
        assert_eq!(messages(expansion.clone()).len(), 1);
        assert!(expansion.to_string().starts_with(&item.to_string()));
    }
}

/// Whatever `Group` can do must not be hidden.
#[test]
fn the_methods_of_a_group_are_known() {
    let groups = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mosaik/src/groups");
    let parts =
        fs::read_dir(groups.join("group")).expect("the methods are in files of a directory");
    let parts = parts.map(|part| part.expect("the directory can be read").path());
    let files = parts.chain([groups.join("group.rs")]);
    let methods = files.flat_map(methods_of_group).collect::<Vec<_>>();
    assert!(methods.len() > 15, "the methods are elsewhere: only {methods:?} are seen");
    for name in &methods {
        assert!(super::methods::OF_GROUP.contains(&&**name), "`{name}` is missing");
    }
}

/// The names of the public methods in a file.
fn methods_of_group(path: PathBuf) -> Vec<String> {
    let source = fs::read_to_string(&path).expect("a source file is text");
    let file = syn::parse_file(&source).expect("the runtime compiles");
    let is_group = |item: &ItemImpl| {
        let Type::Path(ty) = &*item.self_ty else { return false };
        item.trait_.is_none() && ty.path.segments.last().is_some_and(|last| last.ident == "Group")
    };
    let blocks = file.items.into_iter().filter_map(|item| match item {
        Item::Impl(item) if is_group(&item) => Some(item.items),
        _ => None,
    });
    let method = |item| match item {
        ImplItem::Fn(f) if matches!(f.vis, Visibility::Public(_)) && f.sig.receiver().is_some() => {
            Some(f.sig.ident.to_string())
        }
        _ => None,
    };
    blocks.flatten().filter_map(method).collect()
}
