//! Reads the firmware's report from the lines of its console (see `tealight_board::report`).

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
pub use tealight_console::{is_fact, is_last, is_ready};

/// Version of the report that this reader supports.
const VERSION: u64 = 4;

/// What firmware reports about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The board, by its own word.
    pub board: String,
    /// How many inferences were run.
    #[serde(skip)]
    pub inferences: usize,
    /// Instructions of each inference, exact to the tick of the board's clock; none if the clock does not count them.
    pub instructions: Vec<u64>,
    /// Instructions of the front end before each inference, if it has one.
    pub front_end: Vec<u64>,
    /// Instructions of each parse of a file, where these are measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parses: Vec<u64>,
    /// What a loaded model costs: an inference, and its longest row. Firmware that embeds a model does not report it.
    pub model_cost: Option<[u64; 2]>,
    /// Tokens that a language model generated.
    pub tokens: Vec<u32>,
    /// Length of a clock tick in instructions, rounded up: the counts' resolution.
    pub resolution: u64,
    /// Measured length of the calibration loop.
    pub calibration: u64,
    /// Bytes of the arena, state included.
    pub arena_bytes: u64,
    /// Bytes of the arena that hold streaming state.
    pub state_bytes: u64,
    /// Deepest stack during inference, in bytes from the stack's top.
    pub stack_bytes: u64,
}

/// The number after `key` on a console.
pub fn number(console: &str, key: &str) -> Option<u64> {
    let facts = console.lines().filter_map(|line| line.strip_prefix("tealight ")?.split_once('='));
    facts.into_iter().find_map(|(found, value)| (found == key).then(|| value.parse().ok())?)
}

/// The outputs that a board without files wrote into its report.
pub fn outputs(console: &str) -> Result<Vec<u8>> {
    Ok(console.lines().filter_map(output).collect::<Result<Vec<_>>>()?.concat())
}

/// The outputs that a line of a report has, if it is one of outputs.
pub fn output(line: &str) -> Option<Result<Vec<u8>>> {
    let list = line.strip_prefix("tealight output=")?;
    let bytes = list.trim_matches(['[', ']']).split(',').map(|byte| byte.trim().parse::<u8>());
    let bytes = bytes.collect::<Result<Vec<_>, _>>();
    Some(bytes.with_context(|| format!("the board's report has outputs that are no bytes: `{list}`")))
}

impl Report {
    /// Reads a console's text. `rate` is how many instructions the emulator executes in a second of the board's clock;
    /// without it, the clock counts no instructions, and the report has no figures in them.
    ///
    /// # Errors
    /// The report is cut, of another version, off in its calibration, or it ends with the firmware's own error.
    pub fn parse(console: &str, rate: Option<u64>) -> Result<Self> {
        let mut report = Self::default();
        let (mut ticks, mut front_end, mut parses) = (Vec::new(), Vec::new(), Vec::new());
        let mut calibration = (0, 0);
        let mut ticks_per_second = 0;
        let mut done = None;
        for fact in console.lines().filter_map(|line| line.strip_prefix("tealight ")) {
            let (key, value) =
                fact.split_once('=').with_context(|| format!("the board's report has a line without `=`: `{fact}`"))?;
            let number = || -> Result<u64> {
                value.parse().with_context(|| format!("the board's report contains `{fact}`, which is not a number"))
            };
            match key {
                "version" => {
                    let version = number()?;
                    if version != VERSION {
                        bail!("the board's report has version {version}, this xtask reads {VERSION}");
                    }
                }
                "board" => report.board = value.into(),
                "ticks_per_second" => ticks_per_second = number()?,
                "calibration_instructions" => calibration.0 = number()?,
                "calibration_ticks" => calibration.1 = number()?,
                "model_cost" => report.model_cost.get_or_insert_default()[0] = number()?,
                "longest_row" => report.model_cost.get_or_insert_default()[1] = number()?,
                "arena_bytes" => report.arena_bytes = number()?,
                "state_bytes" => report.state_bytes = number()?,
                "stack_bytes" => report.stack_bytes = number()?,
                "inference_ticks" => ticks.push(number()?),
                "parse_ticks" => parses.push(number()?),
                "token" => report.tokens.push(u32::try_from(number()?).context("a token is a 32-bit number")?),
                "front_end_ticks" => front_end.push(number()?),
                // Read by `outputs`, and by who sends the inputs.
                "output" | "ready" => {}
                "done" => done = Some(number()?),
                "error" => bail!("the firmware stopped: {}", explain(value)),
                _ => bail!("the board's report has an unknown line: `{fact}`"),
            }
        }
        let Some(done) = done else {
            bail!("the board's report is cut off after {} inferences", ticks.len());
        };
        // It does the one or the other.
        let reported = ticks.len() + parses.len();
        if done != reported as u64 {
            bail!("the board says {done} inferences, but reported {reported}");
        }
        if ticks_per_second == 0 {
            bail!("the board's report does not contain the frequency of its clock");
        }
        report.inferences = ticks.len();
        let Some(rate) = rate else { return Ok(report) };
        report.resolution = rate.div_ceil(ticks_per_second);
        let instructions = |ticks: u64| (u128::from(ticks) * u128::from(rate) / u128::from(ticks_per_second)) as u64;
        report.calibration = instructions(calibration.1);
        if report.calibration.abs_diff(calibration.0) > 2 * report.resolution {
            bail!("the board's clock is off: a loop of {} instructions measured {}", calibration.0, report.calibration);
        }
        let each = |ticks: &[u64]| ticks.iter().map(|&ticks| instructions(ticks)).collect();
        (report.instructions, report.front_end, report.parses) = (each(&ticks), each(&front_end), each(&parses));
        Ok(report)
    }
}

/// Explains the firmware's error word.
fn explain(word: &str) -> String {
    match word {
        "input-not-found" => "it found no input file".into(),
        "output-not-created" => "it could not create its output file; is the disk full?".into(),
        "input-not-readable" => "its input file could not be read".into(),
        "input-ends-within-an-inference" => "the input is not a whole number of inferences long".into(),
        "input-longer-than-the-memory" => "a file is longer than the memory that it keeps for one".into(),
        "model-takes-other-features" => "the model takes other features than the firmware computes from sound".into(),
        "model-continues-no-text" => "the model takes no token, or returns no scores to choose one by".into(),
        "output-not-writable" => "it could not write its output file; is the disk full?".into(),
        "instruction-set-differs" => "an inner loop for its instruction set differs from the portable one".into(),
        other if other.starts_with("model-refused: ") => {
            format!("it refused the model: {}", other.trim_start_matches("model-refused: "))
        }
        other if other.starts_with("stack-overflow") => {
            format!("its stack overflowed ({other}); increase `stack` in its board.toml")
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "QEMU: hello\n\
        tealight version=4\ntealight board=x1\ntealight ticks_per_second=25000000\n\
        tealight calibration_instructions=1000000\ntealight calibration_ticks=25001\n\
        tealight arena_bytes=4096\ntealight state_bytes=16\n\
        tealight inference_ticks=100\ntealight inference_ticks=101\n\
        tealight stack_bytes=700\ntealight done=2\n";

    /// An instruction is a nanosecond.
    const QEMU: Option<u64> = Some(1_000_000_000);

    fn refusal(text: &str) -> String {
        format!("{:#}", Report::parse(text, QEMU).unwrap_err())
    }

    #[test]
    fn a_whole_report_is_read_and_other_lines_are_passed_over() {
        let report = Report::parse(GOOD, QEMU).unwrap();
        assert_eq!(report.instructions, [4000, 4040]);
        assert_eq!((report.arena_bytes, report.state_bytes, report.stack_bytes), (4096, 16, 700));
        assert_eq!(report.calibration, 1_000_040);
    }

    #[test]
    fn outputs_in_a_report_are_put_in_a_row() {
        let text = GOOD.replace("tealight done", "tealight output=[1, 2, 255]\ntealight output=[7]\ntealight done");
        assert_eq!(outputs(&text).unwrap(), [1, 2, 255, 7]);
        Report::parse(&text, QEMU).unwrap();
        assert!(outputs("tealight output=[1, 256]").unwrap_err().to_string().contains("256"));
    }

    #[test]
    fn a_cut_report_is_refused() {
        assert!(refusal(GOOD.split("tealight done").next().unwrap()).contains("cut off after 2"));
        assert!(refusal("").contains("cut off"));
        assert!(refusal(&GOOD.replace("done=2", "done=3")).contains("3 inferences"));
    }

    #[test]
    fn a_tick_may_be_any_part_of_a_second() {
        let text = GOOD.replace("=25000000", "=24000000").replace("=25001", "=24000");
        let report = Report::parse(&text, QEMU).unwrap();
        assert_eq!((&report.instructions[..], report.resolution), (&[4166, 4208][..], 42));
    }

    #[test]
    fn a_clock_that_counts_no_instructions_gives_no_figures() {
        let report = Report::parse(&GOOD.replace("25001", "50001"), None).unwrap();
        assert_eq!((report.inferences, report.instructions.len(), report.calibration), (2, 0, 0));
        assert_eq!((report.arena_bytes, report.stack_bytes), (4096, 700));
    }

    #[test]
    fn a_clock_that_is_off_is_refused() {
        assert!(refusal(&GOOD.replace("25001", "25010")).contains("1000400"));
    }

    #[test]
    fn the_firmwares_own_error_is_told() {
        let text = "tealight version=4\ntealight error=input-ends-within-an-inference\n";
        assert!(refusal(text).contains("whole number of inferences"));
        let text = "tealight version=4\ntealight error=panic at src/x.rs:12\n";
        assert!(refusal(text).contains("panic at src/x.rs:12"));
        assert!(refusal("tealight version=9\n").contains("version 9"));
        assert!(refusal(&GOOD.replace("ticks_per_second=25000000", "state_bytes=1")).contains("frequency"));
    }
}
