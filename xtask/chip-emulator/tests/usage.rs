//! Wrong usage and what is no image are refused with a message, and nothing runs.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::process::Command;

/// Runs the program: its exit code, and what it wrote to stderr.
fn run(words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tealight-chip-emulator")).args(words).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_chip_and_an_image_are_needed() {
    for words in [&[][..], &["rp2040"], &["rp2040", "a", "b"]] {
        let (code, text) = run(words);
        assert!(code == Some(2) && text.contains("rp2040|rp2350-riscv IMAGE"), "{text}");
    }
}

#[test]
fn what_is_no_image_is_refused_with_its_name() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let (code, text) = run(&["rp2040", file]);
    assert!(code == Some(1) && text.contains("Cargo.toml") && text.contains("no 32-bit ELF file"), "{text}");
    let (code, text) = run(&["rp2040", "no such file"]);
    assert!(code == Some(1) && text.contains("cannot read no such file"), "{text}");
}
