//! Panics of a run: those of tasks as well, which end a task only and would go unnoticed.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// What panicked in this thread, while it is recorded.
    static RECORD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `f`, and collects what panicked in this thread meanwhile, caught or not.
pub(super) fn recorded<T>(f: impl FnOnce() -> T) -> (Option<T>, Vec<String>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let recorded = RECORD.with_borrow_mut(|record| {
                record.as_mut().map(|panics| panics.push(info.to_string())).is_some()
            });
            if !recorded {
                before(info);
            }
        }));
    });
    RECORD.set(Some(Vec::new()));
    let output = catch_unwind(AssertUnwindSafe(f)).ok();
    (output, RECORD.take().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_somebody_caught_is_recorded_all_the_same() {
        let (output, panics) = recorded(|| {
            let _ = catch_unwind(|| panic!("on purpose"));
            7
        });
        assert_eq!(output, Some(7));
        assert!(panics.len() == 1 && panics[0].contains("on purpose"));
        let (output, panics) = recorded(|| if panics.len() == 1 { panic!("again") } else { 1 });
        assert_eq!((output, panics.len()), (None, 1));
    }
}
