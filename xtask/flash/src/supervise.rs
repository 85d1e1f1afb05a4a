//! Work with a probe, watched from outside.
//!
//! A driver may wait forever for a probe that no longer answers, or panic about an answer that makes no sense, and panic
//! again when it then ends the session, which ends its process. So the work is a process of its own. It writes what it
//! does to its standard output, a line of JSON each; this side shows it, and gives up when nothing comes. However the
//! work ends, the failure contains the state that the board is in.

use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Is set in the environment of the process that works.
pub const WORKER: &str = "TEALIGHT_FLASH_WORKER";

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Opening the probe, attaching to the chip and comparing it with the board.
    Attach,
    /// Comparing the firmware in flash with its image.
    Compare,
    /// Erasing flash.
    Erase,
    /// Programming it.
    Program,
    /// Comparing it.
    Verify,
    /// Writing the header of the model slot.
    Header,
    /// Starting the firmware.
    Start,
    /// Reading its log.
    Log,
}

/// The state that a board is left in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing in flash was changed.
    Untouched,
    /// Some of the flash is erased or programmed.
    Partial,
    /// All is programmed, and not known to be right.
    Unverified,
    /// The image is in flash, verified.
    Flashed,
    /// The whole flash is being erased.
    Erasing,
    /// The model slot has no valid header.
    NoModel,
    /// The model slot is written, and not known to be right.
    ModelUnverified,
    /// The model is in its slot, verified.
    ModelFlashed,
}

impl State {
    /// What it means for the user.
    pub fn text(self) -> &'static str {
        match self {
            Self::Untouched => "nothing in the board's flash was changed",
            Self::Partial => {
                "the board's flash is erased or programmed in part: it has no working firmware until it is flashed again"
            }
            Self::Unverified => "the image was programmed, and is not verified: flash again",
            Self::Flashed => "the image is in flash, and verified",
            Self::Erasing => "the board's flash is erased in part: flash or erase it again",
            Self::NoModel => {
                "its firmware is as before, and has no model: it reports that, and runs none, until one is flashed"
            }
            Self::ModelUnverified => "the model was programmed, and is not verified: flash it again",
            Self::ModelFlashed => "the model is in its slot, and verified",
        }
    }
}

/// A report of the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A stage begins.
    Stage(Stage),
    /// Bytes that the stage is about.
    Total(Stage, u64),
    /// Bytes that were done.
    Done(Stage, u64),
    /// A stage has ended.
    Ended(Stage),
    /// A fact for the user.
    Fact(String),
    /// A line of the log.
    Line(String),
    /// Nothing, but the work goes on.
    Alive,
    /// All is done. What goes wrong when the session ends makes no difference.
    Finished,
    /// The work failed.
    Failed {
        /// Why, and what to do.
        text: String,
        /// The exit code.
        code: u8,
    },
}

/// A line of a worker.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    state: State,
    event: Event,
}

/// The worker's end: it writes events.
pub struct Reporter {
    output: Box<dyn Write>,
    state: State,
}

impl Reporter {
    /// Writes lines to `output`.
    pub fn new(output: impl Write + 'static) -> Self {
        Self { output: Box::new(output), state: State::Untouched }
    }

    /// Reports an event. If nothing reads it any more, the process ends.
    pub fn report(&mut self, event: Event) {
        let line = serde_json::to_string(&Line { state: self.state, event }).unwrap_or_default();
        if writeln!(self.output, "{line}").and_then(|()| self.output.flush()).is_err() {
            std::process::exit(1);
        }
    }

    /// Sets the state that the board is in from here on.
    pub fn state(&mut self, state: State) {
        self.state = state;
        self.report(Event::Alive);
    }
}

/// Why work failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// It reported why.
    #[error("{text}")]
    Reported {
        /// Why, and what to do.
        text: String,
        /// The exit code.
        code: u8,
    },
    /// It reported nothing for this many seconds.
    #[error("the debug probe did not answer for {0} s\nUnplug it and plug it in again.")]
    Silent(u64),
    /// The probe's driver gave up.
    #[error(
        "the debug probe's answer made no sense to its driver ({0})\n\
         Unplug it and plug it in again; shorter wires may help."
    )]
    Driver(String),
}

/// Why work failed, and what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// What was being done.
    pub stage: Stage,
    /// The state of the board.
    pub state: State,
}

impl Failure {
    /// The exit code of a program that ends by it.
    pub fn exit_code(&self) -> u8 {
        match self.cause {
            Cause::Reported { code, .. } => code,
            Cause::Silent(_) | Cause::Driver(_) => 1,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)?;
        // A command that was used wrongly has not come near the board.
        if self.exit_code() != 2 {
            write!(f, "\nThe state of the board: {}.", self.state.text())?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Runs a worker, and passes on what it reports. If it reports nothing for `patience`, it is ended.
///
/// # Errors
/// A [`Failure`].
pub fn supervise(mut worker: Command, patience: Duration, mut observe: impl FnMut(&Event)) -> Result<(), Failure> {
    let (mut stage, mut state) = (Stage::Attach, State::Untouched);
    let started = worker.env(WORKER, "1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => Process(child),
        Err(error) => return Err(Failure { cause: Cause::Driver(error.to_string()), stage, state }),
    };
    let lines = lines(child.0.stdout.take());
    let errors = child.0.stderr.take();
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        // What was read before an error is still worth showing.
        let _ = errors.map(|mut pipe| pipe.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut end = None;
    loop {
        match lines.recv_timeout(patience) {
            Ok(line) => {
                state = line.state;
                match &line.event {
                    Event::Stage(begun) => stage = *begun,
                    Event::Finished => end = Some(Ok(())),
                    Event::Failed { text, code } => {
                        end = Some(Err(Cause::Reported { text: text.clone(), code: *code }));
                    }
                    _ => {}
                }
                observe(&line.event);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let cause = Cause::Silent(patience.as_secs());
                return end.unwrap_or(Err(cause)).map_err(|cause| Failure { cause, stage, state });
            }
        }
    }
    drop(child);
    let driver = || Cause::Driver(panic_of(&errors.join().unwrap_or_default()));
    end.unwrap_or_else(|| Err(driver())).map_err(|cause| Failure { cause, stage, state })
}

/// A process, which ends when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of a worker as they come.
fn lines(pipe: Option<impl Read + Send + 'static>) -> Receiver<Line> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()).map_while(Result::ok) {
            if let Ok(line) = serde_json::from_str(&line)
                && sender.send(line).is_err()
            {
                return;
            }
        }
    });
    lines
}

/// The message of the first panic on a standard error.
fn panic_of(errors: &str) -> String {
    let after = errors.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    after.map_or_else(|| "it ended without a message".into(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn line(state: State, event: Event) -> String {
        format!("echo '{}'\n", serde_json::to_string(&Line { state, event }).unwrap())
    }

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_a_worker_reports_is_passed_on_and_what_follows_its_end_makes_no_difference() {
        let mut events = Vec::new();
        let script = line(State::Flashed, Event::Stage(Stage::Log)) + &line(State::Flashed, Event::Finished) + "exit 3";
        supervise(shell(&script), LONG, |event| events.push(event.clone())).unwrap();
        assert_eq!(events, [Event::Stage(Stage::Log), Event::Finished]);
    }

    #[test]
    fn a_workers_own_error_keeps_its_code_and_gets_the_state() {
        let failed = |code| Event::Failed { text: "no".into(), code };
        let script = line(State::Partial, Event::Stage(Stage::Program)) + &line(State::Partial, failed(1));
        let failure = supervise(shell(&script), LONG, |_| {}).unwrap_err();
        assert_eq!((failure.stage, failure.state, failure.exit_code()), (Stage::Program, State::Partial, 1));
        assert!(failure.to_string().starts_with("no\n") && failure.to_string().contains("no working firmware"));
        let failure = supervise(shell(&line(State::Untouched, failed(2))), LONG, |_| {}).unwrap_err();
        assert_eq!((failure.to_string().as_str(), failure.exit_code()), ("no", 2));
    }

    #[test]
    fn a_silent_worker_is_ended() {
        let script = line(State::Partial, Event::Stage(Stage::Program)) + "exec sleep 100";
        let failure = supervise(shell(&script), SHORT, |_| {}).unwrap_err();
        assert!(matches!(failure.cause, Cause::Silent(_)));
        assert_eq!((failure.stage, failure.state), (Stage::Program, State::Partial));
    }

    #[test]
    fn a_worker_that_is_aborted_is_a_failure_with_the_words_of_its_panic() {
        let script = "echo \"thread 'main' panicked at mod.rs:3:9:\nexpected data\nmore\" >&2; kill -ABRT $$";
        let failure = supervise(shell(script), LONG, |_| {}).unwrap_err();
        assert_eq!(failure.cause, Cause::Driver("expected data".into()));
        assert_eq!((failure.state, failure.exit_code()), (State::Untouched, 1));
    }
}
