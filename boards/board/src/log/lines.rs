//! The log of a host, where tests run the app: it has room for texts, so they are lines.

use std::cell::RefCell;
use std::fmt::Arguments;

thread_local! {
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Adds a line to this thread's log.
pub(crate) fn line(text: Arguments<'_>) {
    LINES.with_borrow_mut(|lines| *lines += &format!("{text}\n"));
}

/// What this thread has logged since it was last asked.
pub fn take() -> String {
    LINES.take()
}
