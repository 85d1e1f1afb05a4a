//! The program `tealight` itself on a Linux board, on each of its processors, used as a person would: it compiles a
//! network, inspects the model and runs it with both engines.
//!
//! Files and reports must be those of this machine, byte for byte. Only Candle's engine adds up in its own order, which
//! depends on the processor; its outputs must be near.

use super::{EMULATED, OnLinux as _};
use crate::blocks;
use crate::board::LinuxBoard;
use crate::context::Context;
use crate::files;
use crate::limit;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use object::elf;
use object::read::elf::{ElfFile32, ElfFile64, FileHeader, ProgramHeader};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tealight_cli::{Cli, Screen};
use tealight_tests::ops;
use tealight_tests::tolerance::{Tolerance, floats, near};
use tempfile::TempDir;

/// A model: its name, the network that it is compiled from, and how.
struct Kind {
    name: &'static str,
    network: &'static str,
    arguments: &'static [&'static str],
    /// Whether Candle's engine leaves it to Tealight's kernels, which return the same bits.
    integers: bool,
}

/// A whole network of convolutions, and one layer whose rows are blocks long.
const KINDS: &[Kind] = &[
    Kind { name: "int8", network: NETWORK, arguments: &["--quantize=int8", "--calibrate"], integers: true },
    Kind { name: "f32", network: NETWORK, arguments: &[], integers: false },
    Kind { name: "f16", network: NETWORK, arguments: &["--quantize=f16"], integers: false },
    Kind { name: "q8_0", network: LAYER, arguments: &["--quantize=q8_0"], integers: false },
    Kind { name: "q4_0", network: LAYER, arguments: &["--quantize=q4_0"], integers: false },
];

const NETWORK: &str = "network";
const LAYER: &str = "layer";

/// Rounding adds up over a network's layers, so that it may be this much farther off than one layer.
const LAYERS: f32 = 4.0;

/// What was found on one processor.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    board: String,
    cpu: String,
    /// Of models.
    kinds: Vec<&'static str>,
    /// What Candle's engine found the processor to have.
    vectors: String,
    /// Time of the emulation on this machine.
    seconds: f64,
}

impl Outcome {
    pub(super) fn row(&self) -> [String; 5] {
        let seconds = format!("{:.1}", self.seconds);
        [self.board.clone(), self.cpu.clone(), self.kinds.join(" "), self.vectors.clone(), seconds]
    }
}

/// Builds the program, and uses it on every processor of the board.
pub(super) fn check(context: &Context, board: &LinuxBoard) -> Result<Vec<Outcome>> {
    let program = build(context, board)?;
    let folder = networks()?;
    let here = KINDS.iter().map(|kind| Files::new(folder.path(), kind, "here")?.make(run_here));
    let here = here.collect::<Result<Vec<_>>>()?;
    let on = |cpu: &String| {
        let progress = Progress::start(format!("tealight on {}, {cpu}", board.id));
        let start = Instant::now();
        let mut vectors = String::new();
        let run = |arguments: &[OsString], report: &Path| {
            let said = limit::succeed(board.command(&program, cpu).args(arguments), EMULATED)?;
            std::fs::write(report, said).context("cannot write a report")
        };
        for (kind, here) in KINDS.iter().zip(&here) {
            let files = Files::new(folder.path(), kind, cpu)?.make(run)?;
            files.compare(here).and_then(|()| files.candle(run)).with_context(|| format!("{} on {cpu}", kind.name))?;
            vectors = files.vectors()?;
        }
        progress.done("the same models, reports and outputs as here");
        let kinds = KINDS.iter().map(|kind| kind.name).collect();
        Ok(Outcome {
            board: board.id.clone(),
            cpu: cpu.clone(),
            kinds,
            vectors,
            seconds: start.elapsed().as_secs_f64(),
        })
    };
    board.emulator.cpus.iter().map(on).collect()
}

/// Builds `tealight` for the board, with Candle's engine; [`crate::context::AS_TESTED`] leaves it out, and language models,
/// because both take minutes to build. The program must need no other file.
pub fn build(context: &Context, board: &LinuxBoard) -> Result<PathBuf> {
    let progress = Progress::start(format!("building tealight for {}", board.target));
    let options: &[&str] = match context.as_tested() {
        true => &["--no-default-features", "--features", "commands"],
        false => &["--features", "candle"],
    };
    let program = board.build(context, "tealight-cli", "tealight", options)?;
    if let Some(interpreter) = interpreter(&files::read(&program)?)? {
        bail!("{} is not linked statically: it asks for {interpreter}", program.display());
    }
    progress.done("static");
    Ok(program)
}

/// The dynamic linker that an ELF program asks for.
fn interpreter(program: &[u8]) -> Result<Option<String>> {
    fn of<Elf: FileHeader>(headers: &[Elf::ProgramHeader], endian: Elf::Endian, data: &[u8]) -> Result<Option<String>> {
        let Some(header) = headers.iter().find(|header| header.p_type(endian) == elf::PT_INTERP) else {
            return Ok(None);
        };
        let name = header.data(endian, data).map_err(|()| anyhow::anyhow!("the program is cut off"))?;
        Ok(Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_string()))
    }
    match object::FileKind::parse(program)? {
        object::FileKind::Elf32 => {
            let file = ElfFile32::<object::Endianness>::parse(program)?;
            of::<elf::FileHeader32<_>>(file.elf_program_headers(), file.endian(), program)
        }
        object::FileKind::Elf64 => {
            let file = ElfFile64::<object::Endianness>::parse(program)?;
            of::<elf::FileHeader64<_>>(file.elf_program_headers(), file.endian(), program)
        }
        kind => bail!("the program is {kind:?} instead of ELF"),
    }
}

/// A folder with the networks as `.tflite`, and their inputs.
fn networks() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("tealight-program-").tempdir().context("cannot create a folder")?;
    let network = ops::float_networks().remove(NETWORK).context("the golden network is gone")?;
    for (name, case) in [(NETWORK, network), (LAYER, blocks::golden_layer()?)] {
        let write = |end: &str, bytes: &[u8]| std::fs::write(folder.path().join(format!("{name}.{end}")), bytes);
        write("tflite", &case.model).context("cannot write a network")?;
        let inputs: Vec<u8> = case.steps.iter().flat_map(|step| step.inputs.concat()).collect();
        write("bin", &inputs).context("cannot write inputs")?;
    }
    Ok(folder)
}

/// Runs the command in this process; its report goes to a file.
pub(crate) fn run_here(arguments: &[OsString], report: &Path) -> Result<()> {
    let file = File::create(report).context("cannot write a report")?;
    let words = [OsString::from("tealight")].into_iter().chain(arguments.iter().cloned());
    let cli = Cli::try_parse_from(words)?;
    cli.run(&mut Screen::plain(file)).map_err(|error| anyhow::anyhow!("{error}"))
}

/// The files that one processor writes for one kind of model.
struct Files<'a> {
    kind: &'a Kind,
    folder: &'a Path,
    /// Contains the model under the same name on every processor, because reports contain names.
    own: PathBuf,
}

impl<'a> Files<'a> {
    fn new(folder: &'a Path, kind: &'a Kind, who: &str) -> Result<Self> {
        let own = folder.join(who).join(kind.name);
        std::fs::create_dir_all(&own).context("cannot create a folder")?;
        Ok(Self { kind, folder, own })
    }

    fn network(&self, end: &str) -> OsString {
        self.folder.join(format!("{}.{end}", self.kind.network)).into()
    }

    fn own(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// Compiles, inspects and runs: `run` takes arguments and where the report goes.
    fn make(self, run: impl Fn(&[OsString], &Path) -> Result<()>) -> Result<Self> {
        let model = self.own("model.safetensors");
        let mut compile = words(["compile", "-o"]);
        compile.extend([model.clone().into(), self.network("tflite")]);
        compile.extend(self.kind.arguments.iter().map(OsString::from));
        if self.kind.arguments.contains(&"--calibrate") {
            compile.push(self.network("bin"));
        }
        run(&compile, &self.own("compile.txt"))?;
        run(&[words(["inspect"]), vec![model.into()]].concat(), &self.own("inspect.txt"))?;
        run(&self.run_words("output.bin", &[]), &self.own("run.txt"))?;
        Ok(self)
    }

    /// Runs with Candle's engine, and compares with the output of Tealight's.
    fn candle(&self, run: impl Fn(&[OsString], &Path) -> Result<()>) -> Result<()> {
        run(&self.run_words("candle.bin", &["--engine=candle", "--json"]), &self.own("candle.json"))?;
        let [ours, candles] = ["output.bin", "candle.bin"].map(|name| files::read(&self.own(name)));
        let (ours, candles) = (ours?, candles?);
        if self.kind.integers {
            ensure!(ours == candles, "with Candle's engine the output differs");
            return Ok(());
        }
        near(&floats(&candles), &floats(&ours), Tolerance::Tensor, LAYERS)
            .map_err(|error| anyhow::anyhow!("with Candle's engine the output {error}"))
    }

    fn run_words(&self, output: &str, options: &[&str]) -> Vec<OsString> {
        let mut run = words(["run", "--input"]);
        run.extend([self.network("bin"), self.own("model.safetensors").into()]);
        run.extend(["--output".into(), self.own(output).into()]);
        run.extend(options.iter().map(OsString::from));
        run
    }

    /// Compares model, reports and output with those of `other`.
    fn compare(&self, other: &Files<'_>) -> Result<()> {
        for name in ["model.safetensors", "output.bin", "compile.txt", "inspect.txt", "run.txt"] {
            let read = |files: &Files<'_>| {
                let bytes = files::read(&files.own(name))?;
                // Reports name the files, whose folders differ.
                let text = String::from_utf8_lossy(&bytes).replace(&*files.own.to_string_lossy(), "");
                anyhow::Ok(if name.ends_with(".txt") { text.into_bytes() } else { bytes })
            };
            ensure!(read(self)? == read(other)?, "{name} differs from this machine's");
        }
        Ok(())
    }

    /// The instruction set that Candle's engine reported.
    fn vectors(&self) -> Result<String> {
        let report: serde_json::Value = serde_json::from_slice(&files::read(&self.own("candle.json"))?)?;
        let engine = report["engine"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
        let vectors = engine.strip_prefix("engine candle").and_then(|rest| rest.rsplit_once(", "));
        Ok(vectors.with_context(|| format!("the report names no processor but `{engine}`"))?.1.into())
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(|word| OsStr::new(word).into()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_models_differ_and_only_f32_has_all_weights_in_f32() {
        let folder = networks().unwrap();
        let make = |kind| Files::new(folder.path(), kind, "here").unwrap().make(run_here).unwrap();
        let sizes: Vec<u64> =
            KINDS.iter().map(|kind| make(kind).own("model.safetensors").metadata().unwrap().len()).collect();
        let [int8, f32, f16, q8_0, q4_0] = sizes[..] else { panic!("{sizes:?}") };
        assert!(int8 != f16 && f16 < f32, "{sizes:?}");
        let layer_in_f32 = blocks::layer(blocks::Weights::F32).unwrap().0.len() as u64;
        assert!(q4_0 < q8_0 && q8_0 < layer_in_f32, "{sizes:?}, {layer_in_f32}");
    }

    #[test]
    fn a_program_that_needs_a_dynamic_linker_is_detected() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // Tests of xtask are linked dynamically on the systems that it runs on, where those have ELF programs at all.
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            assert!(interpreter(&this).unwrap().unwrap().contains("ld-linux"));
        }
        assert!(interpreter(b"no program").is_err());
    }
}
