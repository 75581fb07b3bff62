//! The values of options: what can be judged by looking at them. The rest is the compiler's.

use std::{fmt::Display, time::Duration};

use syn::{Expr, ExprArray, ExprLit, ExprUnary, Lit, LitStr, UnOp};

use crate::errors::Errors;

/// The literal behind an expression, looking through the invisible groups of `macro_rules!`.
pub(crate) fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => literal(expr),
        _ => None,
    }
}

/// `true` or `false`.
pub(crate) fn boolean(expr: &Expr, key: impl Display, errors: &mut Errors) -> Option<bool> {
    match literal(expr) {
        Some(Lit::Bool(value)) => Some(value.value),
        _ => {
            errors.at(expr, format!("`{key}` is `true` or `false`"));
            None
        }
    }
}

/// A number of at least one, or an expression that the compiler will judge.
pub(crate) fn count<'e>(
    expr: &'e Expr,
    key: impl Display,
    example: &str,
    errors: &mut Errors,
) -> Option<&'e Expr> {
    let Some(lit) = literal(expr) else { return Some(expr) };
    match lit {
        Lit::Int(int) if !matches!(expr, Expr::Unary(_)) => {
            if int.base10_digits() != "0" {
                return Some(expr);
            }
            errors.at(expr, format!("`{key}` is at least 1"));
        }
        _ => errors.at(expr, format!("`{key}` is a whole number: write `{example}`")),
    }
    None
}

/// A whole number that is known here.
pub(crate) fn integer(expr: &Expr, example: &str, errors: &mut Errors) -> Option<u64> {
    let value = match (expr, literal(expr)) {
        (Expr::Unary(_), _) => None,
        (_, Some(Lit::Int(int))) => int.base10_parse().ok(),
        _ => None,
    };
    if value.is_none() {
        errors.at(expr, format!("expected a whole number: write `{example}`"));
    }
    value
}

/// A closure or the path of a function: anything but a literal.
pub(crate) fn callable<'e>(
    expr: &'e Expr,
    key: impl Display,
    example: &str,
    errors: &mut Errors,
) -> Option<&'e Expr> {
    if literal(expr).is_none() {
        return Some(expr);
    }
    errors.at(expr, format!("`{key}` is a closure: write `{example}`"));
    None
}

/// The value of `require_ticket`: anything but a literal.
pub(crate) fn validator<'e>(
    expr: &'e Expr,
    key: impl Display,
    example: &str,
    errors: &mut Errors,
) -> Option<&'e Expr> {
    if literal(expr).is_none() {
        return Some(expr);
    }
    errors.at(expr, format!("`{key}` is a `TicketValidator`: write `{example}`"));
    None
}

/// A string literal.
pub(crate) fn text<'e>(expr: &'e Expr, example: &str, errors: &mut Errors) -> Option<&'e LitStr> {
    match literal(expr) {
        Some(Lit::Str(text)) => Some(text),
        _ => {
            errors.at(expr, format!("expected a string literal: write `{example}`"));
            None
        }
    }
}

/// The elements of `[a, b]`.
pub(crate) fn array<'e>(
    expr: &'e Expr,
    example: &str,
    errors: &mut Errors,
) -> impl Iterator<Item = &'e Expr> {
    let elements = match expr {
        Expr::Array(ExprArray { elems, .. }) => Some(elems.iter()),
        _ => {
            errors.at(expr, format!("expected a list: write `{example}`"));
            None
        }
    };
    elements.into_iter().flatten()
}

/// A span of time as text: `250ms`, `10s`, `2m`.
pub(crate) fn duration(expr: &Expr, example: &str, errors: &mut Errors) -> Option<Duration> {
    let text = text(expr, example, errors)?;
    let value = text.value();
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let millis = number.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
    match millis {
        Some(0) => errors.at(text, "a time limit is longer than nothing"),
        Some(millis) => return Some(Duration::from_millis(millis)),
        None => errors
            .at(text, format!("expected a number and a unit, `ms`, `s` or `m`: write `{example}`")),
    }
    None
}
