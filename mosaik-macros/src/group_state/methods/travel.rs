//! Types of arguments and results: what cannot travel, and what `Self` stands for.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{
    Expr, Lifetime, Lit, Path, QSelf, Token, Type, TypeArray, TypeBareFn, TypeImplTrait, TypeNever,
    TypeReference, TypeTraitObject,
    visit_mut::{VisitMut, visit_expr_mut, visit_type_array_mut, visit_type_mut},
};

use crate::{
    errors::Errors,
    serde_attrs::{LONGEST_ARRAY, owned_form},
    type_item::Ungroup,
};

/// What travels, for messages: "an argument of a command".
pub(super) struct Travels<'a> {
    pub(super) what: &'a str,
    /// The state's type.
    pub(super) state: &'a Type,
}

impl Travels<'_> {
    /// The type as it stands outside of the method's `impl` block, after a look at what it holds.
    pub(super) fn outside(&self, ty: &Type, errors: &mut Errors) -> Type {
        let mut ty = ty.clone();
        Ungroup.visit_type_mut(&mut ty);
        Check { what: self.what, errors }.visit_type_mut(&mut ty.clone());
        NameSelf(self.state).visit_type_mut(&mut ty);
        ty
    }
}

struct Check<'a> {
    what: &'a str,
    errors: &'a mut Errors,
}

impl Check<'_> {
    fn refuse(&mut self, tokens: impl ToTokens, why: impl std::fmt::Display) {
        let what = self.what;
        self.errors.at(tokens, format!("{what} travels to other nodes {why}"));
    }
}

impl VisitMut for Check<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let owned = owned_form(&reference.elem);
        self.refuse(reference, format!("and cannot borrow: write `{owned}`"));
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            self.refuse(lifetime, "and cannot borrow: use an owned type, or `'static`");
        }
    }

    fn visit_type_impl_trait_mut(&mut self, ty: &mut TypeImplTrait) {
        self.refuse(ty, "as plain data: name a type instead of `impl Trait`");
    }

    fn visit_type_trait_object_mut(&mut self, ty: &mut TypeTraitObject) {
        self.refuse(ty, "as plain data: name a type instead of `dyn Trait`");
    }

    fn visit_type_never_mut(&mut self, ty: &mut TypeNever) {
        self.refuse(ty, "as plain data, and `!` has no value: leave it out");
    }

    fn visit_type_array_mut(&mut self, array: &mut TypeArray) {
        if let Expr::Lit(len) = &array.len
            && let Lit::Int(len) = &len.lit
            && len.base10_parse().is_ok_and(|len: u64| len > LONGEST_ARRAY)
        {
            let element = array.elem.to_token_stream();
            self.errors.at(
                &*array,
                format!(
                    "serde stops at arrays of {LONGEST_ARRAY} elements: write `Vec<{element}>`, or \
                     a type of your own with a field that is `#[serde(with = \"…\")]`"
                ),
            );
        }
        visit_type_array_mut(self, array);
    }

    /// serde's to refuse.
    fn visit_type_bare_fn_mut(&mut self, _: &mut TypeBareFn) {}
}

/// Replaces `Self`, which means another type inside of the generated ones.
struct NameSelf<'a>(&'a Type);

impl NameSelf<'_> {
    /// Makes `<Ledger>::Part` of `Self::Part`.
    fn qualify(&self, qself: &mut Option<QSelf>, path: &mut Path) {
        let of_self = path.segments.first().is_some_and(|first| first.ident == "Self");
        if qself.is_some() || path.segments.len() < 2 || !of_self {
            return;
        }
        let span = Span::call_site();
        *qself = Some(QSelf {
            lt_token: Token![<](span),
            ty: Box::new(self.0.clone()),
            position: 0,
            as_token: None,
            gt_token: Token![>](span),
        });
        path.leading_colon = Some(Token![::](span));
        path.segments = path.segments.iter().skip(1).cloned().collect();
    }
}

impl VisitMut for NameSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Path(path) = ty {
            if path.qself.is_none() && path.path.is_ident("Self") {
                *ty = self.0.clone();
                return;
            }
            self.qualify(&mut path.qself, &mut path.path);
        }
        visit_type_mut(self, ty);
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Path(path) = expr {
            self.qualify(&mut path.qself, &mut path.path);
        }
        visit_expr_mut(self, expr);
    }
}
