//! Times a network on this machine: `tealight-host-bench MODEL INPUTS`, a compiled model and the bytes of its inputs.
//!
//! It prints one JSON value a line: first what it runs with and the bytes of the outputs, then for each line of stdin,
//! a number of inferences, the nanoseconds of each. Nothing runs in between, so that another program can be timed in
//! alternation with this one; `litert.py` answers in the same way.
//!
//! `TEALIGHT_AT_MOST` in the environment names an instruction set, as the first line does: no more than that one is
//! used.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;
use tealight::OwnedSession;

/// Names the best instruction set to use.
const AT_MOST: &str = "TEALIGHT_AT_MOST";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [model, inputs] = &words[..] else {
        eprintln!("usage: tealight-host-bench MODEL INPUTS");
        return ExitCode::from(2);
    };
    match answer(model, inputs, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what there is to say of the program and the first outputs; then answers each line of `requests`.
fn answer(model: &str, inputs: &str, requests: impl BufRead, mut answers: impl Write) -> Result<()> {
    let read = |file: &str| std::fs::read(file).with_context(|| format!("cannot read {file}"));
    if let Ok(name) = std::env::var(AT_MOST) {
        ensure!(tealight_kernels::use_at_most(&name), "{AT_MOST} is `{name}`, which is no instruction set");
    }
    let mut network = Network::open(&read(model)?, read(inputs)?).with_context(|| format!("in {model}"))?;
    network.time()?;
    let outputs: String = network.outputs().iter().map(|byte| format!("{byte:02x}")).collect();
    let start = json!({
        "runtime": concat!("Tealight ", env!("CARGO_PKG_VERSION")),
        "instruction_set": tealight_kernels::instruction_set(),
        "optimized": !cfg!(debug_assertions),
        "outputs": outputs,
    });
    writeln!(answers, "{start}")?;
    answers.flush()?;
    for request in requests.lines() {
        let request = request?;
        let count: usize =
            request.trim().parse().with_context(|| format!("`{request}` is not a number of inferences"))?;
        // Not counted: the other program has filled the caches.
        network.time()?;
        let times = (0..count).map(|_| network.time()).collect::<Result<Vec<u64>>>()?;
        writeln!(answers, "{}", json!(times))?;
        answers.flush()?;
    }
    Ok(())
}

/// A network and its inputs.
struct Network {
    session: OwnedSession,
    /// The bytes of all inputs, in order.
    inputs: Vec<u8>,
}

impl Network {
    fn open(model: &[u8], inputs: Vec<u8>) -> Result<Self> {
        let mut session = OwnedSession::from_bytes(model).map_err(|error| anyhow::anyhow!("{error}"))?;
        let count = session.model().input_count();
        let wanted: usize = (0..count).filter_map(|i| Some(session.input(i)?.as_bytes_mut().len())).sum();
        ensure!(inputs.len() == wanted, "its inputs are {wanted} bytes, but {} are given", inputs.len());
        Ok(Self { session, inputs })
    }

    /// Runs one inference and returns its nanoseconds. The inputs are written before, because their memory is used for
    /// other tensors.
    fn time(&mut self) -> Result<u64> {
        let mut left = &self.inputs[..];
        for i in 0..self.session.model().input_count() {
            let mut tensor = self.session.input(i).context("the model has fewer inputs")?;
            let (now, later) =
                left.split_at_checked(tensor.as_bytes_mut().len()).context("the inputs are too short")?;
            tensor.copy_from_bytes(now)?;
            left = later;
        }
        let start = Instant::now();
        self.session.run();
        Ok(u64::try_from(start.elapsed().as_nanos())?)
    }

    /// The bytes of all outputs, in order.
    fn outputs(&self) -> Vec<u8> {
        let count = self.session.model().output_count();
        (0..count).filter_map(|i| Some(self.session.output(i)?.as_bytes().to_vec())).flatten().collect()
    }
}
