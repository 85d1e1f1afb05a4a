//! The live view in a terminal that a test holds, and without one.

#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Stdio};

fn program() -> (&'static str, String) {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    (env!("CARGO_BIN_EXE_tealight-simulate"), models.display().to_string())
}

/// Starts the program in a terminal, pushes to both sides once it shows itself, ends it, and prints what it wrote.
const TERMINAL: &str = r#"
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
# What is waited for, and the key that follows it: a push by key begins when no other acts.
steps = [(b"torque", b"\x1b[C"), (b"  4.0 N", b""), (b"  0.0 N", b"\x1b[D"), (b" -4.0 N", b"q")]
written, seen, begun = b"", 0, time.time()
while time.time() - begun < 60:
    if select.select([fd], [], [], 1)[0]:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            break
        if not piece:
            break
        written += piece
    if steps and steps[0][0] in written[seen:]:
        seen = len(written)
        os.write(fd, steps.pop(0)[1])
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(written)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

#[test]
fn pushes_by_key_are_shown_and_the_run_repeats_without_a_terminal() {
    let (program, models) = program();
    let live = Command::new("python3")
        .args(["-c", TERMINAL, program, "--models", &models, "--live", "--speed", "0.5"])
        .output()
        .expect("Python 3 runs");
    let text = String::from_utf8_lossy(&live.stdout).replace('\r', "");
    assert!(live.status.success(), "{text}{}", String::from_utf8_lossy(&live.stderr));
    // It shows itself on a screen of its own, and leaves that.
    let (shown, after) = text.rsplit_once("\x1b[?25h\x1b[?1049l").expect("the terminal is left as it was");
    assert!(shown.contains("angle") && shown.contains("loop") && shown.contains("\x1b[?1049h"), "{shown}");
    let line = |start: &str| after.lines().find_map(|line| line.strip_prefix(start)).map(str::to_string);
    let digest = line("trajectory ").unwrap_or_else(|| panic!("no trajectory in {after}"));
    let again = line("the same again: cargo xtask simulate balance ").unwrap();
    let words: Vec<&str> = again.split_whitespace().collect();
    let pushes = words.iter().find_map(|word| word.strip_prefix("--push=")).unwrap();
    let forces: Vec<&str> = pushes.split(',').filter_map(|push| push.split(':').nth(1)).collect();
    assert_eq!(forces, ["4", "-4"], "{pushes}");
    let repeated = Command::new(program).args(["--models", &models, "--json"]).args(words).output().unwrap();
    let repeated: serde_json::Value = serde_json::from_slice(&repeated.stdout).unwrap();
    assert_eq!(repeated["digest"], digest, "{repeated}");
    assert_eq!(repeated["pushes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn without_a_terminal_the_live_view_is_refused_as_wrong_usage() {
    let (program, models) = program();
    let run = |words: &[&str]| {
        let mut command = Command::new(program);
        command.args(["--models", &models]).args(words).stdin(Stdio::null()).output().unwrap()
    };
    let refused = run(&["--live"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{said}");
    assert!(said.contains("needs a terminal") && said.contains("without `--live`"), "{said}");
    for words in
        [&["--speed", "2"][..], &["--live", "--json"], &["--live", "--speed", "0"], &["--live", "--newtons", "nan"]]
    {
        assert_eq!(run(words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_script_of_pushes_is_read_from_a_file_and_written_beside_the_page() {
    let (program, models) = program();
    let folder = std::env::temp_dir().join(format!("tealight-script-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = folder.join("script.txt");
    std::fs::write(&script, "500:3:100 # forward\n\n1200:-2.5:50\n").unwrap();
    let digest = |words: &[&str]| {
        let run = Command::new(program).args(["--models", &models, "--seconds", "2", "--json"]).args(words).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let value: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        value["digest"].clone()
    };
    let file = script.display().to_string();
    let written = folder.join("pushes.txt").display().to_string();
    let of_file = digest(&["--pushes", &file, "--output", &folder.display().to_string()]);
    assert_eq!(of_file, digest(&["--push=500:3:100,1200:-2.5:50"]));
    assert_eq!(of_file, digest(&["--pushes", &written]));
    assert_ne!(of_file, digest(&[]));
    std::fs::write(&script, "500:3\n").unwrap();
    let refused = Command::new(program).args(["--models", &models, "--pushes", &file]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("line 1") && said.contains("script.txt"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
}
