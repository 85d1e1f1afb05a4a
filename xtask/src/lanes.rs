//! Steps in lanes: those of a lane follow one another, and the lanes run side by side.

use crate::cpu_time;
use anyhow::{Context as _, Result, bail};
use std::io::{Read as _, Seek as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A step as the lanes see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Index of its lane.
    pub(crate) lane: usize,
    /// A step that must have ended before this one begins, if it is run at all.
    pub(crate) after: Option<&'static str>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) seconds: u64,
    /// Of the step's processes; `None` where the system does not tell it.
    pub(crate) cpu_seconds: Option<u64>,
    pub(crate) passed: bool,
}

/// What a step's process left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) passed: bool,
    /// What it printed.
    pub(crate) printed: String,
    pub(crate) cpu_seconds: Option<u64>,
}

impl Outcome {
    /// The line that ends a step's output.
    pub(crate) fn line(&self) -> String {
        let passed = if self.passed { "passed" } else { "FAILED" };
        let cpu = self.cpu_seconds.map(|seconds| format!(", CPU {seconds} s")).unwrap_or_default();
        format!("== {}: {passed} ({} s{cpu})", self.name, self.seconds)
    }
}

/// Runs the steps, all of them even if one fails, and shows what each printed when it ends. The outcomes
/// are in the order of the steps.
pub(crate) fn run(steps: &[Entry], run: impl Fn(&Entry) -> Result<Ended> + Sync) -> Vec<Outcome> {
    let (ended, changed) = (Mutex::new(Vec::<Outcome>::new()), Condvar::new());
    let has_ended = |ended: &[Outcome], name: &str| ended.iter().any(|outcome| outcome.name == name);
    let (ended_of, run_of) = (&ended, &run);
    let lane = |lane: usize| {
        for step in steps.iter().filter(|step| step.lane == lane) {
            let before = step.after.filter(|name| steps.iter().any(|other| other.name == *name));
            let held = ended_of.lock().unwrap_or_else(PoisonError::into_inner);
            let waits = |ended: &mut Vec<Outcome>| before.is_some_and(|name| !has_ended(ended, name));
            drop(changed.wait_while(held, waits).unwrap_or_else(PoisonError::into_inner));
            println!("== {}: begins", step.name);
            let begun = Instant::now();
            // A panic must not leave others waiting for this step.
            let result = catch_unwind(AssertUnwindSafe(|| run_of(step))).unwrap_or_else(|_| bail!("it panicked"));
            let Ended { passed, printed, cpu_seconds } = result.unwrap_or_else(|error| Ended {
                passed: false,
                printed: format!("{error:#}"),
                cpu_seconds: None,
            });
            let outcome = Outcome { name: step.name.into(), seconds: begun.elapsed().as_secs(), cpu_seconds, passed };
            let mut ended = ended_of.lock().unwrap_or_else(PoisonError::into_inner);
            // Under the lock, so that the output of two steps is not mixed.
            println!("== {}\n{}\n{}", step.name, printed.trim_end(), outcome.line());
            ended.push(outcome);
            changed.notify_all();
        }
    };
    let lanes = steps.iter().map(|step| step.lane + 1).max().unwrap_or(0);
    let lane = &lane;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..lanes).map(|index| scope.spawn(move || lane(index))).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|outcome| steps.iter().position(|step| step.name == outcome.name));
    ended
}

/// Runs `program` with `words` and these environment variables. What it printed on both streams is in order, without the line of its CPU time.
pub(crate) fn run_apart(program: &Path, words: &[&str], variables: &[(&str, &str)]) -> Result<Ended> {
    // One file for both streams keeps their order.
    let mut printed = tempfile::tempfile().context("cannot create a temporary file")?;
    let status = Command::new(program)
        .args(words)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(printed.try_clone()?)
        .stderr(printed.try_clone()?)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    printed.rewind()?;
    let mut bytes = Vec::new();
    printed.read_to_end(&mut bytes)?;
    let (cpu_seconds, printed) = cpu_time::taken_from(&String::from_utf8_lossy(&bytes));
    Ok(Ended { passed: status.success(), printed, cpu_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Entry] = &[
        Entry { name: "a", lane: 0, after: Some("c") },
        Entry { name: "b", lane: 0, after: None },
        Entry { name: "c", lane: 1, after: None },
        Entry { name: "d", lane: 2, after: Some("b") },
        Entry { name: "e", lane: 2, after: Some("a step that is not run") },
    ];

    fn ended(passed: bool, printed: &str, cpu_seconds: Option<u64>) -> Ended {
        Ended { passed, printed: printed.into(), cpu_seconds }
    }

    #[test]
    fn a_step_waits_for_its_lane_and_for_the_step_that_it_names() {
        let begun = Mutex::new(Vec::new());
        let outcomes = run(STEPS, |step| {
            begun.lock().unwrap().push(step.name);
            Ok(ended(true, "", None))
        });
        assert_eq!(begun.into_inner().unwrap(), ["c", "a", "b", "d", "e"]);
        assert!(outcomes.iter().map(|outcome| outcome.name.as_str()).eq(["a", "b", "c", "d", "e"]));
    }

    #[test]
    fn a_step_that_fails_or_cannot_be_started_stops_no_other() {
        let outcomes = run(STEPS, |step| match step.name {
            "c" => Ok(ended(false, "bad", Some(3))),
            "b" => bail!("no program"),
            "d" => panic!("seeded"),
            _ => Ok(ended(true, "", None)),
        });
        assert_eq!(outcomes[2].line(), "== c: FAILED (0 s, CPU 3 s)");
        assert_eq!(outcomes[1].line(), "== b: FAILED (0 s)");
        let passed: Vec<bool> = outcomes.iter().map(|outcome| outcome.passed).collect();
        assert_eq!(passed, [true, false, false, false, true]);
    }

    #[test]
    fn both_streams_of_a_program_are_shown_in_order_with_its_success() {
        let shell = |script: &str| run_apart(Path::new("sh"), &["-c", script], &[("SHOWN", "one")]).unwrap();
        assert_eq!(shell("echo $SHOWN; echo two >&2; echo three"), ended(true, "one\ntwo\nthree\n", None));
        assert_eq!(shell("echo bad >&2; exit 3"), ended(false, "bad\n", None));
        let told = format!("echo one; echo '{}'; echo bad >&2; exit 1", cpu_time::line(5));
        assert_eq!(shell(&told), ended(false, "one\nbad\n", Some(5)));
        assert!(run_apart(Path::new("/no such program"), &[], &[]).is_err());
    }
}
