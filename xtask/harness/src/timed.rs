//! Programs that time a network on this machine on request, one program at a time.
//!
//! Such a program prints one JSON value a line: first what it runs with and the bytes of its outputs, then for each
//! number of inferences on its stdin the nanoseconds of each. See `xtask/host-bench`.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What a program prints first.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Start {
    /// The runtime and its version.
    pub runtime: String,
    /// The instruction set that it uses, if it says so.
    pub instruction_set: Option<String>,
    /// Whether it is optimized, if it says so.
    pub optimized: Option<bool>,
    /// The bytes of all outputs, in order.
    #[serde(deserialize_with = "hexadecimal")]
    pub outputs: Vec<u8>,
}

/// A program that runs and waits for a number of inferences.
#[derive(Debug)]
pub struct Timed {
    name: String,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it writes to stderr.
    said: File,
    /// What it printed first.
    pub start: Start,
}

impl Timed {
    /// Starts a program and waits until it has run the network once.
    ///
    /// # Errors
    /// It cannot be started, or cannot run the network: what it wrote to stderr.
    pub fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let said = tempfile::tempfile()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said.try_clone()?);
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let (requests, answers) = (process.stdin.take(), process.stdout.take());
        let requests = requests.context("the program has no stdin")?;
        let answers = BufReader::new(answers.context("the program has no stdout")?);
        let start = Start { runtime: String::new(), instruction_set: None, optimized: None, outputs: Vec::new() };
        let mut timed = Self { name, process, requests, answers, said, start };
        timed.start = parse(&timed.line()?).with_context(|| format!("the first line of {}", timed.name))?;
        Ok(timed)
    }

    /// The nanoseconds of each of `count` inferences.
    ///
    /// # Errors
    /// The program ended or answered something else.
    pub fn time(&mut self, count: usize) -> Result<Vec<u64>> {
        // If it has ended, there is no answer either, and the error says why.
        writeln!(self.requests, "{count}").and_then(|()| self.requests.flush()).ok();
        times(&self.line()?, count).with_context(|| format!("an answer of {}", self.name))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).with_context(|| format!("cannot read from {}", self.name))?;
        if line.is_empty() {
            let mut said = String::new();
            self.said.rewind()?;
            self.said.read_to_string(&mut said)?;
            bail!("{} ended without an answer:\n{}", self.name, said.trim_end());
        }
        Ok(line)
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Reads the first line.
fn parse(line: &str) -> Result<Start> {
    serde_json::from_str(line).with_context(|| format!("`{}` is not the start of a timed program", line.trim_end()))
}

/// Reads the times of `count` inferences.
fn times(line: &str, count: usize) -> Result<Vec<u64>> {
    let times: Vec<u64> =
        serde_json::from_str(line).with_context(|| format!("`{}` is not a list of nanoseconds", line.trim_end()))?;
    if times.len() != count {
        bail!("{} times instead of {count}", times.len());
    }
    Ok(times)
}

/// Bytes in hexadecimal digits.
fn hexadecimal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, rest) = digits.as_deref().map_or_else(|| (&[][..], &[0][..]), <[u32]>::as_chunks);
    if !rest.is_empty() {
        return Err(serde::de::Error::custom("the outputs are not bytes in hexadecimal digits"));
    }
    Ok(pairs.iter().map(|[high, low]| (16 * high + low) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_runtime_and_outputs() {
        let start = parse(r#"{"runtime": "LiteRT 1.2.3", "outputs": "00ff7A"}"#).unwrap();
        assert_eq!((start.runtime.as_str(), &start.outputs[..]), ("LiteRT 1.2.3", &[0, 255, 0x7A][..]));
        assert_eq!((start.instruction_set, start.optimized), (None, None));
        for wrong in [r#"{"runtime": "x", "outputs": "0"}"#, r#"{"runtime": "x", "outputs": "0g"}"#, "[1]", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_has_as_many_times_as_were_asked_for() {
        assert_eq!(times("[5, 70]\n", 2).unwrap(), [5, 70]);
        assert_eq!(times("[5]", 2).unwrap_err().to_string(), "1 times instead of 2");
        assert!(times("[-5]", 1).is_err());
        assert!(times("INFO: ready", 1).unwrap_err().to_string().contains("INFO: ready"));
    }

    #[test]
    fn a_program_that_cannot_run_the_network_is_told_with_its_words() {
        let mut command = Command::new("cargo");
        command.arg("--no-such-option");
        let error = Timed::start(command).unwrap_err().to_string();
        assert!(error.contains("ended without an answer") && error.contains("--no-such-option"), "{error}");
    }
}
