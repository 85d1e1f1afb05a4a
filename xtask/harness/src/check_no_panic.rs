//! Checks on the linked image that the firmware cannot panic and does not allocate.
//!
//! A panic in Rust ends in a function of `core::panicking`; if the image has none, no code that was linked can panic.
//! Four images are checked: one for a single model, one that computes features from sound before, one that continues a
//! text, and one that takes any model and so links every kernel and the parser; of a board with a model slot, one that
//! takes its model from there; of a board that can be flashed, one that logs over RTT; and of the default board, two that
//! balance a robot, with its world and over a wire to it. Another, with a possible panic built in, proves that the check
//! detects one.

use crate::board::{self, Board};
use crate::context::Context;
use crate::fetch;
use crate::firmware::{self, Level, Recipe};
use crate::fit::{self, DoesNotFit};
use crate::model::ModelFile;
use crate::on_board::stable_copy;
use crate::progress::Progress;
use crate::run;
use anyhow::{Result, bail};
use object::{Object, ObjectSymbol};
use std::path::{Path, PathBuf};

/// The model whose firmware is checked.
const MODEL: &str = "person_detect";

/// Of ours, from large to small.
const SMALLER: [&str; 2] = ["digits", "anomaly"];

/// Beginnings of demangled names that have no place in the image, without generic and trait wrapping.
const FORBIDDEN: [&str; 9] = [
    "core::panicking",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::str::slice_error_fail",
    "alloc::",
    "__rust_alloc",
    "rust_begin_unwind",
];

/// Checks the image that links most of what fits the board: every kernel and the parser, or those of the operators that
/// firmware with a model slot links.
pub fn check_largest(context: &Context, board: &str) -> Result<()> {
    let board = board::find(&context.root, board)?;
    let model = stable_copy(context, &model_for(context, &board)?)?;
    match check(context, &board, &model, "any model", &["loadable"]) {
        Err(error) if error.is::<DoesNotFit>() && board.model_slot.is_some() => {
            let features = firmware::with_slot(&board, &[]);
            check(context, &board, &model, "a model from a slot in flash", &features)
        }
        checked => checked,
    }
}

/// Runs the check on all images of one board.
pub fn check_no_panic(context: &Context, board: &str) -> Result<()> {
    let board = board::find(&context.root, board)?;
    let model = stable_copy(context, &model_for(context, &board)?)?;
    let from_slot = firmware::with_slot(&board, &[]);
    let mut kinds: Vec<(&str, &[&str])> = vec![
        ("one model", &[]),
        ("a model with sound as its input", &["audio"]),
        ("a model that continues texts", &["text"]),
        ("any model", &["loadable"]),
    ];
    if board.id == board::DEFAULT {
        kinds.push(("a robot that balances", &["balance"]));
        kinds.push(("a robot that balances over a wire", &["balance-wire"]));
    }
    if board.model_slot.is_some() {
        kinds.push(("a model from a slot in flash", &from_slot));
    }
    if board.by_probe().is_some() {
        kinds.push(("one model, with its log over RTT", &["rtt"]));
    }
    for (what, features) in kinds {
        match check(context, &board, &model, what, features) {
            Err(error) if error.is::<DoesNotFit>() => eprintln!("  {error:#}"),
            checked => checked?,
        }
    }
    if forbidden_symbols(context, &board, &model, &["seed-faults"])?.is_empty() {
        bail!("the check did not detect the panic of the feature `seed-faults`, so it would detect no other");
    }
    Ok(())
}

/// Checks one image, the firmware for `what`.
fn check(context: &Context, board: &Board, model: &Path, what: &str, features: &[&str]) -> Result<()> {
    let found = forbidden_symbols(context, board, model, features)?;
    if !found.is_empty() {
        let found = found.join("\n    ");
        bail!("the firmware for {what} on {} can panic or allocate; it links:\n    {found}", board.id);
    }
    Ok(())
}

/// The compiled model whose firmware is checked.
pub fn model_file(context: &Context) -> Result<PathBuf> {
    stable_copy(context, &ModelFile::open(&fetch::model(context, MODEL)?, &[])?)
}

/// It, or the largest of ours that leaves a smaller board room for the code.
fn model_for(context: &Context, board: &Board) -> Result<ModelFile> {
    let mut model = ModelFile::open(&fetch::model(context, MODEL)?, &[])?;
    for smaller in SMALLER {
        let bytes = model.bytes.len() as u64;
        let leaves_room =
            bytes <= board.length("flash") / 2 && board.model_slot.is_none_or(|slot| bytes <= slot.length);
        if leaves_room && fit::check(board, &model).is_ok() {
            break;
        }
        model = run::demonstration_of(context, smaller)?.0;
    }
    Ok(model)
}

/// Builds an image and lists what it should not have.
fn forbidden_symbols(context: &Context, board: &Board, model: &Path, features: &[&str]) -> Result<Vec<String>> {
    let named = if features.is_empty() { "no features".into() } else { features.join(", ") };
    let progress = Progress::start(format!("checking the symbols of {} with {named}", board.id));
    let recipe = Recipe { board, name: "the model", model, embedded_input: None, features, log: Level::Trace };
    let image = firmware::build(context, recipe)?;
    let symbols = symbols(&image)?;
    // An image without symbols would pass whatever it held.
    if !symbols.iter().any(|symbol| symbol.starts_with("tealight_board::")) {
        bail!("the image of {} has no symbols to check", board.id);
    }
    let found = forbidden(symbols);
    progress.done(&format!("{} forbidden symbols", found.len()));
    Ok(found)
}

/// Those of the demangled names that have no place in an image.
pub(crate) fn forbidden(symbols: Vec<String>) -> Vec<String> {
    symbols.into_iter().filter(|symbol| is_forbidden(symbol)).collect()
}

/// Demangled names of an image's symbols.
pub(crate) fn symbols(image: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(image)?;
    Ok(file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .collect())
}

fn is_forbidden(symbol: &str) -> bool {
    // `<alloc::vec::Vec<T> as ...>::f` starts with the wrapping of a trait's implementation.
    let bare = symbol.trim_start_matches(['<', '&']);
    // The compiler's own symbols: the panic handler, and the allocator.
    let bare = bare.strip_prefix("__rustc::").unwrap_or(bare);
    FORBIDDEN.iter().any(|start| bare.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demangled_is_forbidden(name: &str) -> bool {
        is_forbidden(&format!("{:#}", rustc_demangle::demangle(name)))
    }

    #[test]
    fn panics_and_allocation_are_detected_in_both_manglings() {
        assert!(demangled_is_forbidden("_ZN4core9panicking5panic17h0123456789abcdefE"));
        assert!(demangled_is_forbidden("_RNvNtCs1234_4core9panicking18panic_bounds_check"));
        assert!(demangled_is_forbidden("_ZN5alloc7raw_vec17capacity_overflow17h0123456789abcdefE"));
        assert!(demangled_is_forbidden("rust_begin_unwind"));
        assert!(demangled_is_forbidden("_RNvCs1234_7___rustc17rust_begin_unwind"));
        assert!(demangled_is_forbidden("_RNvCs1234_7___rustc12___rust_alloc"));
        assert!(is_forbidden("<alloc::string::String as core::fmt::Write>::write_str"));
    }

    #[test]
    fn ordinary_symbols_pass() {
        assert!(!demangled_is_forbidden("main"));
        assert!(!demangled_is_forbidden("_ZN14tealight_board3app5serve17h0123456789abcdefE"));
        assert!(!demangled_is_forbidden("memcpy"));
    }
}
