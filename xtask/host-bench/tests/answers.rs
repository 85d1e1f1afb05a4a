//! The program answers each request with as many times, and refuses what it cannot run.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A network of one RELU over three int8 numbers, whose zero points are 0.
const RELU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtime/core/tests/relu.safetensors");

/// Runs the program with `requests` on its stdin.
fn run(words: &[&str], requests: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tealight-host-bench"));
    program.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    // It may have ended before it reads.
    child.stdin.take().unwrap().write_all(requests.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// A file with the input of [`RELU`].
fn input(folder: &Path, values: &[i8]) -> String {
    let file = folder.join("input");
    std::fs::write(&file, values.iter().map(|value| value.cast_unsigned()).collect::<Vec<u8>>()).unwrap();
    file.to_str().unwrap().into()
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn outputs_come_first_and_then_the_times_asked_for() {
    let output = run(&[RELU, &input(&folder("times"), &[-1, 2, -3])], "3\n1\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [start, three, one] = &lines[..] else { panic!("{text}") };
    assert_eq!(start["outputs"], "000200");
    assert!(start["instruction_set"].as_str().is_some_and(|name| !name.is_empty()));
    assert_eq!((three.as_array().unwrap().len(), one.as_array().unwrap().len()), (3, 1));
}

#[test]
fn what_it_cannot_run_is_refused_with_the_reason() {
    let file = input(&folder("refused"), &[1]);
    for (words, requests, said) in [
        (&[RELU][..], "", "usage: tealight-host-bench MODEL INPUTS"),
        (&[RELU, "no such file"], "", "cannot read no such file"),
        (&[RELU, &file], "", "its inputs are 3 bytes, but 1 are given"),
        (&[RELU, &input(&folder("request"), &[0; 3])], "many\n", "`many` is not a number of inferences"),
    ] {
        let output = run(words, requests);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(said), "{text}");
    }
}

#[test]
fn no_more_is_used_than_the_instruction_set_that_is_named() {
    let input = input(&folder("at_most"), &[-1, 2, -3]);
    let run = |name: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tealight-host-bench"));
        program.args([RELU, &input]).env("TEALIGHT_AT_MOST", name).stdin(Stdio::null()).output().unwrap()
    };
    let output = run("nothing");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "TEALIGHT_AT_MOST is `nothing`, which is no instruction set\n");
    if cfg!(target_arch = "x86_64") {
        let output = run("portable");
        let start: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&start["instruction_set"], &start["outputs"]), (&"portable".into(), &"000200".into()));
    }
}
