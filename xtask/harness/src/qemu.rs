//! Runs a firmware image in an emulator, with a time limit, and returns what it printed.
//!
//! QEMU's boards and emulated chips share one interface: a program that runs the image, with the board's console on its
//! standard output and, for a board with a wire, what the board receives on its standard input.

use crate::board::{ConsoleKind, Qemu};
use crate::limit::{self, End};
use crate::log::{Reader, Texts};
use crate::report;
use anyhow::{Context as _, Result, bail};
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Is called with each line of a console.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// What runs in the emulator.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The firmware.
    pub image: &'a Path,
    /// The working directory: where its semihosting files are.
    pub folder: &'a Path,
    /// Where the report comes from.
    pub console: ConsoleKind,
    /// What goes in on a board's wire.
    pub input: &'a [u8],
    /// How long it may take.
    pub limit: Duration,
}

/// Runs firmware to its end in the emulator called `name` that `program` starts. Returns the lines of its console; calls
/// `watch` with each as it arrives.
pub fn run(mut program: Command, name: &str, job: Job<'_>, watch: Watch<'_>) -> Result<String> {
    let texts = Texts::of(&std::fs::read(job.image)?)?;
    let mut child = program
        .current_dir(job.folder)
        .stdin(if job.console == ConsoleKind::Semihosting { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}; `cargo xtask setup` installs it"))?;
    // On a wire only the report has an end.
    let wire = child.stdin.take().map(Mutex::new);
    let ended = AtomicBool::new(false);
    let attended = |line: &str| {
        watch(line);
        if let Some(wire) = &wire {
            if report::is_ready(line)
                && let Ok(mut wire) = wire.lock()
            {
                // Firmware that stopped reading reports why itself.
                let length = u32::try_from(job.input.len()).unwrap_or(u32::MAX).to_le_bytes();
                let _ = wire.write_all(&length).and_then(|()| wire.write_all(job.input)).and_then(|()| wire.flush());
            }
            if report::is_last(line) {
                ended.store(true, Ordering::Relaxed);
            }
        }
    };
    finish(child, texts.reader(), name, job.limit, &attended, &ended)
}

/// The command that runs an image in QEMU, which `command` starts.
///
/// `-icount shift=0` makes an instruction one virtual nanosecond; `sleep=off` lets time run as fast as the host can.
pub fn command(mut command: Command, qemu: &Qemu, job: Job<'_>) -> Command {
    command.args(["-M", &qemu.machine]).args(["-display", "none", "-monitor", "none"]);
    match job.console {
        ConsoleKind::Semihosting => command.args(["-serial", "none", "-semihosting-config", "enable=on,target=native"]),
        // No board in QEMU has a debugger that reads RTT.
        ConsoleKind::Uart | ConsoleKind::Rtt => command.args(["-serial", "stdio"]),
    };
    command.args(["-icount", "shift=0,align=off,sleep=off"]).args(&qemu.arguments).arg("-kernel").arg(job.image);
    command
}

/// Waits for the end, which may be that `ended` is set, or for the limit; the console is read meanwhile so that a full
/// pipe cannot stop the child.
fn finish(
    mut child: Child,
    reader: Reader<'_>,
    name: &str,
    limit: Duration,
    watch: Watch<'_>,
    ended: &AtomicBool,
) -> Result<String> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (end, console, errors) = std::thread::scope(|scope| {
        let console = scope.spawn(|| collect(stdout, reader, watch));
        let errors = scope.spawn(|| collect(stderr, Reader::Text(Vec::new()), &|_| {}));
        let end = limit::wait(&mut child, limit, || ended.load(Ordering::Relaxed));
        (end, console.join().unwrap_or_default(), errors.join().unwrap_or_default())
    });
    let end = end?;
    if let End::Late = end {
        bail!(
            "{name} did not end within {} s and was stopped; `--timeout SECONDS` allows it more.\n\
             Its console so far:\n{}",
            limit.as_secs(),
            tail(&console)
        );
    }
    // The report explains better than the exit status why firmware failed.
    if let End::Exit(status) = end
        && !status.success()
        && !console.lines().any(report::is_last)
    {
        bail!("{name} ended with {status}:\n{}{}", tail(&errors), tail(&console));
    }
    Ok(console)
}

fn collect(pipe: Option<impl Read>, mut reader: Reader<'_>, watch: Watch<'_>) -> String {
    let mut text = String::new();
    let Some(mut pipe) = pipe else { return text };
    let mut take = |line: &str| {
        watch(line);
        text += line;
        text += "\n";
    };
    let mut piece = [0; 4096];
    // What was read before an error is still worth showing.
    while let Ok(read @ 1..) = pipe.read(&mut piece) {
        reader.push(&piece[..read], &mut take);
    }
    reader.finish(&mut take);
    text
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

    fn ran(script: &str, limit: Duration, watch: Watch<'_>) -> Result<String> {
        finish(shell(script), Reader::Text(Vec::new()), "qemu", limit, watch, &AtomicBool::new(false))
    }

    #[test]
    fn a_run_that_hangs_is_stopped_and_reported() {
        let error = ran("echo half; exec sleep 60", Duration::from_millis(300), &|_| {}).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did not end within") && text.contains("half"), "{text}");
    }

    #[test]
    fn a_run_that_fails_without_a_report_shows_its_error() {
        let error = ran("echo bad machine >&2; exit 1", Duration::from_secs(9), &|_| {}).unwrap_err();
        assert!(error.to_string().contains("bad machine"));
    }

    #[test]
    fn every_line_is_passed_on_when_it_arrives() {
        let seen = Mutex::new(Vec::new());
        let watch = |line: &str| seen.lock().unwrap().push(line.to_string());
        let console = ran("echo one; printf 'two\\nrest'", Duration::from_secs(9), &watch).unwrap();
        assert_eq!(
            (console.as_str(), &seen.into_inner().unwrap()[..]),
            ("one\ntwo\nrest\n", &["one", "two", "rest"].map(String::from)[..])
        );
    }

    #[test]
    fn a_run_on_a_wire_ends_with_its_report() {
        let ended = AtomicBool::new(false);
        let watch = |line: &str| ended.store(report::is_last(line), Ordering::Relaxed);
        let child = shell("echo tealight done=1; exec sleep 60");
        let reader = Reader::Text(Vec::new());
        let console = finish(child, reader, "qemu", Duration::from_secs(30), &watch, &ended).unwrap();
        assert_eq!(console, "tealight done=1\n");
    }
}
