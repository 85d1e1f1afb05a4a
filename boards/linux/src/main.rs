//! The program that a Linux board runs for `cargo xtask conformance`: it runs models on inputs from files and writes
//! their outputs to files.
//!
//! `tealight-linux FOLDER COUNT` runs model `I.model` of the folder once for each of the consecutive inputs in
//! `I.input`, for each I below COUNT, and writes all outputs to `I.output`; a model without inputs runs once. Before
//! that it compares the inner loops of its instruction set with the portable ones, and all f32 and block kernels with
//! their recorded results. The exit code is 0, 1 if something failed, or 2 for wrong arguments.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tealight::OwnedSession;

/// The number of random cases for the instruction set's inner loops.
const ARCH_CASES: u32 = 5_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().map(PathBuf::from);
    let count = arguments.next().and_then(|count| count.to_str()?.parse::<usize>().ok());
    let (Some(folder), Some(count), None) = (folder, count, arguments.next()) else {
        eprintln!("usage: tealight-linux FOLDER COUNT");
        return ExitCode::from(2);
    };
    if let Some(case) = tealight_kernels::compare_arch(ARCH_CASES) {
        eprintln!("error: the kernels of this instruction set differ from the portable ones in random case {case}");
        return ExitCode::FAILURE;
    }
    if let Some(kernel) = tealight_kernels::selftest::first_difference() {
        eprintln!("error: the recorded bits are not those of {kernel:?}");
        return ExitCode::FAILURE;
    }
    for i in 0..count {
        let file = |part: &str| folder.join(format!("{i}.{part}"));
        if let Err(error) = run(&file("model"), &file("input"), &file("output")) {
            eprintln!("error: {}: {error}", file("model").display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs a model on each input.
fn run(model: &Path, input: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let mut session = OwnedSession::from_bytes(&std::fs::read(model)?)?;
    let [input_count, output_count] = [session.model().input_count(), session.model().output_count()];
    let inputs = std::fs::read(input)?;
    let mut left = &inputs[..];
    let mut outputs = Vec::new();
    // Without inputs, the number of inferences is 1.
    let mut once = input_count == 0;
    if once && !left.is_empty() {
        return Err("the model has no inputs, but its file of inputs is not empty".into());
    }
    while once || !left.is_empty() {
        once = false;
        let mut each = Vec::new();
        for i in 0..input_count {
            let len = session.model().input_value(i).map_or(0, |input| input.whole_len() as usize);
            let (now, later) = left.split_at_checked(len).ok_or("the input ends within an inference")?;
            each.push(now);
            left = later;
        }
        session.run_on(&each)?;
        for i in 0..output_count {
            outputs.extend_from_slice(session.output(i).ok_or("the model has fewer outputs")?.as_bytes());
        }
    }
    Ok(std::fs::write(output, outputs)?)
}
