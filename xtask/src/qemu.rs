//! Runs a firmware image in QEMU and returns what it printed. It always comes back: a run has a time limit.

use crate::board::Qemu;
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sees the lines of a console.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// Runs `image` in the QEMU that `program` starts, with `folder` as its working directory, where its semihosting files are.
///
/// `-icount shift=0` makes an instruction one virtual nanosecond; `sleep=off` lets time run as fast as the host can.
///
/// `watch` is given every line of the console as it comes.
pub fn run(
    program: Command,
    qemu: &Qemu,
    image: &Path,
    folder: &Path,
    limit: Duration,
    watch: Watch<'_>,
) -> Result<String> {
    let child = with_arguments(program, qemu, image)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}; `cargo xtask setup` installs it", qemu.binary))?;
    finish(child, &qemu.binary, limit, watch)
}

fn with_arguments(mut command: Command, qemu: &Qemu, image: &Path) -> Command {
    command
        .args(["-M", &qemu.machine])
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(["-icount", "shift=0,align=off,sleep=off"])
        .args(&qemu.arguments)
        .arg("-kernel")
        .arg(image);
    command
}

/// Waits for the end, or for the limit; the console is read meanwhile so that a full pipe cannot stop the child.
fn finish(mut child: Child, name: &str, limit: Duration, watch: Watch<'_>) -> Result<String> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let start = Instant::now();
    let (status, console, errors) = std::thread::scope(|scope| {
        let console = scope.spawn(|| collect(stdout, watch));
        let errors = scope.spawn(|| collect(stderr, &|_| {}));
        let status = loop {
            match child.try_wait() {
                Ok(None) if start.elapsed() > limit => {
                    child.kill().ok();
                    child.wait().ok();
                    break Ok(None);
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                ended => break ended,
            }
        };
        (status, console.join().unwrap_or_default(), errors.join().unwrap_or_default())
    });
    let status = status?;
    let Some(status) = status else {
        bail!(
            "{name} did not end within {} s and was stopped; `--timeout SECONDS` gives it longer.\n\
             Its console so far:\n{}",
            limit.as_secs(),
            tail(&console)
        );
    };
    // The report says better than the exit status why firmware failed.
    if !status.success() && !console.contains("tealight error=") {
        bail!("{name} ended with {status}:\n{}{}", tail(&errors), tail(&console));
    }
    Ok(console)
}

fn collect(pipe: Option<impl Read>, watch: Watch<'_>) -> String {
    let mut text = String::new();
    let Some(pipe) = pipe else { return text };
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        // What was read before an error is still worth showing.
        let ended = !pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0);
        let line = String::from_utf8_lossy(&line);
        text.push_str(&line);
        if ended {
            return text;
        }
        watch(line.trim_end());
    }
}

/// The last lines of a console.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let first = lines.len().saturating_sub(20);
    lines.get(first..).unwrap_or_default().iter().fold(String::new(), |all, line| all + "    " + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_run_that_hangs_is_stopped_and_said_to_be() {
        let error = finish(shell("echo half; exec sleep 60"), "qemu", Duration::from_millis(300), &|_| {}).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did not end within") && text.contains("half"), "{text}");
    }

    #[test]
    fn a_run_that_fails_without_a_report_shows_its_own_words() {
        let error = finish(shell("echo bad machine >&2; exit 1"), "qemu", Duration::from_secs(9), &|_| {}).unwrap_err();
        assert!(error.to_string().contains("bad machine"));
    }

    #[test]
    fn every_line_is_seen_when_it_comes() {
        let seen = std::sync::Mutex::new(Vec::new());
        let watch = |line: &str| seen.lock().unwrap().push(line.to_string());
        let console = finish(shell("echo one; printf 'two\\nrest'"), "qemu", Duration::from_secs(9), &watch).unwrap();
        assert_eq!(
            (console.as_str(), &seen.into_inner().unwrap()[..]),
            ("one\ntwo\nrest", &["one", "two", "rest"].map(String::from)[..])
        );
    }
}
