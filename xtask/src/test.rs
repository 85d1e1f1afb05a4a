//! `cargo xtask test`: everything that CI runs, or what can be tested of some boards.
//!
//! A step of CI is a row of `STEPS`; adding one is adding a row. `--fast` runs what takes less than minutes; `--full`
//! adds the long tail: every model on every board, all images of each, the program on every Linux board, the language
//! model, Miri and fuzzing at length. Without it, a kind of board is tested on one of them: `CORES` and `HALS`.
//!
//! Programs for this machine are built with the profile of the tests, so that one build of what they depend on does; with
//! `--full`, optimized as their users build them. Those for Linux boards are optimized less without it.
//!
//! Steps of a lane follow one another in the order of the table. The lanes run side by side, because linking firmware and
//! emulating it each keep one processor busy. A step is a process of its own; what it prints is shown when it ends.

use crate::balance::World;
use crate::board::LinuxBoard;
use crate::board::{self, Board};
use crate::budget::{self, BudgetArgs};
use crate::context::{AS_TESTED, CHECKED, Context};
use crate::cpu_time;
use crate::error::Usage;
use crate::fuzz::FuzzArgs;
use crate::lanes::{self, Outcome};
use crate::layout::LayoutArgs;
use crate::linux::{self, OnLinux as _};
use crate::side_by_side::on_each;
use crate::subject::{Subject, subjects};
use crate::table::{Table, table};
use crate::{
    balance, check_no_panic, chip_check, conformance, cost, emulator, eval, examples, faults, fetch, ffi, firmware,
    flash, flash_check, fuzz, install, interrupts, layout, llm, networks, parsing, publish, repeat, runners, simulate,
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::time::Instant;
use tealight_tests::models::MLPERF_TINY;
use xshell::{Cmd, cmd};

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

/// Steps that follow one another. Cargo makes builds in one folder wait for each other, whatever their lanes; the lanes are
/// about equally long, so that no processor is idle at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Programs for this machine and for Linux boards, and what talks to probes.
    Host,
    /// Firmware of the emulated boards.
    Boards,
    /// Firmware on HALs, and what has build folders of its own, most of it built by the nightly compiler.
    Others,
}

/// A part of the tests.
struct Step {
    name: &'static str,
    lane: Lane,
    /// The smallest extent that it is part of.
    from: Extent,
    /// A step of another lane that must have ended before this one begins.
    after: Option<&'static str>,
    run: fn(&Context, Extent) -> Result<()>,
}

const FETCHING: &str = "fetching models";
const HOST_TESTS: &str = "host tests";
const CHIPS: &str = "boards of real hardware on emulated chips answer as this machine";
const WITH_CANDLE: &str = "with Candle: our models, and the block kernels against its own";

impl Step {
    const fn new(lane: Lane, from: Extent, name: &'static str, run: fn(&Context, Extent) -> Result<()>) -> Self {
        Self { name, lane, from, after: None, run }
    }

    const fn after(self, name: &'static str) -> Self {
        Self { after: Some(name), ..self }
    }
}

/// All steps. Those of a lane run in this order.
const STEPS: &[Step] = &[
    Step::new(Lane::Host, Extent::Fast, "format", |context, _| format(context)),
    Step::new(Lane::Host, Extent::Fast, "clippy, host", |context, _| clippy_host(context)),
    Step::new(Lane::Host, Extent::Usual, "documentation", documentation),
    Step::new(Lane::Host, Extent::Fast, HOST_TESTS, host_tests).after(FETCHING),
    Step::new(Lane::Host, Extent::Usual, WITH_CANDLE, with_candle),
    Step::new(Lane::Host, Extent::Full, "the robot's page in a browser", |context, _| page_in_a_browser(context)),
    Step::new(Lane::Host, Extent::Full, "a language model, beside Candle and on emulated Arm", |context, _| {
        language_model(context)
    }),
    Step::new(Lane::Host, Extent::Usual, "real networks answer as the runtimes of their formats", real_networks),
    Step::new(Lane::Host, Extent::Usual, "the same bits on Linux boards of other architectures", linux_boards),
    Step::new(Lane::Host, Extent::Usual, "a Linux board, over ssh", |context, _| flash::check_linux(context)),
    Step::new(Lane::Host, Extent::Usual, "flashing, by a simulated probe, with faults", flashing),
    // With the program that the step before has built, and HALs.
    Step::new(Lane::Host, Extent::Usual, "`cargo run` in a board's folder flashes it", |context, _| {
        runners::runners(context)
    })
    .after(CHIPS),
    Step::new(Lane::Host, Extent::Usual, "C interface", |context, _| ffi::check::check(context)),
    Step::new(Lane::Host, Extent::Full, "Candle's engine on Armv8, without and with dot products", |context, _| {
        candle_on_arm(context)
    }),
    // It builds espflash, and fetches Python packages.
    Step::new(Lane::Host, Extent::Full, "flashing over a serial port, by a mock", |context, _| serial(context)),
    Step::new(Lane::Boards, Extent::Fast, FETCHING, |context, _| fetch_models(context)),
    Step::new(Lane::Boards, Extent::Fast, "clippy, firmware", clippy_firmware),
    Step::new(Lane::Boards, Extent::Fast, "no panic and no allocation in the firmware", no_panic),
    Step::new(Lane::Boards, Extent::Usual, "faults are reported on the boards", faults_on_boards),
    Step::new(Lane::Boards, Extent::Usual, "runs repeat exactly, in each kind of firmware", repeats),
    Step::new(Lane::Boards, Extent::Usual, "checking a model takes time in proportion to its file", |context, _| {
        parsing_on_board(context)
    }),
    Step::new(Lane::Boards, Extent::Usual, "polls run no more instructions than their costs allow", |context, _| {
        costs(context)
    }),
    Step::new(Lane::Boards, Extent::Usual, "no interrupt is late while a network runs", interrupted),
    Step::new(Lane::Boards, Extent::Usual, "no layer takes more instructions than recorded", instructions),
    // The step with Candle compiles our models in f32.
    Step::new(Lane::Boards, Extent::Usual, "conformance on the boards", conformance_on_boards).after(WITH_CANDLE),
    Step::new(Lane::Boards, Extent::Usual, "a robot balances on the boards as on this machine", balance_on_boards),
    Step::new(Lane::Others, Extent::Usual, "packages as they would be published", |context, _| {
        publish::package(context)
    }),
    Step::new(Lane::Others, Extent::Usual, "dependencies: licences, bans, sources, advisories", |context, _| {
        publish::dependencies(context)
    }),
    Step::new(
        Lane::Others,
        Extent::Usual,
        "boards of real hardware: built, and laid out as their chips want it",
        hardware,
    ),
    Step::new(Lane::Others, Extent::Usual, CHIPS, chips),
    // With the emulator that the step before has built.
    Step::new(Lane::Others, Extent::Usual, "examples: built, and run where an emulator can", |context, _| {
        examples::examples(context)
    }),
    // Build scripts of 32-bit programs are built where those of the host's tests are.
    Step::new(Lane::Others, Extent::Usual, "format, kernels and core in 32 bits", in_32_bits).after(HOST_TESTS),
    Step::new(Lane::Others, Extent::Usual, "Miri", miri),
    Step::new(Lane::Others, Extent::Usual, "fuzzing, a short run", fuzz_shortly),
];

/// What Miri runs, a line a run, of [`MIRI_CRATES`]: it is some thousand times slower than the machine, so random tests are
/// left out, and what a shorter test shows, too. These are the sessions of the C interface, which has the only `unsafe` code
/// that Miri can run, and those of the runtime; the other crates forbid it, or have it in instructions that Miri lacks.
const MIRI: &[&[&str]] = &[&[
    "--test",
    "session",
    "--",
    "--skip",
    "same_bytes_as_one_apart",
    "--skip",
    "polling_by_layers",
    "--skip",
    "state_survives",
]];

/// What it runs under `--full`.
const MIRI_AT_LENGTH: &[&[&str]] = &[
    &["--lib"],
    &["--test", "cost", "--test", "parse", "--test", "spec"],
    &["--test", "engine", "--test", "recurrent", "--test", "session", "--test", "transformers"],
    &["--test", "hostile"],
];

/// What Miri runs of, always together: cargo would choose other features of what they share for each, and build it again.
const MIRI_CRATES: &[&str] = &[
    "--package",
    "tealight-kernels",
    "--package",
    "tealight-format",
    "--package",
    "tealight",
    "--package",
    "tealight-ffi",
];

/// One board of each architecture and of each version of the kernels.
const CORES: &[&str] = &[board::DEFAULT, "microbit", "mps3-an547", "riscv32-virt-v", "riscv64-virt-v", "aarch64-virt"];

/// One board of each HAL, and of each instruction set that a HAL is for. `examples` builds that of the nRF52840.
const HALS: &[&str] = &["microbit-embassy", "nucleo-f446re", "pico", "pico2", "pico2-riscv", "esp32-c3"];

/// Boards that run a few models besides those of [`CORES`], whose targets they add.
const MORE_TARGETS: &[&str] = &["mps2-an385"];

/// Those of the emulated boards that have these names, or under `--full` all; without those that cannot be emulated here.
fn chosen_boards(context: &Context, extent: Extent, names: &[&str]) -> Result<Vec<Board>> {
    let mut boards = emulator::boards_here(context)?;
    boards.retain(|board| extent == Extent::Full || names.contains(&board.id.as_str()));
    match boards.is_empty() {
        true => bail!("of the boards {}, none can be emulated here", names.join(", ")),
        false => Ok(boards),
    }
}

// `default-members` are the crates of the host; the others only link for a board.

fn format(context: &Context) -> Result<()> {
    install::ensure_component(context, "fmt", "rustfmt")?;
    cargo(context, &["fmt", "--all", "--check"]).context("`cargo fmt --all` fixes it")?;
    for board in Board::on_hals(&context.root)? {
        let manifest = board.manifest().display().to_string();
        let command = ["fmt", "--manifest-path", &manifest];
        cargo(context, &[&command[..], &["--check"]].concat())
            .with_context(|| format!("`cargo {}` fixes it", command.join(" ")))?;
    }
    Ok(())
}

/// clippy in the place of the compiler that builds the tests, which [`host_tests`] runs; then of what `cargo xtask` is built
/// from, which has fewer features. Features that the tests have choose the same third-party crates.
fn clippy_host(context: &Context) -> Result<()> {
    let (shell, cargo) = (&context.shell, context.cargo());
    cmd!(shell, "{cargo} test --quiet --no-run").envs(CHECKED).quiet().run()?;
    let unified = "tealight-unified-features/all,tealight-unified-features/models";
    let front = cmd!(shell, "{cargo} build --quiet --package tealight-front --features {unified}");
    Ok(front.envs(CHECKED).quiet().run()?)
}

/// The default board, without `--fast` with each feature, which choose the same on every board; under `--full` the others. Of these, some are
/// otherwise built with clippy in the place of the compiler: [`COMPARED`], and boards on HALs.
///
/// With all statements of the log, and the profile that firmware is built with.
fn clippy_firmware(context: &Context, extent: Extent) -> Result<()> {
    let model = check_no_panic::model_file(context)?;
    for board in Board::emulated(&context.root)?.into_iter().filter(|board| !board.is_on_hal()) {
        let features: &[&[&str]] = match (board.id == board::DEFAULT, extent) {
            (true, Extent::Fast) => &[&[]],
            (true, _) => &[
                &[],
                &["audio"],
                &["balance"],
                &["balance-wire"],
                &["model-slot"],
                &["measure-interrupts"],
                &["measure-parse"],
                &["seed-faults"],
                &["text"],
            ],
            (false, Extent::Fast | Extent::Usual) => continue,
            (false, Extent::Full) => &[&[]],
        };
        install::ensure_target(context, &board.target)?;
        for features in features {
            let words = ["clippy", "--profile", "firmware"];
            let command = firmware::cargo(context, &board, &words, features, firmware::Level::Trace)
                .args(["--", "-D", "warnings"]);
            command.env("TEALIGHT_MODEL", &model).run()?;
        }
    }
    Ok(())
}

/// The crates that run on a board; under `--full` all, whose libraries would be built once more.
const DOCUMENTED: &[&str] = &[
    "tealight",
    "tealight-audio",
    "tealight-format",
    "tealight-kernels",
    "tealight-sensor",
    "tealight-slot",
    "tealight-types",
];

fn documentation(context: &Context, extent: Extent) -> Result<()> {
    let (shell, cargo) = (&context.shell, context.cargo());
    let packages = DOCUMENTED.iter().flat_map(|name| ["--package", name]).filter(|_| extent != Extent::Full);
    let command = cmd!(shell, "{cargo} doc --no-deps {packages...}").env("RUSTDOCFLAGS", "-D warnings");
    Ok(command.quiet().run()?)
}

/// The host's tests run the golden models whose files are in the cache.
fn fetch_models(context: &Context) -> Result<()> {
    fetch::fetch(context, &[])
}

fn host_tests(context: &Context, extent: Extent) -> Result<()> {
    // As the step before has built them.
    let _checked = CHECKED.map(|(name, value)| context.shell.push_env(name, value));
    cargo(context, &["test", "--no-fail-fast"])?;
    if extent == Extent::Fast {
        return Ok(());
    }
    // A bare `cargo test` ignores tests that need files which a clone does not contain. Those of all packages are run,
    // though few have any: for some packages alone, cargo would choose other features of what they share, and build it
    // again.
    let mut words = vec!["test", "--no-fail-fast", "--lib", "--bins", "--tests", "--", "--ignored"];
    if std::env::var_os(MLPERF_TINY).is_none() {
        println!("skipped: the networks of MLPerf Tiny ({MLPERF_TINY} names their folder)");
        words.extend(["--skip", "mlperf"]);
    }
    cargo(context, &words)
}

/// Boards on which the largest image is searched for panics: of each architecture the one with the most kernels of its own.
const SEARCHED: &[&str] = &["mps2-an385-v6m", "mps3-an547", "riscv32-virt-v", "aarch64-virt-a76"];

/// The largest image of the default board with `--fast`; every image of it, and of one of each architecture that which links
/// most; under `--full` every image of one of each version of the kernels.
fn no_panic(context: &Context, extent: Extent) -> Result<()> {
    if extent == Extent::Fast {
        return check_no_panic::check_largest(context, board::DEFAULT);
    }
    check_no_panic::check_no_panic(context, board::DEFAULT)?;
    match extent {
        Extent::Full => KERNELS.iter().try_for_each(|board| check_no_panic::check_no_panic(context, board)),
        _ => SEARCHED.iter().try_for_each(|board| check_no_panic::check_largest(context, board)),
    }
}

/// Boards on HALs: clippy, in the place of the compiler, and the layout of their images. `cargo clippy` would compile their
/// HALs once more, which takes minutes; of what is in the images, it checks the boards' crates alone. One board of each HAL,
/// or under `--full` all.
fn hardware(context: &Context, extent: Extent) -> Result<()> {
    let _checked = CHECKED.map(|(name, value)| context.shell.push_env(name, value));
    let board = if extent == Extent::Full { Vec::new() } else { HALS.iter().map(ToString::to_string).collect() };
    layout::layout(context, &LayoutArgs { board, ..LayoutArgs::default() })
}

/// clippy and the tests of the emulators' program, and those of the script; then images, of which the step before has built
/// the first of most boards, and the HALs of the second.
fn chips(context: &Context, extent: Extent) -> Result<()> {
    let shell = &context.shell;
    checked_tests(context, "tealight-chip-emulator").run()?;
    let tests = cmd!(shell, "python3 -m unittest discover --quiet --start-directory xtask/chip-emulator/unicorn");
    tests.env("PYTHONDONTWRITEBYTECODE", "1").quiet().run()?;
    if extent == Extent::Full { chip_check::all(context) } else { chip_check::chip_check(context) }
}

/// What is built on Candle is no default member: it takes minutes to build. Then held-out inputs of a model with a front end
/// on the default board; under `--full` of every model, whose quality is measured, too.
fn with_candle(context: &Context, extent: Extent) -> Result<()> {
    let packages = ["tealight-models", "tealight-candle", "tealight-cli", "tealight-candle-tests"];
    let packages = packages.map(|name| ["--package", name]).concat();
    let (shell, cargo, optimized) = (&context.shell, context.cargo(), context.optimized());
    cmd!(shell, "{cargo} test --no-fail-fast {optimized...} --features tealight-cli/candle {packages...}")
        .envs(CHECKED)
        .quiet()
        .run()?;
    match extent {
        Extent::Full => eval::check_after_tests(context, board::DEFAULT),
        _ => eval::compare_after_tests(context, board::DEFAULT, "keyword"),
    }
}

/// Small networks of two packages: a stateful one of int8, and one of floats in a `.tflite` and in an `.onnx`.
const REAL: &[&str] = &["pymicro-wakeword/hey_jarvis", "basic-pitch/"];

/// A few of the list; under `--full` all.
fn real_networks(context: &Context, extent: Extent) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("skipped: TensorFlow Lite Micro is published for Linux on x86-64 alone");
        return Ok(());
    }
    let few = if extent == Extent::Full { &[] } else { REAL };
    networks::run(context, &networks::NetworksArgs::of(few))
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

/// Every model on the default board, and a few on one of each other core; under `--full` every model on every board that it
/// fits.
fn conformance_on_boards(context: &Context, extent: Extent) -> Result<()> {
    let boards = chosen_boards(context, extent, &[CORES, MORE_TARGETS].concat())?;
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

/// The tests of the host have tried it if there was a browser.
fn page_in_a_browser(context: &Context) -> Result<()> {
    install::ensure_browser(context)?;
    let (shell, cargo) = (&context.shell, context.cargo());
    let command = cmd!(shell, "{cargo} test --package tealight-simulate --test browser");
    Ok(command.env("TEALIGHT_BROWSER", "required").quiet().run()?)
}

/// Boards with each kind of timer.
const INTERRUPTED: &[&str] = &[board::DEFAULT, "riscv32-virt"];

/// And under `--full` of each core that has one.
const INTERRUPTED_AT_LENGTH: &[&str] = &["microbit", "mps2-an385", "mps2-an385-v6m", "mps3-an547"];

fn interrupted(context: &Context, extent: Extent) -> Result<()> {
    let names = if extent == Extent::Full { &[INTERRUPTED, INTERRUPTED_AT_LENGTH].concat() } else { INTERRUPTED };
    interrupts::check_boards(context, &chosen_boards(context, Extent::Usual, names)?)
}

/// One board of each architecture, with and without a unit for floats: the simulated world is arithmetic of floats, and the
/// networks are run by other steps on one of each core. Under `--full` all.
const BALANCED: &[&str] = &[board::DEFAULT, "microbit", "riscv32-virt", "aarch64-virt"];

/// Boards that run the robot's app alone, too, with its world on this machine.
const BALANCED_BY_WIRE: &[&str] = &[board::DEFAULT, "riscv32-virt"];

fn balance_on_boards(context: &Context, extent: Extent) -> Result<()> {
    let scenario = simulate::tested()?;
    for (names, world) in [(BALANCED, World::OnBoard), (BALANCED_BY_WIRE, World::OverWire)] {
        let mut boards = chosen_boards(context, extent, names)?;
        for small in boards.extract_if(.., |board| !balance::fits(board)) {
            println!("  --  {} keeps too little stack", small.id);
        }
        balance::on_boards(context, &boards, &scenario, world)?;
    }
    Ok(())
}

/// A panic, a fault, a stack overflow and a hang are reported on one board of each core, a damaged model on the default
/// board; under `--full` all on every board.
fn faults_on_boards(context: &Context, extent: Extent) -> Result<()> {
    let loads = |board: &Board| extent == Extent::Full || board.id == board::DEFAULT;
    faults::on_boards(context, &chosen_boards(context, extent, CORES)?, &loads)
}

/// Every kind of model on each: on the processor that its `board.toml` names first, and where kernels are chosen at run time
/// on all; under `--full` on all of each, and `tealight` itself too, with Candle, which takes minutes to build for each.
fn linux_boards(context: &Context, extent: Extent) -> Result<()> {
    let full = extent == Extent::Full;
    for mut board in LinuxBoard::all(&context.root)? {
        if !full && board.id != CHOOSES_KERNELS {
            board.emulator.cpus.truncate(1);
        }
        linux::all_models(context, &board, full, false)?;
    }
    Ok(())
}

/// The Linux board on which kernels with dot products are chosen at run time.
const CHOOSES_KERNELS: &str = "linux-aarch64";

/// The Linux board that Candle's own tests run on.
const CANDLE_BOARD: &str = "linux-aarch64";

/// On a processor without the instructions that they use, Candle's kernels would end the process. So all its tests run
/// on processors with and without them.
fn candle_on_arm(context: &Context) -> Result<()> {
    let board =
        LinuxBoard::find(&context.root, CANDLE_BOARD)?.with_context(|| format!("there is no {CANDLE_BOARD}"))?;
    board.ensure(context)?;
    // The memory that an emulator takes is not the program's.
    board.test(context, "tealight-candle", &["opening"])
}

/// And the kernels that are written for one kind of core, under `--full` of each. Smaller boards have no memory for the
/// comparison.
fn repeats(context: &Context, extent: Extent) -> Result<()> {
    repeat::repeat(context, board::DEFAULT)?;
    let names = if extent == Extent::Full { KERNELS } else { COMPARED };
    on_each(&chosen_boards(context, Extent::Usual, names)?, repeat::compare).map(drop)
}

/// A board of each folder of kernels that are written for a kind of core, but for the default board's, which is compared
/// anyway. Other kernels run whole networks without the long tail: those of 64-bit Arm without dot products in
/// [`conformance_on_boards`], those of RISC-V without vectors in [`chips`].
const COMPARED: &[&str] = &["mps2-an385-v6m", "mps2-an385", "mps3-an547", "riscv64-virt-v", "aarch64-virt-a76"];

/// A board of each version of the kernels, with memory for all of them, which the micro:bit lacks.
const KERNELS: &[&str] = &[
    "mps2-an385-v6m",
    "mps2-an385",
    "mps3-an547",
    "riscv32-virt",
    "riscv32-virt-v",
    "riscv64-virt-v",
    "aarch64-virt",
    "aarch64-virt-a76",
];

/// Unmodified probe-rs flashes emulated boards, whose networks must answer as this machine; and each fault ends in a
/// message. Under `--full` the wire is cut at every packet, otherwise at some.
///
/// clippy in the place of the compiler, as for Candle: probe-rs, and the program, which its tests start, are built once.
fn flashing(context: &Context, extent: Extent) -> Result<()> {
    // The emulator of its tests.
    emulator::ensure_board(context, &board::find_emulated(&context.root, board::DEFAULT)?)?;
    let words = ["--profile", "firmware", "--package", "flash-algorithm", "--target", "thumbv6m-none-eabi"];
    cargo(context, &[&["clippy"], &words[..], &["--", "-D", "warnings"]].concat())?;
    let mut tests = checked_tests(context, "tealight-flash");
    if extent == Extent::Full {
        tests = tests.env("TEALIGHT_EVERY_PACKET", "1");
    }
    tests.run()?;
    flash_check::flash_check(context, &context.program("tealight-flash"), extent == Extent::Full)
}

/// clippy and the tests of a package that is no default member, built as its program is.
fn checked_tests<'a>(context: &'a Context, package: &str) -> Cmd<'a> {
    let (shell, cargo, optimized) = (&context.shell, context.cargo(), context.optimized());
    cmd!(shell, "{cargo} test --no-fail-fast {optimized...} --package {package}").envs(CHECKED).quiet()
}

/// As [`flashing`], for the program with espflash.
fn serial(context: &Context) -> Result<()> {
    flash::check_serial(context)?;
    Ok(checked_tests(context, "tealight-flash-serial").run()?)
}

fn parsing_on_board(context: &Context) -> Result<()> {
    parsing::parsing(context, board::DEFAULT)
}

/// Their kernels are those of the board with 64 bits or 32, where a layer that takes more instructions does so, too.
const ALIKE: &[&str] = &["riscv32-virt-v", "riscv64-virt"];

/// On a board of each kind of core; on those whose models go through a slow wire, and on those that are [`ALIKE`], under
/// `--full`.
fn instructions(context: &Context, extent: Extent) -> Result<()> {
    let left_out = |board: &str| budget::BY_WIRE.contains(&board) || ALIKE.contains(&board);
    let boards = budget::BOARDS.iter().filter(|board| extent == Extent::Full || !left_out(board));
    budget::budget(context, &BudgetArgs { board: boards.map(ToString::to_string).collect(), ..BudgetArgs::default() })
}

fn costs(context: &Context) -> Result<()> {
    cost::cost(context, &cost::CostArgs::default())
}

fn miri(context: &Context, extent: Extent) -> Result<()> {
    let shell = &context.shell;
    install::ensure_miri(context)?;
    let (runs, cases) = if extent == Extent::Full { (MIRI_AT_LENGTH, "8") } else { (MIRI, "2") };
    for words in runs {
        let words = words.iter();
        cmd!(shell, "rustup run nightly cargo miri test {MIRI_CRATES...} {words...}")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("PROPTEST_CASES", cases)
            .quiet()
            .run()?;
    }
    Ok(())
}

/// Long enough to show that the targets work and to find what is easy to find.
fn fuzz_shortly(context: &Context, extent: Extent) -> Result<()> {
    let (seconds, quick) = if extent == Extent::Full { (120, false) } else { (3, true) };
    fuzz::fuzz(context, &FuzzArgs { seconds, quick, ..FuzzArgs::default() })
}

/// Tests of arithmetic on sizes and of values at random, which 32 bits may change.
const OF_SIZES: &[&str] = &[
    "--lib",
    "--test",
    "cost",
    "--test",
    "float_totality",
    "--test",
    "hostile",
    "--test",
    "parse",
    "--test",
    "session",
    "--test",
    "totality",
    "--test",
    "transformers",
];

/// With checks of overflow, which a debug build has: arithmetic on sizes that holds in 64 bits may not in 32, as boards
/// have them. On a processor that runs 32-bit programs itself, or emulated.
fn in_32_bits(context: &Context, extent: Extent) -> Result<()> {
    const CRATES: &[&str] = &["--package", "tealight-format", "--package", "tealight-kernels", "--package", "tealight"];
    let crates = [CRATES, if extent == Extent::Full { &["--tests"] } else { OF_SIZES }].concat();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        const TARGET: &str = "i686-unknown-linux-musl";
        install::ensure_target(context, TARGET)?;
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
    /// Leaves out what takes minutes: for each commit
    #[arg(long, conflicts_with_all = ["board", "all"])]
    pub fast: bool,
    /// Adds the long tail: every model and all images on every board, the program on every Linux board, the language
    /// model, long fuzzing
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
    /// Only the step of this name, without a summary: how the task runs a step in a process of its own
    #[arg(long, value_name = "NAME", hide = true, conflicts_with_all = ["board", "all", "step"])]
    pub alone: Option<String>,
}

impl TestArgs {
    fn extent(&self) -> Extent {
        match (self.fast, self.full) {
            (true, _) => Extent::Fast,
            (_, true) => Extent::Full,
            _ => Extent::Usual,
        }
    }
}

/// What starts a step of this name in a process of its own.
fn alone(name: &str, extent: Extent) -> Vec<&str> {
    let how_much = match extent {
        Extent::Fast => Some("--fast"),
        Extent::Usual => None,
        Extent::Full => Some("--full"),
    };
    ["test", "--alone", name].into_iter().chain(how_much).collect()
}

/// A step under its name.
type Named = (String, Box<dyn Fn(&Context) -> Result<()>>);

/// Runs what is asked for.
pub fn test(context: &Context, args: &TestArgs) -> Result<()> {
    let start = Instant::now();
    let extent = args.extent();
    if let Some(name) = &args.alone {
        let step = STEPS.iter().find(|step| step.name == name).with_context(|| format!("there is no step `{name}`"))?;
        let ended = (step.run)(context, extent);
        if let Some(seconds) = cpu_time::seconds() {
            println!("{}", cpu_time::line(seconds));
        }
        return ended;
    }
    let outcomes = if args.all {
        let mut ids: Vec<String> = emulator::boards_here(context)?.into_iter().map(|board| board.id).collect();
        ids.extend(LinuxBoard::all(&context.root)?.into_iter().map(|board| board.id));
        run_all(context, &of_boards(context, &ids)?)
    } else if !args.board.is_empty() {
        run_all(context, &of_boards(context, &args.board)?)
    } else if !args.step.is_empty() {
        let asked = |step: &&Step| args.step.iter().any(|text| step.name.contains(text.as_str()));
        let steps: Vec<&Step> = STEPS.iter().filter(asked).collect();
        if let Some(text) = args.step.iter().find(|text| !steps.iter().any(|step| step.name.contains(text.as_str()))) {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            return Err(Usage(format!("no step's name contains `{text}`; the steps are: {}", known.join("; "))).into());
        }
        run_lanes(context, &steps, extent)?
    } else {
        run_lanes(context, &steps_of(extent), extent)?
    };
    sum_up(&outcomes, start.elapsed().as_secs())
}

/// All that can be tested on these boards alone.
fn of_boards(context: &Context, ids: &[String]) -> Result<Vec<Named>> {
    let mut steps: Vec<Named> = vec![("fetching models".into(), Box::new(fetch_models))];
    for id in ids {
        let linux = LinuxBoard::find(&context.root, id)?.is_some();
        if !linux && board::find(&context.root, id)?.qemu.is_none() {
            let args = LayoutArgs { board: vec![id.clone()], ..LayoutArgs::default() };
            steps.push((format!("layout of {id}"), Box::new(move |context| layout::layout(context, &args))));
            let board = id.clone();
            let models = move |context: &Context| conformance::conformance(context, &board, &[], false);
            if board::find_running(&context.root, id).is_ok() {
                steps.push((format!("models on an emulated chip of {id}"), Box::new(models)));
                let board = id.clone();
                let faults = move |context: &Context| faults::faults(context, &board);
                steps.push((format!("faults on an emulated chip of {id}"), Box::new(faults)));
            }
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

/// Runs the tests of boards in this process one after another, all of them even if one fails.
fn run_all(context: &Context, steps: &[Named]) -> Vec<Outcome> {
    let run = |(name, run): &Named| {
        println!("== {name}");
        let (begun, cpu_before) = (Instant::now(), cpu_time::seconds());
        let ended = run(context);
        let outcome = Outcome {
            name: name.clone(),
            seconds: begun.elapsed().as_secs(),
            cpu_seconds: cpu_time::seconds().zip(cpu_before).map(|(after, before)| after - before),
            passed: ended.is_ok(),
        };
        println!("{}", outcome.line());
        if let Err(error) = ended {
            println!("{error:#}");
        }
        outcome
    };
    steps.iter().map(run).collect()
}

/// Runs the steps in their lanes, each in a process of its own.
fn run_lanes(context: &Context, steps: &[&Step], extent: Extent) -> Result<Vec<Outcome>> {
    install::ensure_component(context, "clippy", "clippy")?;
    // A copy, because a step builds this program anew.
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let program = folder.path().join("xtask");
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    std::fs::copy(this, &program).context("cannot copy this program")?;
    let variables: &[(&str, &str)] = if extent == Extent::Full { &[] } else { &[(AS_TESTED, "1")] };
    Ok(lanes::run(&entries(steps), |step| lanes::run_apart(&program, &alone(step.name, extent), variables)))
}

/// The steps of this extent.
fn steps_of(extent: Extent) -> Vec<&'static Step> {
    STEPS.iter().filter(|step| step.from <= extent).collect()
}

/// The steps as the lanes see them.
fn entries(steps: &[&Step]) -> Vec<lanes::Entry> {
    steps.iter().map(|step| lanes::Entry { name: step.name, lane: step.lane as usize, after: step.after }).collect()
}

/// How long each step took.
fn times(outcomes: &[Outcome]) -> Table {
    let mut table = table(&["step"], &["seconds", "CPU seconds"], &[""]);
    for Outcome { name, seconds, cpu_seconds, passed } in outcomes {
        let cpu_seconds = cpu_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        table.row([name.clone(), seconds.to_string(), cpu_seconds, if *passed { "passed" } else { "FAILED" }.into()]);
    }
    table
}

/// Shows how long each step took, and in the last lines what failed.
fn sum_up(outcomes: &[Outcome], seconds: u64) -> Result<()> {
    println!("{}", times(outcomes));
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed).collect();
    for outcome in &failed {
        println!("failed: {}", outcome.name);
    }
    let cpu_seconds: u64 = outcomes.iter().filter_map(|outcome| outcome.cpu_seconds).sum();
    println!("in {seconds} s, CPU {cpu_seconds} s");
    println!("{} passed, {} failed", outcomes.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        bail!("{} of the steps failed", failed.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    enum Program {
        Test(TestArgs),
    }

    #[test]
    fn a_step_in_a_process_of_its_own_has_the_extent_of_the_whole() {
        for extent in [Extent::Fast, Extent::Usual, Extent::Full] {
            let words = [&["xtask"], &alone(HOST_TESTS, extent)[..]].concat();
            let Program::Test(args) = clap::Parser::parse_from(words);
            assert_eq!((args.extent(), args.alone.as_deref()), (extent, Some(HOST_TESTS)));
        }
    }

    #[test]
    fn no_step_waits_for_one_that_waits_for_it_or_that_there_is_not() {
        for extent in [Extent::Fast, Extent::Usual, Extent::Full] {
            let steps = entries(&steps_of(extent));
            // Each step ends when those before it in its lane have, and the one that it waits for.
            let mut ended: Vec<&str> = Vec::new();
            let ready = |ended: &[&str], step: &lanes::Entry| {
                let first = steps.iter().find(|other| other.lane == step.lane && !ended.contains(&other.name));
                first.is_some_and(|first| first.name == step.name)
                    && step.after.is_none_or(|before| ended.contains(&before))
            };
            while let Some(step) = steps.iter().find(|step| ready(&ended, step)) {
                ended.push(step.name);
            }
            assert_eq!(ended.len(), steps.len(), "{extent:?}: only {ended:?} can end");
        }
    }

    #[test]
    fn a_board_of_every_target_and_one_of_every_set_of_kernels_is_tested_without_the_long_tail() {
        let root = Context::new().unwrap().root;
        let boards = |names: &[&str]| names.iter().map(|name| board::find(&root, name).unwrap()).collect::<Vec<_>>();
        let tested = boards(&[CORES, MORE_TARGETS, HALS].concat());
        for board in Board::all(&root).unwrap() {
            assert!(tested.iter().any(|tested| tested.target == board.target), "{}", board.target);
        }
        let chosen = boards(&[CORES, COMPARED].concat());
        for board in Board::emulated(&root).unwrap().iter().filter(|board| !board.target_features.is_empty()) {
            assert!(chosen.iter().any(|chosen| chosen.rustflags() == board.rustflags()), "{}", board.id);
        }
    }

    #[test]
    fn a_failed_step_is_named_and_counted() {
        let outcome = |name: &str, passed| Outcome { name: name.into(), seconds: 1, cpu_seconds: Some(2), passed };
        sum_up(&[outcome("a", true)], 1).unwrap();
        let error = sum_up(&[outcome("a", true), outcome("b", false)], 1).unwrap_err();
        assert_eq!(error.to_string(), "1 of the steps failed");
    }

    #[test]
    fn a_cpu_time_that_is_not_known_is_left_empty() {
        let outcome = |name: &str, cpu_seconds| Outcome { name: name.into(), seconds: 4, cpu_seconds, passed: true };
        let shown = times(&[outcome("a", Some(17)), outcome("b", None)]).to_string();
        let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(words.contains(&vec!["a", "4", "17", "passed"]), "{shown}");
        assert!(words.contains(&vec!["b", "4", "passed"]), "{shown}");
    }
}
