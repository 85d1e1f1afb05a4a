//! `cargo xtask bench --host`: the time of networks on this machine beside LiteRT's, on one thread.
//!
//! Both programs have the network and its inputs in memory, and take turns: a part of the runs of one, then as many of
//! the other, so that what slows the machine down for a while slows both down. Medians are compared.

use crate::context::Context;
use crate::error::Usage;
use crate::fetch;
use crate::golden::{golden_models, mlperf_models};
use crate::model::{ModelFile, Tensor};
use crate::progress::Progress;
use crate::subject::random_inputs;
use crate::table::{Table, table};
use crate::timed::{Start, Timed};
use anyhow::{Result, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use tealight_cli::grouped;

/// The peer's packages, with hashes.
const PACKAGES: &str = "xtask/host-bench/litert.txt";
/// The program that times the peer.
const PEER: &str = "xtask/host-bench/litert.py";

/// Turns of each program.
const TURNS: usize = 60;
/// How long the runs of a turn take, in nanoseconds, as far as the number of runs allows.
const TURN: u64 = 10_000_000;
/// The minimum and the maximum number of runs of a turn.
const RUNS: [u64; 2] = [5, 1000];

/// The machine that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// The processor's name.
    processor: String,
    /// The instruction set of our kernels.
    instruction_set: String,
}

/// How long a network takes; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct Compared {
    model: String,
    host: Host,
    /// The other runtime.
    peer: String,
    macs: u64,
    /// Medians of all runs in microseconds.
    ours_us: f64,
    peer_us: f64,
    /// The median of the ratios of turns that follow each other.
    ratio: f64,
    /// Runs of each.
    runs: usize,
    /// The largest difference between two elements of the outputs: in steps of a quantized output, else absolute.
    largest_difference: f64,
}

/// Times networks on this machine: those of MLPerf Tiny if their folder is known, else the golden ones; or those named,
/// which are golden networks or `.tflite` files.
///
/// # Errors
/// A network or the peer is missing and cannot be had, or does not run.
pub fn bench_host(context: &Context, names: &[String], json: bool) -> Result<()> {
    let files = files(context, names)?;
    let ours = context.build_program("tealight-host-bench", "half a minute")?;
    let peer = Peer::fetch(context)?;
    let mut compared = Vec::new();
    for (id, file) in &files {
        compared.extend(compare(id, file, &ours, &peer)?);
    }
    if compared.is_empty() {
        bail!("LiteRT runs none of these models");
    }
    let remark = compared.first().and_then(|first| first.host.remark());
    if json {
        println!("{}", serde_json::to_string_pretty(&compared)?);
        remark.iter().for_each(|remark| eprintln!("{remark}"));
        return Ok(());
    }
    if let Some(first) = compared.first() {
        let Host { processor, instruction_set } = &first.host;
        println!("{processor}, {instruction_set}, one thread, medians beside {}", first.peer);
    }
    println!("{}", as_table(&compared));
    remark.iter().for_each(|remark| println!("{remark}"));
    Ok(())
}

/// The names and the files of the networks.
fn files(context: &Context, names: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let (named, ids): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| name.ends_with(".tflite"));
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for name in named {
        let file = PathBuf::from(&name);
        if !file.is_file() {
            return Err(Usage(format!("there is no file {name}")).into());
        }
        let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.push((id, file));
    }
    if !ids.is_empty() {
        files.extend(golden_files(context, &ids)?);
    } else if names.is_empty() {
        files = golden_files(context, &mlperf_models()?)?;
    }
    Ok(files)
}

/// The files of golden networks: of those named, or of all that are here.
fn golden_files(context: &Context, ids: &[String]) -> Result<Vec<(String, PathBuf)>> {
    Ok(golden_models(context, ids)?.into_iter().map(|golden| (golden.id, golden.file)).collect())
}

/// LiteRT, installed.
struct Peer {
    python: String,
    packages: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// Installs the packages into the cache if they are not there.
    fn fetch(context: &Context) -> Result<Self> {
        let packages = fetch::python_packages(context, PACKAGES, "LiteRT")?;
        let script = context.root.join(PEER);
        Ok(Self { python: fetch::python_with_pip(context)?, packages, script })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).env("PYTHONPATH", &self.packages);
        command
    }
}

/// Times a network with both. `None` if LiteRT refuses the file, which is reported.
fn compare(id: &str, file: &Path, ours: &Path, peer: &Peer) -> Result<Option<Compared>> {
    let progress = Progress::start(format!("timing {id}"));
    let model = ModelFile::open(file, &[])?;
    let folder = tempfile::tempdir()?;
    let [compiled, inputs] = ["model.safetensors", "inputs"].map(|name| folder.path().join(name));
    std::fs::write(&compiled, &model.bytes)?;
    std::fs::write(&inputs, random_inputs(&model, 1))?;

    let mut command = Command::new(ours);
    command.arg(&compiled).arg(&inputs);
    let mut ours = Timed::start(command)?;
    if ours.start.optimized != Some(true) {
        bail!("the program is not optimized: leave out the environment variable {}", crate::context::AS_TESTED);
    }
    let mut command = peer.command();
    command.arg(std::path::absolute(file)?).arg(&inputs);
    let mut peer = match Timed::start(command) {
        Ok(peer) => peer,
        Err(error) => {
            eprintln!("  left out: LiteRT does not run {id}: {}", last_words(&error.to_string()));
            return Ok(None);
        }
    };

    let largest_difference = largest_difference(&model, &ours.start.outputs, &peer.start.outputs)?;
    let count = runs_of_a_turn(median(&ours.time(5)?).max(median(&peer.time(5)?)));
    let [mut our_times, mut peer_times] = [Vec::new(), Vec::new()];
    for side in turns(TURNS) {
        match side {
            Side::Ours => our_times.push(ours.time(count)?),
            Side::Peer => peer_times.push(peer.time(count)?),
        }
    }
    progress.done("");
    let (starts, times) = ([&ours.start, &peer.start], [&our_times[..], &peer_times]);
    Ok(Some(Compared::new(id, model.macs, starts, times, largest_difference)))
}

/// The start of an error's last line, where Python says what is wrong.
fn last_words(error: &str) -> String {
    error.lines().last().unwrap_or_default().chars().take(120).collect()
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Peer,
}

/// The order of `count` turns of each: who begins changes, so that neither always comes after the other.
fn turns(count: usize) -> impl Iterator<Item = Side> {
    (0..count).flat_map(|i| if i % 2 == 0 { [Side::Ours, Side::Peer] } else { [Side::Peer, Side::Ours] })
}

/// How many runs of so many nanoseconds make a turn.
fn runs_of_a_turn(nanoseconds: u64) -> usize {
    let [least, most] = RUNS;
    (TURN / nanoseconds.max(1)).clamp(least, most) as usize
}

/// The middle one of the times, or the lower of two; 0 if there is none.
fn median(times: &[u64]) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// The largest difference between two elements of all outputs: see [`Compared`].
///
/// # Errors
/// The outputs have other lengths than those of the model.
fn largest_difference(model: &ModelFile, ours: &[u8], peer: &[u8]) -> Result<f64> {
    if [ours.len(), peer.len()] != [model.output_bytes(); 2] {
        let wanted = model.output_bytes();
        bail!("{}: outputs of {} and {} bytes instead of {wanted}", model.name, ours.len(), peer.len());
    }
    let (mut at, mut largest) = (0, 0.0_f64);
    for tensor in &model.outputs {
        // Quantized values are compared as integers: without a scale, an element is its own value.
        let steps = Tensor { scale: 0.0, ..tensor.clone() };
        let [a, b] = [ours, peer].map(|bytes| steps.real(bytes.get(at..at + tensor.bytes).unwrap_or_default()));
        largest = a.iter().zip(&b).fold(largest, |most, (a, b)| most.max(f64::from((a - b).abs())));
        at += tensor.bytes;
    }
    Ok(largest)
}

impl Compared {
    /// From the first lines and the nanoseconds of each turn, of ours and of the peer. The ratio is that of turns which followed
    /// each other, the median of all: what slows the machine down for longer than two turns does not change it.
    fn new(id: &str, macs: u64, starts: [&Start; 2], times: [&[Vec<u64>]; 2], largest_difference: f64) -> Self {
        let [ours_us, peer_us] = times.map(|times| median(&times.concat()) as f64 / 1000.0);
        let ratios = times[0].iter().zip(times[1]).map(|(ours, peer)| median(ours) as f64 / median(peer) as f64);
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let instruction_set = starts[0].instruction_set.clone().unwrap_or_default();
        Self {
            model: id.into(),
            host: Host { processor: processor(), instruction_set },
            peer: starts[1].runtime.clone(),
            macs,
            ours_us,
            peer_us,
            ratio: ratios.get(ratios.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN),
            runs: times[0].iter().map(Vec::len).sum(),
            largest_difference,
        }
    }
}

impl Host {
    /// What is to be known of the figures on this processor.
    fn remark(&self) -> Option<String> {
        let without = cfg!(target_arch = "x86_64") && !self.instruction_set.contains("VNNI");
        without.then(|| {
            "This processor has no VNNI (products of bytes). The target, at most 1.5 times LiteRT's time, is stated for \
             one that has it."
                .into()
        })
    }
}

/// The processor's name, or its architecture where the system does not tell.
fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    model_name(&cpuinfo).unwrap_or(std::env::consts::ARCH).into()
}

/// The first processor's name in Linux' `/proc/cpuinfo`.
fn model_name(cpuinfo: &str) -> Option<&str> {
    let (_, name) = cpuinfo.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(name.trim())
}

fn as_table(compared: &[Compared]) -> Table {
    let mut table = table(&["model"], &["MACs", "ours µs", "peer's µs", "ratio", "runs", "largest difference"], &[]);
    for one in compared {
        table.row([
            one.model.clone(),
            grouped(one.macs),
            format!("{:.1}", one.ours_us),
            format!("{:.1}", one.peer_us),
            format!("{:.2}", one.ratio),
            grouped(one.runs as u64),
            difference(one.largest_difference),
        ]);
    }
    table
}

/// A number of steps as such, a smaller difference with its exponent.
fn difference(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        assert_eq!(median(&[9, 1, 5]), 5);
        assert_eq!(median(&[9, 1, 5, 3]), 3);
        assert_eq!(median(&[]), 0);
    }

    #[test]
    fn both_have_as_many_turns_and_neither_always_comes_first() {
        use Side::{Ours, Peer};
        assert_eq!(turns(3).collect::<Vec<_>>(), [Ours, Peer, Peer, Ours, Ours, Peer]);
    }

    #[test]
    fn a_turn_has_more_runs_of_a_fast_network_within_bounds() {
        assert_eq!(runs_of_a_turn(100_000), 100);
        assert_eq!(runs_of_a_turn(1_000_000_000), 5);
        assert_eq!(runs_of_a_turn(0), 1000);
    }

    #[test]
    fn the_ratio_is_the_median_of_those_of_turns_that_follow_each_other() {
        let start = |set: Option<&str>| Start {
            runtime: "LiteRT".into(),
            instruction_set: set.map(Into::into),
            optimized: None,
            outputs: Vec::new(),
        };
        // Two of three turns were on a machine that was slower.
        let [ours, peer] = [
            [vec![3_000, 90_000, 3_000], vec![9_000], vec![7_000]],
            [vec![2_000, 2_000, 70_000], vec![6_000], vec![3_500]],
        ];
        let times = [&ours[..], &peer[..]];
        let compared = Compared::new("m", 7, [&start(Some("AVX2")), &start(None)], times, 1.0);
        assert_eq!((compared.ours_us, compared.peer_us, compared.ratio, compared.runs), (7.0, 3.5, 1.5, 5));
        let json = serde_json::to_value(&compared).unwrap();
        assert_eq!(json["host"]["instruction_set"], "AVX2");
        assert_eq!(json["peer"], "LiteRT");
        let text = as_table(&[compared]).to_string();
        assert!(text.contains("1.50") && text.contains("7.0"), "{text}");
    }

    #[test]
    fn outputs_differ_in_steps_or_in_numbers() {
        let tensor = |dtype, scale, bytes| Tensor { dtype, shape: vec![], scale, zero_point: 3, bytes };
        let model = ModelFile { outputs: vec![tensor("I8", 0.5, 2), tensor("F32", 0.0, 4)], ..relu() };
        let bytes = |a: i8, b: f32| [&[a.cast_unsigned(), 7][..], &b.to_le_bytes()].concat();
        assert_eq!(largest_difference(&model, &bytes(-2, 1.0), &bytes(1, 1.5)).unwrap(), 3.0);
        assert_eq!(largest_difference(&model, &bytes(1, 1.0), &bytes(1, 1.5)).unwrap(), 0.5);
        let error = largest_difference(&model, &[0; 6], &[0; 5]).unwrap_err().to_string();
        assert!(error.contains("outputs of 6 and 5 bytes instead of 6"), "{error}");
        assert_eq!((difference(1.0), difference(1.5e-7)), ("1".into(), "1.5e-7".into()));
    }

    /// Some model.
    fn relu() -> ModelFile {
        let file = crate::context::root().join("runtime/core/tests/relu.safetensors");
        ModelFile::open(&file, &[]).unwrap()
    }

    #[test]
    fn the_processor_is_named_as_the_system_names_it() {
        assert_eq!(model_name("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n"), Some("Some CPU @ 2 GHz"));
        assert_eq!(model_name("processor\t: 0\n"), None);
    }

    #[test]
    fn of_a_long_error_the_start_of_the_last_line_is_told() {
        assert_eq!(last_words("Traceback\nValueError: no"), "ValueError: no");
        assert_eq!(last_words(&"x".repeat(1000)).len(), 120);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_processor_without_products_of_bytes_is_told() {
        let host = |set: &str| Host { processor: "x".into(), instruction_set: set.into() };
        assert!(host("AVX2").remark().unwrap().contains("no VNNI"));
        assert!(host("AVX-VNNI").remark().is_none() && host("AVX-512 VNNI").remark().is_none());
    }
}
