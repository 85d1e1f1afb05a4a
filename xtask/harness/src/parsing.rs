//! `cargo xtask parsing`: what it costs a board to check a model file, in instructions for each of its bytes.
//!
//! `SPEC.md` of the format states a bound. It holds for ordinary models, and for files that ask for as much work as
//! their bytes can; twice the bytes are at most about twice the work.

use crate::board::{self, Board, ConsoleKind};
use crate::context::Context;
use crate::files::read;
use crate::model;
use crate::on_board::{self, Options, emulate};
use crate::progress::Progress;
use crate::qemu::Input;
use crate::report::Report;
use crate::run;
use crate::table::{Table, table};
use anyhow::{Context as _, Result, anyhow, bail};
use std::time::Duration;
use tealight_cli::grouped;
use tealight_format::{Model, OpCode};
use tealight_tests::heavy;

/// The maximum number of instructions that `Model::parse` takes for a byte of a file on a Cortex-M4, as the
/// specification states.
const MOST: f64 = 100.0;

/// Instructions that it takes besides.
const FIXED: u64 = 20_000;

/// Where `SPEC.md` states the two.
const SPEC: &str = "runtime/format/SPEC.md";

/// About the bytes of a file of each kind, and of one of twice the length.
const LENGTHS: [usize; 2] = [120_000, 240_000];

/// How much more than twice the work twice the bytes may be.
const GROWTH: f64 = 1.1;

/// The features of the firmware.
const FEATURES: &[&str] = &["measure-parse"];

/// A file that was parsed.
struct Parsed {
    name: String,
    bytes: usize,
    instructions: u64,
}

impl Parsed {
    fn each(&self) -> f64 {
        self.instructions as f64 / self.bytes as f64
    }
}

/// Parses files on a board, tables what each took, and compares with what is stated.
pub fn parsing(context: &Context, board: &str) -> Result<()> {
    let board = board::find_emulated(&context.root, board)?;
    if board.console.kind != ConsoleKind::Semihosting {
        bail!("{} takes its input by a wire, which counts as work; name a board that reads files", board.id);
    }
    is_stated(context)?;
    let mut files = committed(context)?;
    for heavy::Kind { name, file, .. } in heavy::KINDS {
        files.extend(LENGTHS.map(|length| (name.to_string(), file(length))));
    }
    for &code in OpCode::ALL {
        let file = context.root.join(format!("tests/fuzz/seeds/{}.safetensors", code.name()));
        let seed = read(&file)?;
        let model = Model::parse(&seed).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        let file = heavy::repeated(&model, code, LENGTHS[0]);
        let file = file.with_context(|| format!("its seed has no {} that can be repeated", code.name()))?;
        files.push((format!("{} while much is alive", code.name()), file));
    }
    let progress = Progress::start(format!("parsing {} files on {}", files.len(), board.id));
    let (parsed, stack) = on_board(context, &board, files)?;
    progress.done(&format!("{} bytes of stack", grouped(stack)));
    println!("{}", as_table(&parsed));
    judge(&parsed)
}

/// Our own models.
fn committed(context: &Context) -> Result<Vec<(String, Vec<u8>)>> {
    let names = model::own_models(context)?;
    let file = |name: String| {
        let path = context.root.join("models").join(&name).join(format!("{name}.safetensors"));
        anyhow::Ok((name, read(&path)?))
    };
    names.into_iter().map(file).collect()
}

/// Checks that the specification states the bound that is asserted here.
fn is_stated(context: &Context) -> Result<()> {
    let spec = std::fs::read_to_string(context.root.join(SPEC)).with_context(|| format!("cannot read {SPEC}"))?;
    let stated = format!("{MOST} instructions for each byte of the file, and {} besides", grouped(FIXED));
    if !spec.split_whitespace().collect::<Vec<_>>().join(" ").contains(&stated) {
        bail!("{SPEC} does not contain `{stated}`");
    }
    Ok(())
}

/// Runs the firmware that parses its input. Returns the deepest stack too.
fn on_board(context: &Context, board: &Board, files: Vec<(String, Vec<u8>)>) -> Result<(Vec<Parsed>, u64)> {
    let mut input = Vec::new();
    for (name, file) in &files {
        let length = u32::try_from(file.len()).with_context(|| format!("{name} is too long"))?;
        input.extend(length.to_le_bytes());
        input.extend(file);
    }
    let (model, _) = run::demonstration(context)?;
    let options = Options { features: FEATURES, limit: Duration::from_secs(600), ..Options::default() };
    let on_board::Emulated { console, .. } = emulate(context, board, &model, Input::Bytes(&input), options, &|_| {})?;
    let report = Report::parse(&console, board::instructions_per_second(board))?;
    if report.parses.len() != files.len() {
        bail!("{} files were given, {} were parsed", files.len(), report.parses.len());
    }
    let parsed = files.into_iter().zip(report.parses);
    let parsed = parsed.map(|((name, file), instructions)| Parsed { name, bytes: file.len(), instructions }).collect();
    Ok((parsed, report.stack_bytes))
}

/// Compares with the bound, and files of one kind with each other.
fn judge(parsed: &[Parsed]) -> Result<()> {
    for file in parsed {
        let most = MOST * file.bytes as f64 + FIXED as f64;
        if file.instructions as f64 > most {
            bail!("{} takes {} instructions, more than {most:.0}", file.name, grouped(file.instructions));
        }
    }
    let worst = parsed.iter().map(Parsed::each).fold(0.0, f64::max);
    if worst < MOST / 2.0 {
        bail!("the bound of {MOST} instructions a byte is too loose: no file takes more than {worst:.1}");
    }
    for pair in parsed.windows(2).filter(|pair| pair[0].name == pair[1].name) {
        let ratio = pair[1].instructions as f64 / pair[0].instructions as f64;
        let twice = pair[1].bytes as f64 / pair[0].bytes as f64;
        if ratio > twice * GROWTH {
            bail!("{}: {twice:.2} times the bytes take {ratio:.2} times the instructions", pair[0].name);
        }
    }
    Ok(())
}

fn as_table(parsed: &[Parsed]) -> Table {
    let mut table = table(&["file"], &["bytes", "instructions", "per byte"], &[]);
    for file in parsed {
        let [bytes, instructions] = [file.bytes as u64, file.instructions].map(grouped);
        table.row([file.name.clone(), bytes, instructions, format!("{:.1}", file.each())]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, bytes: usize, each: f64) -> Parsed {
        Parsed { name: name.into(), bytes, instructions: (bytes as f64 * each) as u64 }
    }

    #[test]
    fn what_takes_more_than_the_bound_or_grows_faster_than_its_bytes_is_told() {
        judge(&[parsed("a", 100_000, 60.0), parsed("a", 200_000, 62.0)]).unwrap();
        let refused = |files: &[Parsed]| judge(files).unwrap_err().to_string();
        assert!(refused(&[parsed("a", 100_000, 101.0)]).contains("a takes 10,100,000 instructions"));
        assert!(refused(&[parsed("a", 100_000, 30.0)]).contains("too loose"));
        assert!(refused(&[parsed("a", 100_000, 30.0), parsed("a", 200_000, 60.0)]).contains("times the instructions"));
    }
}
