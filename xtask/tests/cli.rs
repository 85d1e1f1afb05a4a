//! The command as a user meets it: exit codes, and what goes to which stream.

use std::process::{Command, Output};

fn xtask(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(words).output().expect("xtask is built")
}

/// Exit code, and whether the message names `what`; stdout must be empty.
fn refuses(words: &[&str], code: i32, what: &str) {
    let output = xtask(words);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {message}");
    assert!(message.contains(what), "{words:?}: {message}");
    assert!(output.stdout.is_empty(), "{words:?} wrote to stdout");
}

#[test]
fn wrong_usage_exits_with_2_and_names_what_is_wrong() {
    refuses(&["run", "--board", "toaster"], 2, "toaster");
    refuses(&["run", "--json", "--board", "toaster"], 2, "mps2-an386");
    refuses(&["run", "--model", "net.tflite"], 2, "--input");
    refuses(&["run", "--model", "photo.png", "--input", "x.bin"], 2, "photo.png");
    refuses(&["run", "--input", "x.bin"], 2, "--model");
    refuses(&["conformance", "toaster"], 2, "toaster");
    refuses(&["blocks", "toaster"], 2, "q8_0");
    refuses(&["fetch", "toaster"], 2, "person_detect");
    refuses(&["train", "toaster"], 2, "digits");
    refuses(&["eval", "toaster"], 2, "digits");
    refuses(&["eval", "--board", "toaster"], 2, "mps2-an386");
    refuses(&["eval", "--count", "5"], 2, "--board");
    refuses(&["test", "--board", "toaster"], 2, "mps2-an386");
    refuses(&["test", "--all", "--fast"], 2, "--fast");
    refuses(&["new-board", "mine", "--like", "toaster"], 2, "mps2-an386");
    refuses(&["new-board", "microbit"], 2, "already");
    refuses(&["dance"], 2, "dance");
}

#[test]
fn what_cannot_be_done_exits_with_1_and_names_the_file() {
    refuses(&["run", "--model", "nowhere.tflite", "--input", "x.bin"], 1, "nowhere.tflite");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.safetensors");
    std::fs::copy(manifest, &file).unwrap();
    refuses(&["run", "--model", file.to_str().unwrap(), "--input", manifest], 1, "broken.safetensors");
}

#[test]
fn the_list_of_boards_is_json_when_asked() {
    let output = xtask(&["boards", "--json"]);
    assert!(output.status.success());
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = list.as_array().unwrap();
    assert!(list.iter().any(|row| row["board"]["id"] == "mps2-an386"));
    assert!(list.iter().all(|row| row["runs_here"].is_boolean()));
}
