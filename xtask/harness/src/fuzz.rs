//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, side by side on this machine's processors.
//!
//! A target is a row of `TARGETS`. How many inputs each has had without a finding is summed over runs, in a file of the
//! cache: `--sums` shows it. What a target finds it keeps in `tests/fuzz/artifacts`; its sum starts again from there.

use crate::context::{Context, run_quietly};
use crate::progress::Progress;
use crate::table::table;
use crate::{Usage, install, limit};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tealight_tests::ops;
use xshell::cmd;

/// What libFuzzer needs of the compiler: the passes by which it counts what an input reaches, as `cargo fuzz build` asks for
/// them, and checks of overflow.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                            -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing -Cdebug-assertions";

/// A target of `tests/fuzz`.
struct Target {
    name: &'static str,
    /// Bytes of the longest input. Where bytes are choices of a builder, so many as it takes for a large file.
    longest: u32,
    seeds: Seeds,
    /// The name of its file in `tests/fuzz/dictionaries`.
    dictionary: Option<&'static str>,
}

/// Inputs to start from.
enum Seeds {
    None,
    /// A folder of `tests/fuzz`.
    Folder(&'static str),
    /// The small networks of the operators' goldens.
    Goldens,
    /// The small ONNX networks of the goldens.
    Onnx,
}

const TARGETS: &[Target] = &[
    Target { name: "parse", longest: 4096, seeds: Seeds::Folder("seeds"), dictionary: Some("model") },
    Target { name: "run", longest: 4096, seeds: Seeds::Folder("seeds"), dictionary: Some("model") },
    Target { name: "plan", longest: 1024, seeds: Seeds::None, dictionary: None },
    Target { name: "differential", longest: 4096, seeds: Seeds::Folder("seeds"), dictionary: Some("model") },
    Target { name: "compile", longest: 1024, seeds: Seeds::None, dictionary: None },
    Target { name: "tflite", longest: 1024, seeds: Seeds::None, dictionary: None },
    Target { name: "tflite_bytes", longest: 4096, seeds: Seeds::Goldens, dictionary: Some("tflite") },
    Target { name: "onnx_bytes", longest: 8192, seeds: Seeds::Onnx, dictionary: Some("onnx") },
    Target { name: "gguf", longest: 1024, seeds: Seeds::None, dictionary: None },
    Target { name: "gguf_bytes", longest: 8192, seeds: Seeds::Folder("seeds_gguf"), dictionary: Some("gguf") },
    Target { name: "npy", longest: 512, seeds: Seeds::Folder("seeds_npy"), dictionary: Some("npy") },
    Target { name: "text", longest: 1024, seeds: Seeds::None, dictionary: Some("text") },
];

/// Targets that read tokenizers and templates, whose libraries take longer to build than all other targets.
const WITH_TEXT: [&str; 3] = ["gguf", "gguf_bytes", "text"];

/// No input may take longer, in seconds; it is a finding then.
const SLOWEST: u32 = 10;

/// Nor may a target take more memory, in MiB. What one input holds at a time, its allocator bounds
/// (`tests/fuzz/src/lib.rs`).
const LARGEST: u32 = 1024;

/// What to fuzz, and for how long.
#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// Only this target; may be given more than once
    #[arg(long, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60, conflicts_with_all = ["hours", "runs"])]
    pub seconds: u64,
    /// Hours for all targets together, shared evenly
    #[arg(long, conflicts_with = "runs")]
    pub hours: Option<f64>,
    /// Inputs for each target, however long they take
    #[arg(long)]
    pub runs: Option<u64>,
    /// Shows how many inputs each target has had without a finding, over all runs, and ends
    #[arg(long)]
    pub sums: bool,
    /// Builds most of it without optimization, and `gguf`, `gguf_bytes` and `text` only if they are named: a build in a
    /// fraction of the time, for a run of seconds
    #[arg(long)]
    pub quick: bool,
    /// Prints one JSON value instead of a table
    #[arg(long)]
    pub json: bool,
}

impl Default for FuzzArgs {
    fn default() -> Self {
        Self { target: Vec::new(), seconds: 60, hours: None, runs: None, sums: false, quick: false, json: false }
    }
}

/// What came of one target.
#[derive(Debug, Serialize)]
struct Outcome {
    target: &'static str,
    executions: u64,
    seconds: f64,
    finding: Option<Finding>,
}

/// What a target found.
#[derive(Debug, Serialize)]
struct Finding {
    /// The file that holds the input.
    input: Option<String>,
    said: String,
}

/// What a target has had since it last found something.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Sum {
    executions: u64,
    seconds: f64,
}

/// How many inputs each target has had without a finding.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Sums(BTreeMap<String, Sum>);

/// The exit status of libFuzzer after a signal that asks it to end (`InterruptExitCode` in its `FuzzerOptions.h`).
const INTERRUPTED: i32 = 72;

/// How long a target runs.
#[derive(Clone, Copy, Debug)]
enum Length {
    Seconds(u64),
    Runs(u64),
}

/// Runs the targets, all of them even if one finds something.
///
/// The crates under test have hardly any unsafe code, so the sanitizer of memory is left out: overflow and bounds
/// checks find what there is to find, in a fraction of the build time. So is the tracing of comparisons: dictionaries
/// and seeds hold what it would learn, and with it a text, which libraries compare much, takes three times as long.
pub fn fuzz(context: &Context, args: &FuzzArgs) -> Result<()> {
    let mut targets = chosen(&args.target)?;
    if args.quick && args.target.is_empty() {
        targets.retain(|target| !WITH_TEXT.contains(&target.name));
    }
    let file = context.cache().join("fuzz.json");
    if args.sums {
        return show_sums(&Sums::read(&file)?, &targets, args.json);
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let length = match (args.runs, args.hours) {
        (Some(runs), _) => Length::Runs(runs),
        (_, Some(hours)) if hours > 0.0 => {
            Length::Seconds((hours * 3600.0 * workers as f64 / targets.len() as f64).ceil() as u64)
        }
        (_, Some(hours)) => return Err(Usage(format!("{hours} hours are no time to fuzz")).into()),
        _ => Length::Seconds(args.seconds),
    };
    let programs = build(context, &targets, args.quick)?;
    let seeds = write_goldens(context, &targets)?;
    let folder = context.root.join("tests/fuzz");
    let (queue, outcomes) = (Mutex::new(targets.iter()), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.next());
            let Some(target) = next else { return Ok(()) };
            let outcome = run(&folder, target, &programs.join(target.name), &seeds, length)?;
            if let Ok(mut outcomes) = outcomes.lock() {
                // Under the lock: the file is read, changed and written.
                Sums::add(&file, &outcome)?;
                outcomes.push(outcome);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        results.try_for_each(|result| result.unwrap_or_else(|_| bail!("a thread of the task ended early")))
    })?;
    let outcomes = outcomes.into_inner().unwrap_or_default();
    show(&outcomes, &Sums::read(&file)?, args.json)?;
    let found: Vec<&str> = outcomes.iter().filter(|outcome| outcome.finding.is_some()).map(|o| o.target).collect();
    if !found.is_empty() {
        bail!("a finding of {}", found.join(", "));
    }
    Ok(())
}

/// The targets of these names, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            Usage(format!("there is no fuzz target `{name}`; there are {}", known.join(", "))).into()
        })
    };
    names.iter().map(find).collect()
}

/// Builds the targets and returns the folder of their programs. `quick` is the profile `dev`, in which most is not
/// optimized.
fn build(context: &Context, targets: &[&Target], quick: bool) -> Result<PathBuf> {
    let shell = &context.shell;
    install::ensure_nightly(context)?;
    let version = cmd!(shell, "rustup run nightly rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not name its host")?;
    let manifest = context.root.join("tests/fuzz/Cargo.toml");
    let built = context.root.join("target/tools/fuzz");
    let progress = Progress::start("building the fuzz targets");
    let (profile, units, folder) =
        if quick { ("dev", "", "debug") } else { ("release", " -Ccodegen-units=1", "release") };
    let names = targets.iter().flat_map(|target| ["--bin", target.name]);
    let with_text = targets.iter().any(|target| WITH_TEXT.contains(&target.name));
    let features: &[&str] = if with_text { &[] } else { &["--no-default-features"] };
    let command = cmd!(
        shell,
        "rustup run nightly cargo build --profile {profile} --manifest-path {manifest} --target {host} {features...}
            {names...}"
    )
    .env("RUSTFLAGS", format!("{INSTRUMENTED}{units}"))
    .env("CARGO_TARGET_DIR", &built)
    .env_remove("RUSTUP_TOOLCHAIN")
    .env_remove("CARGO")
    .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run_quietly(command).context("the fuzz targets could not be built")?;
    progress.done("");
    Ok(built.join(host).join(folder))
}

/// Writes the networks of the goldens as files, those that a target starts from, and returns the folder of their folders.
fn write_goldens(context: &Context, targets: &[&Target]) -> Result<PathBuf> {
    let root = context.cache().join("fuzz-goldens");
    let wanted = |seeds: fn(&Seeds) -> bool| targets.iter().any(|target| seeds(&target.seeds));
    let write = |folder: &str, networks: BTreeMap<String, Vec<u8>>| -> Result<()> {
        let folder = root.join(folder);
        context.shell.create_dir(&folder)?;
        networks.iter().try_for_each(|(name, file)| Ok(context.shell.write_file(folder.join(name), file)?))
    };
    context.shell.remove_path(&root)?;
    if wanted(|seeds| matches!(seeds, Seeds::Goldens)) {
        let files = ops::files();
        let cases = files.iter().flat_map(|file| ops::cases(file));
        write(OPERATORS, cases.map(|(name, case)| (name, case.model)).collect())?;
    }
    if wanted(|seeds| matches!(seeds, Seeds::Onnx)) {
        write(ONNX, ops::onnx_networks())?;
    }
    Ok(root)
}

/// Folders of the goldens' networks.
const OPERATORS: &str = "operators";
const ONNX: &str = "onnx";

/// Runs one target of the folder `folder`.
fn run(folder: &Path, target: &'static Target, program: &Path, goldens: &Path, length: Length) -> Result<Outcome> {
    let Target { name, longest, .. } = target;
    let (corpus, artifacts) = (folder.join("corpus").join(name), folder.join("artifacts").join(name));
    std::fs::create_dir_all(&corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
    std::fs::create_dir_all(&artifacts).with_context(|| format!("cannot create {}", artifacts.display()))?;
    let mut command = Command::new(program);
    command.arg(corpus);
    match target.seeds {
        Seeds::None => {}
        Seeds::Folder(seeds) => drop(command.arg(folder.join(seeds))),
        Seeds::Goldens => drop(command.arg(goldens.join(OPERATORS))),
        Seeds::Onnx => drop(command.arg(goldens.join(ONNX))),
    }
    if let Some(dictionary) = target.dictionary {
        command.arg(format!("-dict={}", folder.join(format!("dictionaries/{dictionary}.dict")).display()));
    }
    let (most, said) = match length {
        Length::Seconds(seconds) => {
            command.arg(format!("-max_total_time={seconds}"));
            (seconds + 300, format!("{seconds} s"))
        }
        Length::Runs(runs) => {
            command.arg(format!("-runs={runs}"));
            (u64::from(u32::MAX), format!("{runs} inputs"))
        }
    };
    command.args([
        format!("-max_len={longest}"),
        format!("-timeout={SLOWEST}"),
        format!("-rss_limit_mb={LARGEST}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-len_control=0".into(),
        // No other process adds to the corpus, and reading its folder again each second takes time.
        "-reload=0".into(),
        "-print_final_stats=1".into(),
        "-verbosity=0".into(),
    ]);
    let progress = Progress::start(format!("fuzzing {name} with {said}"));
    let start = Instant::now();
    let output = limit::output(&mut command, Duration::from_secs(most))?;
    let seconds = start.elapsed().as_secs_f64();
    let printed = String::from_utf8_lossy(&output.stderr);
    let executions =
        executions(&printed).with_context(|| format!("{name} does not print how many inputs it had:\n{printed}"))?;
    let interrupted = output.status.code() == Some(INTERRUPTED);
    let finding = (!output.status.success() && !interrupted).then(|| finding(&printed));
    progress.done(&match &finding {
        None if interrupted => format!("interrupted after {executions} inputs, nothing found"),
        None => format!("{executions} inputs, nothing found"),
        Some(_) => format!("{executions} inputs, A FINDING"),
    });
    Ok(Outcome { target: name, executions, seconds, finding })
}

/// The number of inputs in libFuzzer's statistics.
fn executions(printed: &str) -> Option<u64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

/// The finding in what libFuzzer and the panic printed.
fn finding(printed: &str) -> Finding {
    let input = printed.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.into());
    let lines: Vec<&str> = printed.lines().collect();
    let said = match lines.iter().position(|line| line.contains("panicked at")) {
        Some(at) => lines[at..].iter().take(4).copied().collect(),
        None => lines
            .iter()
            .filter(|line| line.contains("ERROR: ") || line.contains("memory allocation of"))
            .copied()
            .collect::<Vec<_>>(),
    };
    Finding { input, said: said.join("\n") }
}

impl Sums {
    fn read(file: &Path) -> Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("in {}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Adds what came of a target to the file.
    fn add(file: &Path, outcome: &Outcome) -> Result<()> {
        let mut sums = Self::read(file)?;
        sums.count(outcome);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&sums)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// A finding starts its target's sum again.
    fn count(&mut self, outcome: &Outcome) {
        let sum = self.0.entry(outcome.target.into()).or_default();
        *sum = match outcome.finding {
            Some(_) => Sum::default(),
            None => Sum { executions: sum.executions + outcome.executions, seconds: sum.seconds + outcome.seconds },
        };
    }

    fn of(&self, target: &str) -> Sum {
        self.0.get(target).copied().unwrap_or_default()
    }
}

fn show_sums(sums: &Sums, targets: &[&Target], json: bool) -> Result<()> {
    if json {
        let of: BTreeMap<_, _> = targets.iter().map(|target| (target.name, sums.of(target.name))).collect();
        println!("{}", serde_json::to_string_pretty(&of)?);
        return Ok(());
    }
    let mut table = table(&["target"], &["inputs without a finding", "hours"], &[]);
    for target in targets {
        let Sum { executions, seconds } = sums.of(target.name);
        table.row([target.name.to_string(), executions.to_string(), format!("{:.2}", seconds / 3600.0)]);
    }
    println!("{table}");
    Ok(())
}

fn show(outcomes: &[Outcome], sums: &Sums, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "targets": outcomes, "sums": sums }))?);
        return Ok(());
    }
    let mut table = table(&["target"], &["inputs", "a second", "inputs without a finding, over all runs"], &[]);
    for Outcome { target, executions, seconds, .. } in outcomes {
        let rate = *executions as f64 / seconds.max(1.0);
        let sum = sums.of(target).executions.to_string();
        table.row([(*target).to_string(), executions.to_string(), format!("{rate:.0}"), sum]);
    }
    println!("{table}");
    for Outcome { target, finding, .. } in outcomes {
        if let Some(Finding { input, said }) = finding {
            println!("\n{target} found {}:\n{said}", input.as_deref().unwrap_or("something"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: &str = "INFO: Seed: 1\n\nthread '<unnamed>' panicked at src/lib.rs:7:9:\nleft is not right\nnote: x\n\
                         ==9== ERROR: libFuzzer: deadly signal\nstat::number_of_executed_units: 8127\n\
                         artifact_prefix='a/'; Test unit written to a/crash-0f\n";

    #[test]
    fn what_libfuzzer_prints_gives_executions_and_the_finding() {
        assert_eq!(executions(CRASH), Some(8127));
        assert_eq!(executions("Done 3 runs"), None);
        let found = finding(CRASH);
        assert_eq!(found.input.as_deref(), Some("a/crash-0f"));
        assert!(found.said.contains("left is not right"), "{}", found.said);
        let slow = finding("==9== ERROR: libFuzzer: timeout after 11 seconds\nTest unit written to a/timeout-1\n");
        assert_eq!(
            (slow.input.as_deref(), &*slow.said),
            (Some("a/timeout-1"), "==9== ERROR: libFuzzer: timeout after 11 seconds")
        );
    }

    #[test]
    fn sums_grow_over_runs_and_start_again_at_a_finding() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/fuzz.json");
        let outcome = |executions, finding| Outcome { target: "parse", executions, seconds: 2.0, finding };
        Sums::add(&file, &outcome(5, None)).unwrap();
        Sums::add(&file, &outcome(7, None)).unwrap();
        assert_eq!(Sums::read(&file).unwrap().of("parse"), Sum { executions: 12, seconds: 4.0 });
        Sums::add(&file, &outcome(9, Some(finding(CRASH)))).unwrap();
        Sums::add(&file, &outcome(3, None)).unwrap();
        assert_eq!(Sums::read(&file).unwrap().of("parse"), Sum { executions: 3, seconds: 2.0 });
        assert_eq!(Sums::default().of("parse"), Sum::default());
    }

    #[test]
    fn every_target_has_its_program_seeds_and_dictionary() {
        let folder = Context::new().unwrap().root.join("tests/fuzz");
        for target in TARGETS {
            assert!(folder.join(format!("fuzz_targets/{}.rs", target.name)).is_file(), "{}", target.name);
            if let Some(dictionary) = target.dictionary {
                assert!(folder.join(format!("dictionaries/{dictionary}.dict")).is_file(), "{dictionary}");
            }
            if let Seeds::Folder(seeds) = target.seeds {
                assert!(std::fs::read_dir(folder.join(seeds)).unwrap().next().is_some(), "{seeds}");
            }
        }
        assert!(ops::onnx_networks().len() > 50, "the seeds of ONNX files");
        let programs = std::fs::read_dir(folder.join("fuzz_targets")).unwrap().count();
        assert_eq!(programs, TARGETS.len(), "a target without a row would not be run");
    }
}
