//! Wrong usage is an error with exit code 2 that names what would be right, and needs no probe.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod common;

use common::{run, small, write};

/// A probe that is not there: nothing is ever sent to it.
const NOWHERE: &str = "20b7:9db1:tcp:127.0.0.1:1";

#[test]
fn an_unknown_board_and_one_without_flashing_are_refused() {
    for (id, text) in [("toaster", "there are: microbit"), ("raspi3b", "has no `[[flash]]`")] {
        let shown = run(&["reset", "--board", id, "--probe", NOWHERE]);
        assert_eq!(shown.code, Some(2), "{shown:?}");
        assert!(shown.stderr.contains(text), "{}", shown.stderr);
    }
}

#[test]
fn a_board_whose_flash_algorithm_is_not_built_is_refused() {
    let shown = run(&["reset", "--board", "mps2-an386", "--probe", NOWHERE]);
    assert!(shown.code == Some(2) && shown.stderr.contains("--algorithm"), "{shown:?}");
}

#[test]
fn erasing_asks_and_without_a_terminal_refuses() {
    let shown = run(&["erase", "--board", "microbit", "--probe", NOWHERE]);
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert!(shown.stderr.contains("nothing was erased; `--yes`"), "{}", shown.stderr);
}

#[test]
fn a_probe_that_is_named_wrongly_or_is_not_there_is_refused() {
    let reset = |probe: &str| run(&["reset", "--board", "microbit", "--probe", probe]);
    let shown = reset("my probe");
    assert!(shown.code == Some(2) && shown.stderr.contains("VID:PID"), "{shown:?}");
    let shown = reset("1209:0001");
    assert!(shown.code == Some(1) && shown.stderr.contains("no debug probe `1209:0001`"), "{shown:?}");
    let shown = reset(NOWHERE);
    assert!(shown.code == Some(1) && shown.stderr.contains("cannot be opened"), "{shown:?}");
}

#[test]
fn an_image_is_proved_to_fit_without_a_probe() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &small());
    let words = ["flash", file.to_str().unwrap(), "--board", "microbit", "--dry-run"];
    let shown = run(&words);
    assert!(shown.code == Some(0) && shown.stdout.contains("microbit on nRF51822_xxAA"), "{shown:?}");
    let file = write(folder.path(), &vec![1; 0x4_0001]);
    let shown = run(&["flash", file.to_str().unwrap(), "--board", "microbit", "--dry-run"]);
    assert!(shown.code == Some(1) && shown.stderr.contains("from 0x00040000 to 0x00040001"), "{shown:?}");
}

#[test]
fn an_image_without_a_log_is_flashed_without_a_monitor_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &small());
    let shown = run(&["flash", file.to_str().unwrap(), "--board", "microbit", "--probe", NOWHERE]);
    assert!(shown.code == Some(2) && shown.stderr.contains("--no-monitor"), "{shown:?}");
}
