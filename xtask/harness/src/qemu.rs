//! Runs a firmware image in an emulator, with a time limit, and returns what it printed.
//!
//! QEMU's boards and emulated chips share one interface: a program that runs the image, with the board's console on its
//! standard output and, for a board with a wire, what the board receives on its standard input. A [`Partner`] is at the
//! other end of any board's wire for as long as it runs.

use crate::board::{ConsoleKind, Qemu};
use crate::limit::{self, End};
use crate::log::{Reader, Texts};
use crate::report;
use anyhow::{Context as _, Result, bail};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Is called with each line of a console.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// What a board's firmware gets from the host.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// Bytes, in a file, or on a board's wire when it is ready for them.
    Bytes(&'a [u8]),
    /// Answers to what it writes to its output, on its wire or its standard input.
    Partner(Partner<'a>),
}

impl<'a> Input<'a> {
    /// Those bytes that are known before the run.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Partner(_) => &[],
        }
    }
}

/// Talks with a board, on a thread of its own: receives what the board writes to its output, until the board has ended, and
/// writes answers. Returns whether the board may go on to its end.
pub type Partner<'a> = &'a (dyn Fn(&Receiver<Vec<u8>>, &mut dyn Write) -> bool + Sync);

/// What runs in the emulator.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The firmware.
    pub image: &'a Path,
    /// The working directory: where its semihosting files are.
    pub folder: &'a Path,
    /// Where the report comes from.
    pub console: ConsoleKind,
    /// What goes in on a board's wire.
    pub input: Input<'a>,
    /// How long it may take.
    pub limit: Duration,
}

/// Runs firmware to its end in the emulator called `name` that `program` starts. Returns the lines of its console; calls
/// `watch` with each as it arrives.
pub fn run(mut program: Command, name: &str, job: Job<'_>, watch: Watch<'_>) -> Result<String> {
    let texts = Texts::of(&std::fs::read(job.image)?)?;
    let is_piped = job.console != ConsoleKind::Semihosting || matches!(job.input, Input::Partner(_));
    let child = program
        .current_dir(job.folder)
        .stdin(if is_piped { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}; `cargo xtask setup` installs it"))?;
    attend(child, texts.reader(), name, job, watch)
}

/// Gives an emulator that was started what it is to get, and waits for its end. Returns its console.
fn attend(mut child: Child, reader: Reader<'_>, name: &str, job: Job<'_>, watch: Watch<'_>) -> Result<String> {
    let is_wire = job.console != ConsoleKind::Semihosting;
    let wire = child.stdin.take();
    // On a wire only the report has an end.
    let ended = AtomicBool::new(false);
    let end = |line: &str| {
        if is_wire && report::is_last(line) {
            ended.store(true, Ordering::Relaxed);
        }
    };
    match job.input {
        Input::Bytes(bytes) => {
            let wire = wire.map(Mutex::new);
            let attended = |line: &str| {
                watch(line);
                if report::is_ready(line)
                    && let Some(Ok(mut wire)) = wire.as_ref().map(Mutex::lock)
                {
                    // Firmware that stopped reading reports why itself.
                    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    let _ = send_length(&mut *wire, length)
                        .and_then(|()| wire.write_all(bytes))
                        .and_then(|()| wire.flush());
                }
                end(line);
            };
            finish(child, reader, name, job.limit, &attended, &ended)
        }
        Input::Partner(partner) => std::thread::scope(|scope| {
            let (records, received) = channel();
            let mut wire = wire.context("the emulator has no standard input")?;
            let ended = &ended;
            scope.spawn(move || {
                // A wire begins with the number of bytes: there is no end to them.
                let is_open = !is_wire || send_length(&mut wire, u32::MAX).is_ok();
                if !is_open || !partner(&received, &mut wire) {
                    ended.store(true, Ordering::Relaxed);
                }
            });
            // It has the only sender, so the partner ends after the board.
            let attended = move |line: &str| {
                watch(line);
                if let Some(Ok(bytes)) = report::output(line) {
                    // A partner that has ended hears no more.
                    let _ = records.send(bytes);
                }
                end(line);
            };
            let finished = finish(child, reader, name, job.limit, &attended, ended);
            drop(attended);
            finished
        }),
    }
}

/// Sends the number of bytes that follow on a wire.
fn send_length(wire: &mut impl Write, length: u32) -> std::io::Result<()> {
    wire.write_all(&length.to_le_bytes())?;
    wire.flush()
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

    /// Runs a script that talks with a partner.
    fn talk(script: &str, console: ConsoleKind, partner: Partner<'_>) -> Result<String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (image, folder) = (Path::new("image"), Path::new("folder"));
        let job = Job { image, folder, console, input: Input::Partner(partner), limit: Duration::from_secs(30) };
        attend(command.spawn().unwrap(), Reader::Text(Vec::new()), "qemu", job, &|_| {})
    }

    #[test]
    fn a_partner_answers_what_the_board_writes_until_it_ends() {
        let partner = |records: &Receiver<Vec<u8>>, answers: &mut dyn Write| {
            for record in records {
                writeln!(answers, "{}", record.iter().map(|&byte| u32::from(byte)).sum::<u32>()).unwrap();
            }
            true
        };
        let script = "for list in '[1, 2]' '[255, 1]'; do echo tealight output=$list; read sum; echo $sum; done";
        let console = talk(script, ConsoleKind::Semihosting, &partner).unwrap();
        assert_eq!(console, "tealight output=[1, 2]\n3\ntealight output=[255, 1]\n256\n");
        // On a wire the length is first, and the report is the end.
        let script = "head -c 4 | od -An -tx1; echo tealight done=0; exec sleep 60";
        let console = talk(script, ConsoleKind::Uart, &|_, _| true).unwrap();
        assert_eq!(console, " ff ff ff ff\ntealight done=0\n");
    }

    #[test]
    fn a_partner_that_gives_up_ends_the_run() {
        for console in [ConsoleKind::Semihosting, ConsoleKind::Uart] {
            let said = talk("echo half; exec sleep 60", console, &|_, _| false).unwrap();
            assert!(said == "half\n" || said.is_empty(), "{said}");
        }
        // The script ends when its input does.
        let said = talk("read answer || echo no answer", ConsoleKind::Semihosting, &|_, _| true).unwrap();
        assert_eq!(said, "no answer\n");
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
