//! Tests that opening a model copies no weights, and that its first output does not cost more for a larger file.
//!
//! The tests measure memory, not time. Each measurement runs in a separate process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[path = "support/opening.rs"]
mod opening;

use opening::{Growth, measure, measured_by, print, write_model};
use std::process::Command;

const MODEL: &str = "TEALIGHT_TEST_MODEL";

/// Run by the test below, in a separate process.
#[test]
#[ignore = "the other test runs it"]
fn measure_one() {
    print(measure(std::env::var_os(MODEL).unwrap().as_ref()));
}

#[test]
fn opening_100_megabytes_copies_no_weights_and_touches_no_more_than_10() {
    let folder = tempfile::tempdir().unwrap();
    let [small, large] = [10, 100].map(|megabytes| {
        let path = folder.path().join(format!("{megabytes}.safetensors"));
        write_model(&path, megabytes);
        assert!(path.metadata().unwrap().len() > u64::from(megabytes) * 999_000);
        let test = ["--exact", "measure_one", "--ignored", "--nocapture"];
        measured_by(Command::new(std::env::current_exe().unwrap()).args(test).env(MODEL, &path))
    });
    for [opened, ran] in [small, large] {
        assert!(opened.own < 1000 && ran.own < 1000, "{opened:?}, {ran:?}");
        // On a page fault the kernel also maps cached pages around the page: up to 2 MiB at once.
        assert!(opened.file < 5000 && ran.file < 5000, "{opened:?}, {ran:?}");
        assert!(opened.file > 0 && opened.faults + ran.faults > 0, "something was read: {opened:?}, {ran:?}");
    }
    let sum = |[a, b]: [Growth; 2]| a.faults + b.faults;
    assert!((sum(large) - sum(small)).abs() < 40, "{small:?}, {large:?}");
}
