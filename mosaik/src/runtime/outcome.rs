//! How a program ends: what its body returned, printed for people, and as an exit code.

use std::{
    cell::Cell,
    error::Error,
    fmt,
    ops::Deref,
    process::{ExitCode, Termination},
};

/// What a body returned, or the code of a program whose body did not run to its end.
///
/// `exit_code` is found by method lookup on one of three levels, the first whose bounds hold: an
/// error that may be sent, one that may not, anything that the standard library can report. Only
/// so can the expansion print an error's causes without knowing its type.
pub struct Outcome<R>(LocalOutcome<R>);

/// The second level: an error that is no `Send`.
pub struct LocalOutcome<R>(AnyOutcome<R>);

/// The third level: anything else.
pub struct AnyOutcome<R>(Cell<Option<Ended<R>>>);

enum Ended<R> {
    Returned(R),
    Stopped(ExitCode),
}

impl<R> Outcome<R> {
    pub(super) fn returned(value: R) -> Self {
        Self::new(Ended::Returned(value))
    }

    /// The body did not run, or not to its end; what there was to say has been said.
    pub(super) fn stopped(code: ExitCode) -> Self {
        Self::new(Ended::Stopped(code))
    }

    fn new(ended: Ended<R>) -> Self {
        Self(LocalOutcome(AnyOutcome(Cell::new(Some(ended)))))
    }
}

impl<T: Termination, E: Into<Box<dyn Error + Send + Sync>>> Outcome<Result<T, E>> {
    /// Prints an error with its causes; the code is then 1.
    pub fn exit_code(&self) -> ExitCode {
        self.0.0.end(|result| report(result.map_err(|error| -> Box<dyn Error> { error.into() })))
    }
}

impl<T: Termination, E: Into<Box<dyn Error>>> LocalOutcome<Result<T, E>> {
    /// Prints an error with its causes; the code is then 1.
    pub fn exit_code(&self) -> ExitCode {
        self.0.end(|result| report(result.map_err(Into::into)))
    }
}

impl<R> AnyOutcome<R> {
    /// Reports the value as a plain `fn main` would.
    pub fn exit_code(&self) -> ExitCode
    where
        R: MainReturn,
    {
        self.end(Termination::report)
    }

    fn end(&self, report: impl FnOnce(R) -> ExitCode) -> ExitCode {
        match self.0.take() {
            Some(Ended::Returned(value)) => report(value),
            Some(Ended::Stopped(code)) => code,
            None => ExitCode::SUCCESS,
        }
    }
}

impl<R> Deref for Outcome<R> {
    type Target = LocalOutcome<R>;

    fn deref(&self) -> &LocalOutcome<R> {
        &self.0
    }
}

impl<R> Deref for LocalOutcome<R> {
    type Target = AnyOutcome<R>;

    fn deref(&self) -> &AnyOutcome<R> {
        &self.0
    }
}

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl<R> fmt::Debug for $name<R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
opaque!(Outcome, LocalOutcome, AnyOutcome);

/// What a `#[mosaik::main]` function may return.
#[diagnostic::on_unimplemented(
    message = "`#[mosaik::main]` cannot return `{Self}`",
    label = "expected `()`, `ExitCode` or a `Result` of those with an error that is `Debug`"
)]
pub trait MainReturn: Termination {}

#[diagnostic::do_not_recommend]
impl<T: Termination> MainReturn for T {}

fn report<T: Termination>(result: Result<T, Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(value) => value.report(),
        Err(error) => {
            eprintln!("{}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, a line each.
pub(super) struct Chain<'e>(pub(super) &'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct OnlyDebug;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[from] std::num::ParseIntError);

    fn is(actual: ExitCode, expected: ExitCode) -> bool {
        // Exit codes cannot be compared.
        format!("{actual:?}") == format!("{expected:?}")
    }

    #[test]
    fn every_kind_of_value_has_an_exit_code() {
        let outer = || Outer("x".parse::<u8>().unwrap_err());
        let local: Result<(), Box<dyn Error>> = Err("local".into());
        let sent: Result<(), Box<dyn Error + Send + Sync>> = Err("sent".into());
        let failed = [
            Outcome::returned(Err::<(), _>(outer())).exit_code(),
            Outcome::returned(Err::<(), _>(anyhow::Error::new(outer()))).exit_code(),
            Outcome::returned(Err::<(), _>("text".to_owned())).exit_code(),
            Outcome::returned(local).exit_code(),
            Outcome::returned(sent).exit_code(),
            Outcome::returned(Err::<(), _>(OnlyDebug)).exit_code(),
            Outcome::returned(ExitCode::FAILURE).exit_code(),
            Outcome::returned(Ok::<_, OnlyDebug>(ExitCode::FAILURE)).exit_code(),
            Outcome::<()>::stopped(ExitCode::FAILURE).exit_code(),
        ];
        assert!(failed.into_iter().all(|code| is(code, ExitCode::FAILURE)));
        assert!(is(Outcome::returned(()).exit_code(), ExitCode::SUCCESS));
        assert!(is(Outcome::returned(Ok::<_, Outer>(())).exit_code(), ExitCode::SUCCESS));
    }

    #[test]
    fn a_chain_names_every_cause() {
        let error = Outer("x".parse::<u8>().unwrap_err());
        let text = Chain(&error).to_string();
        assert_eq!(text, "error: outer\n  caused by: invalid digit found in string");
    }
}
