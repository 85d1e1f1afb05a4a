//! `cargo xtask test`: everything that CI runs, what fails fastest first; or what can be tested of some boards.
//!
//! A step of CI is a row of `STEPS`; adding one is adding a row. `--fast` leaves out what takes minutes; `--full` adds the
//! long tail: every model on every board, the program on every Linux board, the language model, Miri and fuzzing at length.
//! Steps that share no build folder with the others run beside them, in a process of their own, whose output is shown when it
//! ends: building firmware and emulating it keep one processor busy, not two.

use crate::board::LinuxBoard;
use crate::board::{self, Board};
use crate::context::Context;
use crate::error::Usage;
use crate::firmware::Level;
use crate::fuzz::FuzzArgs;
use crate::layout::LayoutArgs;
use crate::linux::{self, OnLinux as _};
use crate::subject::{Subject, subjects};
use crate::{
    check_no_panic, conformance, cost, emulator, eval, examples, faults, fetch, firmware, fuzz, layout, llm, parsing,
    publish, repeat, setup, table,
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tealight_tests::models::MLPERF_TINY;
use xshell::cmd;

/// How much to test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// What takes less than minutes.
    Fast,
    /// What CI runs.
    Usual,
    /// Everything.
    Full,
}

/// Something that must succeed.
struct Step {
    name: &'static str,
    /// The smallest extent that it is part of.
    from: Extent,
    run: fn(&Context, Extent) -> Result<()>,
}

/// Steps that run beside the others, from the first of these that takes minutes on.
const BESIDE: &[Step] = &[
    Step { name: "Miri", from: Extent::Usual, run: miri },
    Step { name: "fuzzing, a short run", from: Extent::Usual, run: fuzz_shortly },
];

/// All other steps in order.
const STEPS: &[Step] = &[
    Step { name: "format", from: Extent::Fast, run: |context, _| format(context) },
    Step { name: "clippy, host", from: Extent::Fast, run: |context, _| clippy_host(context) },
    Step { name: "clippy, firmware", from: Extent::Fast, run: |context, _| clippy_firmware(context) },
    Step { name: "documentation", from: Extent::Fast, run: |context, _| documentation(context) },
    Step { name: "fetching models", from: Extent::Fast, run: |context, _| fetch_models(context) },
    Step { name: "host tests", from: Extent::Fast, run: |context, _| host_tests(context) },
    Step { name: "format, kernels and core in 32 bits", from: Extent::Fast, run: |context, _| in_32_bits(context) },
    Step {
        name: "no panic and no allocation in the firmware",
        from: Extent::Fast,
        run: |context, _| no_panic(context),
    },
    Step {
        name: "packages as they would be published",
        from: Extent::Usual,
        run: |context, _| publish::package(context),
    },
    Step {
        name: "dependencies: licences, bans, sources, advisories",
        from: Extent::Usual,
        run: |context, _| publish::dependencies(context),
    },
    Step {
        name: "boards of real hardware: built, and laid out as their chips want it",
        from: Extent::Usual,
        run: |context, _| hardware(context),
    },
    Step {
        name: "examples: built, and run where an emulator can",
        from: Extent::Usual,
        run: |context, _| examples::examples(context),
    },
    Step {
        name: "with Candle: our models, and the block kernels against its own",
        from: Extent::Usual,
        run: |context, _| with_candle(context),
    },
    Step {
        name: "a language model, beside Candle and on emulated Arm",
        from: Extent::Full,
        run: |context, _| language_model(context),
    },
    Step { name: "conformance on the boards", from: Extent::Usual, run: conformance_on_boards },
    Step {
        name: "faults are reported on the boards",
        from: Extent::Usual,
        run: |context, _| faults_on_boards(context),
    },
    Step {
        name: "the same bits on Linux boards of other architectures, and tealight itself",
        from: Extent::Usual,
        run: linux_boards,
    },
    Step {
        name: "Candle's engine on Armv8, without and with dot products",
        from: Extent::Usual,
        run: |context, _| candle_on_arm(context),
    },
    Step {
        name: "runs repeat exactly, in each kind of firmware",
        from: Extent::Usual,
        run: |context, _| repeats(context),
    },
    Step {
        name: "checking a model takes time in proportion to its file",
        from: Extent::Usual,
        run: |context, _| parsing_on_board(context),
    },
    Step {
        name: "polls run no more instructions than their costs allow",
        from: Extent::Usual,
        run: |context, _| costs(context),
    },
];

/// What Miri runs, a line a run: it is some thousand times slower than the machine, so long random tests are left out.
const MIRI: &[&[&str]] = &[
    &["--package", "tealight-kernels", "--lib"],
    &["--package", "tealight-format", "--tests"],
    &["--package", "tealight", "--tests", "--", "--skip", "any_budgets", "--skip", "a_poll_does"],
];

// Crates that only link for a board are told apart from the host's by `default-members`.

fn format(context: &Context) -> Result<()> {
    setup::ensure_component(context, "fmt", "rustfmt")?;
    cargo(context, &["fmt", "--all", "--check"]).context("`cargo fmt --all` mends it")?;
    for board in Board::built_only(&context.root)? {
        let manifest = board.manifest().display().to_string();
        let command = ["fmt", "--manifest-path", &manifest];
        cargo(context, &[&command[..], &["--check"]].concat())
            .with_context(|| format!("`cargo {}` mends it", command.join(" ")))?;
    }
    Ok(())
}

fn clippy_host(context: &Context) -> Result<()> {
    setup::ensure_component(context, "clippy", "clippy")?;
    cargo(context, &["clippy", "--all-targets", "--", "-D", "warnings"])
}

fn clippy_firmware(context: &Context) -> Result<()> {
    let model = check_no_panic::model_file(context)?;
    for board in Board::emulated(&context.root)? {
        setup::ensure_target(context, &board.target)?;
        // What features choose is the same on every board.
        let features: &[&[&str]] = if board.id == board::DEFAULT {
            &[&[], &["audio"], &["loadable"], &["measure-parse"], &["text"]]
        } else {
            &[&[]]
        };
        for features in features {
            let command = firmware::cargo(context, &board, &["clippy"], features).args(["--", "-D", "warnings"]);
            command.env("TEALIGHT_MODEL", &model).run()?;
        }
    }
    Ok(())
}

fn documentation(context: &Context) -> Result<()> {
    let shell = &context.shell;
    let cargo = context.cargo();
    let command = cmd!(shell, "{cargo} doc --no-deps").env("RUSTDOCFLAGS", "-D warnings");
    Ok(command.quiet().run()?)
}

/// The host's tests run those golden models that are at hand; this puts them there.
fn fetch_models(context: &Context) -> Result<()> {
    fetch::fetch(context, &[])
}

fn host_tests(context: &Context) -> Result<()> {
    cargo(context, &["test", "--no-fail-fast"])?;
    // Tests that need files which a clone has not are ignored by a bare `cargo test`.
    let mut words = vec!["test", "--no-fail-fast", "--package", "tealight-tests", "--tests"];
    if std::env::var_os(MLPERF_TINY).is_some() {
        words.extend(["--package", "tealight-compiler", "--", "--ignored"]);
    } else {
        println!("skipped: the networks of MLPerf Tiny ({MLPERF_TINY} names their folder)");
        words.extend(["--", "--ignored", "--skip", "mlperf"]);
    }
    cargo(context, &words)
}

fn no_panic(context: &Context) -> Result<()> {
    // One board of each architecture and of each version of the kernels.
    [board::DEFAULT, "microbit", "mps3-an547", "riscv32-virt", "riscv64-virt-v", "aarch64-virt"]
        .iter()
        .try_for_each(|board| check_no_panic::check_no_panic(context, board))
}

/// Boards that nothing here runs. `cargo clippy` would compile their HALs once more, which takes minutes; clippy in the place
/// of the compiler finds them built.
fn hardware(context: &Context) -> Result<()> {
    layout::layout(context, &LayoutArgs::default())?;
    let model = check_no_panic::model_file(context)?;
    for board in Board::built_only(&context.root)? {
        firmware::cargo(context, &board, &["rustc", "--profile", "firmware"], &[])
            .args(["--", "-D", "warnings"])
            .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
            .env("DEFMT_LOG", Level::Info.name())
            .env("TEALIGHT_MODEL", &model)
            .run()?;
    }
    Ok(())
}

/// What is built on Candle is no default member: it takes minutes to build. Optimized, as `train` and `eval` build it.
fn with_candle(context: &Context) -> Result<()> {
    let packages = ["tealight-models", "tealight-candle", "tealight-cli", "tealight-candle-tests"];
    let packages = packages.map(|name| ["--package", name]).concat();
    let packages = [&["--release", "--features", "tealight-cli/candle"][..], &packages].concat();
    cargo(context, &[&["clippy", "--all-targets"], &packages[..], &["--", "-D", "warnings"]].concat())?;
    cargo(context, &[&["test"], &packages[..]].concat())?;
    eval::check_after_tests(context, board::DEFAULT)
}

/// Apart from what else is built on Candle: `llm` builds this package alone, and finds Candle built.
fn language_model(context: &Context) -> Result<()> {
    let package = ["--release", "--package", "tealight-llama-tests"];
    cargo(context, &[&["clippy", "--all-targets"], &package[..], &["--", "-D", "warnings"]].concat())?;
    cargo(context, &[&["test"], &package[..]].concat())?;
    llm::llm(context, &llm::LlmArgs::default())
}

/// Models for the boards that CI does not try every model on: an int8 network, one of floats, and one with a front end.
const FEW: &[&str] = &["anomaly.f32", "digits", "keyword"];

/// Every model on the default board, and a few on each other; under `--full` every model on every board that it fits.
fn conformance_on_boards(context: &Context, extent: Extent) -> Result<()> {
    let boards = emulator::boards_here(context)?;
    let chosen = |board: &Board, subject: &Subject| {
        extent == Extent::Full || board.id == board::DEFAULT || FEW.contains(&subject.id.as_str())
    };
    let subjects = subjects(context, &[])?;
    if let Some(absent) = FEW.iter().find(|name| !subjects.iter().any(|subject| subject.id == **name)) {
        bail!("there is no model `{absent}`: the step with Candle compiles our models in f32");
    }
    let costs = conformance::on_boards(&boards, &subjects, &chosen)?;
    match boards.iter().find(|board| !costs.iter().any(|cost| cost.board == board.id)) {
        Some(board) => bail!("no model fits {}", board.id),
        None => Ok(()),
    }
}

/// A panic, a fault and a stack that runs over are told on every board.
fn faults_on_boards(context: &Context) -> Result<()> {
    emulator::boards_here(context)?.iter().try_for_each(|board| faults::faults(context, &board.id))
}

/// Every kind of model on each; `tealight` itself, which takes minutes to build for one, on one of them or, under `--full`, on all.
fn linux_boards(context: &Context, extent: Extent) -> Result<()> {
    LinuxBoard::all(&context.root)?.iter().try_for_each(|board| {
        let program = extent == Extent::Full || board.id == CANDLE_BOARD;
        linux::all_models(context, board, program, false)
    })
}

/// The Linux board that Candle is built for in any case.
const CANDLE_BOARD: &str = "linux-aarch64";

/// Where the processor lacks what Candle's kernels use, they would end the process: so all its tests run on both kinds.
fn candle_on_arm(context: &Context) -> Result<()> {
    let board =
        LinuxBoard::find(&context.root, CANDLE_BOARD)?.with_context(|| format!("there is no {CANDLE_BOARD}"))?;
    board.ensure(context)?;
    // What an emulator has in memory says nothing.
    board.test(context, "tealight-candle", &["opening"])
}

/// And the kernels wherever the compiler is told of a core's own instructions.
fn repeats(context: &Context) -> Result<()> {
    repeat::repeat(context, board::DEFAULT)?;
    let boards = emulator::boards_here(context)?;
    boards.iter().filter(|board| !board.rustflags().is_empty()).try_for_each(|board| repeat::compare(context, board))
}

fn parsing_on_board(context: &Context) -> Result<()> {
    parsing::parsing(context, board::DEFAULT)
}

fn costs(context: &Context) -> Result<()> {
    cost::cost(context, &cost::CostArgs::default())
}

fn miri(context: &Context, extent: Extent) -> Result<()> {
    let shell = &context.shell;
    setup::ensure_miri(context)?;
    let cases = if extent == Extent::Full { "8" } else { "2" };
    for words in MIRI {
        let words = words.iter();
        cmd!(shell, "rustup run nightly cargo miri test {words...}")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("PROPTEST_CASES", cases)
            .quiet()
            .run()?;
    }
    Ok(())
}

/// Long enough to see that the targets work and that nothing lies near the surface.
fn fuzz_shortly(context: &Context, extent: Extent) -> Result<()> {
    let seconds = if extent == Extent::Full { 120 } else { 12 };
    fuzz::fuzz(context, &FuzzArgs { seconds, ..FuzzArgs::default() })
}

/// With checks of overflow, which a debug build has: arithmetic on sizes that holds in 64 bits may not in 32, as boards have
/// them. On a processor that runs 32-bit programs itself, or emulated.
fn in_32_bits(context: &Context) -> Result<()> {
    let crates = ["--package", "tealight-format", "--package", "tealight-kernels", "--package", "tealight", "--tests"];
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        const TARGET: &str = "i686-unknown-linux-musl";
        setup::ensure_target(context, TARGET)?;
        let (shell, cargo) = (&context.shell, context.cargo());
        let command = cmd!(shell, "{cargo} test --target {TARGET} --no-fail-fast {crates...}");
        return Ok(command.env("CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld").quiet().run()?);
    }
    let board = LinuxBoard::find(&context.root, "linux-armv7")?.context("there is no board linux-armv7")?;
    board.ensure(context)?;
    board.test_emulated(context, &crates)
}

fn cargo(context: &Context, words: &[&str]) -> Result<()> {
    let shell = &context.shell;
    let cargo = context.cargo();
    Ok(cmd!(shell, "{cargo} {words...}").quiet().run()?)
}

/// What to test.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Leaves out what takes minutes
    #[arg(long, conflicts_with_all = ["board", "all"])]
    pub fast: bool,
    /// Adds the long tail: every model on every board, the program on every Linux board, the language model, long fuzzing
    #[arg(long, conflicts_with_all = ["fast", "board", "all"])]
    pub full: bool,
    /// Only this board: every model that fits it, and that its faults are reported; may be given more than once
    #[arg(long, value_name = "BOARD")]
    pub board: Vec<String>,
    /// Only the boards, all of them
    #[arg(long, conflicts_with = "board")]
    pub all: bool,
    /// Only the steps whose names contain this text; may be given more than once
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["fast", "board", "all"])]
    pub step: Vec<String>,
}

/// A step under its name.
type Named = (String, Box<dyn Fn(&Context) -> Result<()>>);

/// How a step ended.
struct Outcome {
    name: String,
    seconds: u64,
    passed: bool,
}

/// Runs what is asked for.
pub fn test(context: &Context, args: &TestArgs) -> Result<()> {
    let start = Instant::now();
    // Its path, before a step builds this program anew and the path is that of a deleted file.
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let extent = match (args.fast, args.full) {
        (true, _) => Extent::Fast,
        (_, true) => Extent::Full,
        _ => Extent::Usual,
    };
    let outcomes = if args.all {
        let mut ids: Vec<String> = emulator::boards_here(context)?.into_iter().map(|board| board.id).collect();
        ids.extend(LinuxBoard::all(&context.root)?.into_iter().map(|board| board.id));
        run_all(context, &of_boards(context, &ids)?)
    } else if !args.board.is_empty() {
        run_all(context, &of_boards(context, &args.board)?)
    } else if !args.step.is_empty() {
        let asked = |step: &&Step| args.step.iter().any(|text| step.name.contains(text.as_str()));
        let steps: Vec<&Step> = STEPS.iter().chain(BESIDE).filter(asked).collect();
        if let Some(text) = args.step.iter().find(|text| !steps.iter().any(|step| step.name.contains(text.as_str()))) {
            let known: Vec<&str> = STEPS.iter().chain(BESIDE).map(|step| step.name).collect();
            return Err(Usage(format!("no step's name contains `{text}`; the steps are: {}", known.join("; "))).into());
        }
        run_all(context, &named(steps, extent))
    } else {
        // What takes less than minutes comes first, alone.
        let (fast, more): (Vec<&Step>, Vec<&Step>) =
            STEPS.iter().filter(|step| step.from <= extent).partition(|step| step.from == Extent::Fast);
        let mut outcomes = run_all(context, &named(fast, extent));
        if extent > Extent::Fast {
            std::thread::scope(|scope| {
                let beside = scope.spawn(|| run_beside(&program, extent));
                outcomes.extend(run_all(context, &named(more, extent)));
                match beside.join() {
                    Ok(beside) => outcomes.extend(beside),
                    Err(cause) => std::panic::resume_unwind(cause),
                }
            });
        }
        outcomes
    };
    sum_up(&outcomes, start.elapsed().as_secs())
}

fn named<'a>(steps: impl IntoIterator<Item = &'a Step>, extent: Extent) -> Vec<Named> {
    let steps = steps.into_iter().map(|step| (step.name, step.run));
    steps.map(|(name, run)| -> Named { (name.into(), Box::new(move |context| run(context, extent))) }).collect()
}

/// All that can be tested on these boards alone.
fn of_boards(context: &Context, ids: &[String]) -> Result<Vec<Named>> {
    let mut steps: Vec<Named> = vec![("fetching models".into(), Box::new(fetch_models))];
    for id in ids {
        let linux = LinuxBoard::find(&context.root, id)?.is_some();
        // One that there is not is wrong usage.
        if !linux && board::find(&context.root, id)?.qemu.is_none() {
            let args = LayoutArgs { board: vec![id.clone()], ..LayoutArgs::default() };
            steps.push((format!("layout of {id}"), Box::new(move |context| layout::layout(context, &args))));
            continue;
        }
        let board = id.clone();
        let models = move |context: &Context| conformance::conformance(context, &board, &[], false);
        steps.push((format!("models on {id}"), Box::new(models)));
        if !linux {
            let board = id.clone();
            steps.push((format!("faults on {id}"), Box::new(move |context| faults::faults(context, &board))));
        }
    }
    Ok(steps)
}

/// Runs the steps, all of them even if one fails.
fn run_all(context: &Context, steps: &[Named]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (name, run) in steps {
        println!("== {name}");
        let begun = Instant::now();
        let outcome = run(context);
        let seconds = begun.elapsed().as_secs();
        match &outcome {
            Ok(()) => println!("== {name}: passed ({seconds} s)"),
            Err(error) => println!("== {name}: FAILED ({seconds} s)\n{error:#}"),
        }
        outcomes.push(Outcome { name: name.clone(), seconds, passed: outcome.is_ok() });
    }
    outcomes
}

/// Runs each of [`BESIDE`] as `xtask test --step` would, and shows what it printed.
fn run_beside(program: &Path, extent: Extent) -> Vec<Outcome> {
    let run = |step: &Step| {
        let begun = Instant::now();
        let mut command = Command::new(program);
        command.args(["test", "--step", step.name]).args((extent == Extent::Full).then_some("--full"));
        let output = command.output();
        let (passed, printed) = match output {
            Ok(output) => (output.status.success(), [output.stdout, output.stderr].concat()),
            Err(error) => (false, error.to_string().into_bytes()),
        };
        println!("== beside: {}", String::from_utf8_lossy(&printed).trim_end().replace('\n', "\n== beside: "));
        Outcome { name: step.name.into(), seconds: begun.elapsed().as_secs(), passed }
    };
    BESIDE.iter().map(run).collect()
}

/// Shows how long each step took, and in the last lines what failed.
fn sum_up(outcomes: &[Outcome], seconds: u64) -> Result<()> {
    let mut table = table::table();
    table.set_header(["step", "seconds", ""]);
    for Outcome { name, seconds, passed } in outcomes {
        table.add_row([name.clone(), seconds.to_string(), if *passed { "passed" } else { "FAILED" }.into()]);
    }
    println!("{table}");
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed).collect();
    for outcome in &failed {
        println!("failed: {}", outcome.name);
    }
    println!("in {seconds} s");
    println!("{} passed, {} failed", outcomes.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        bail!("{} of the steps failed", failed.len());
    }
    Ok(())
}
