//! `cargo xtask`: builds, runs and tests Tealight on its boards.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tealight_compiler::Patch;
use tealight_harness::bench::BenchArgs;
use tealight_harness::budget::BudgetArgs;
use tealight_harness::build::BuildArgs;
use tealight_harness::cost::CostArgs;
use tealight_harness::eval::EvalArgs;
use tealight_harness::ffi::{self, FfiArgs};
use tealight_harness::flash::{FlashArgs, ProbeArgs};
use tealight_harness::fuzz::FuzzArgs;
use tealight_harness::layout::LayoutArgs;
use tealight_harness::llm::LlmArgs;
use tealight_harness::log::LogArgs;
use tealight_harness::networks::NetworksArgs;
use tealight_harness::new_board::NewBoardArgs;
use tealight_harness::onnx_tests::OnnxTestsArgs;
use tealight_harness::period::PeriodArgs;
use tealight_harness::run::RunArgs;
use tealight_harness::simulate::SimulateArgs;
use tealight_harness::{
    Context, bench, blocks, boards, budget, build, check_no_panic, conformance, cost, error, eval, faults, fetch,
    figures, flash, fuzz, layout, llm, log, networks, new_board, onnx_tests, parsing, period, repeat, run, setup,
    simulate,
};
use xtask::test::TestArgs;
use xtask::{renew, test, train};

/// Builds, runs and tests Tealight on its boards
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs a network on an emulated board and shows its answer and what it cost
    Run(RunArgs),
    /// Builds a board's firmware with a network, as a file to flash
    Build(BuildArgs),
    /// Flashes a board's firmware with a network by a debug probe, and shows its log and its answer
    Flash(FlashArgs),
    /// Shows the log of the firmware that was flashed last
    Monitor {
        #[command(flatten)]
        by: ProbeArgs,
        /// Resets the board first
        #[arg(long)]
        reset: bool,
    },
    /// Lists the debug probes
    Probes,
    /// Resets a board by its debug probe
    Reset(ProbeArgs),
    /// Erases all of a board's flash
    Erase {
        #[command(flatten)]
        by: ProbeArgs,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
    /// Decodes the log that firmware writes to a serial port, or has written to a file
    Log(LogArgs),
    /// Runs everything that CI runs, or what can be tested of some boards
    Test(TestArgs),
    /// Lists the boards and whether this machine can run each
    Boards {
        /// Prints one JSON value instead of text
        #[arg(long)]
        json: bool,
    },
    /// Runs ONNX's own tests of single operators, and counts what becomes of them
    OnnxTests(OnnxTestsArgs),
    /// Compiles real networks of packages, runs them, and compares what they answer with the runtimes of their formats
    Networks(NetworksArgs),
    /// Creates the folder of a new board from that of the most similar one
    NewBoard(NewBoardArgs),
    /// Installs what the boards need: Rust targets, QEMU, cross linkers
    Setup,
    /// Fetches third-party models for tests, or data of our own models
    Fetch {
        /// Models or data to fetch [default: all models]
        models: Vec<String>,
    },
    /// Trains one of our own models with Candle, quantizes it and writes its files
    Train {
        /// The model: a folder in `models`
        name: String,
        /// Quantizes the float weights of the model's folder instead of training new ones
        #[arg(long)]
        keep_weights: bool,
    },
    /// Simulates a robot with its networks, faster than real time, and records the run
    Simulate(SimulateArgs),
    /// Compiles our own models and the models of tests again, after a change of the format or of the compiler
    Renew,
    /// Measures our own models on held-out data
    Eval(EvalArgs),
    /// Measures models on boards, side by side, and checks that each model outputs the same bytes on all of them
    Bench(BenchArgs),
    /// Compares the instructions of every layer of many models, on a board of each kind of core, with the recorded ones
    Budget(BudgetArgs),
    /// Measures again what the tables of the pages compare with other runtimes and boards, and writes the tables
    Figures {
        /// Tables to write [default: all]
        tables: Vec<String>,
    },
    /// Runs the golden models and our own on a board, compares their outputs and tables what each cost
    Conformance {
        /// Board to run on
        #[arg(long, default_value = tealight_harness::board::DEFAULT)]
        board: String,
        /// Prints one JSON value instead of a table
        #[arg(long)]
        json: bool,
        /// Compiles networks as `tealight compile --patch auto` does
        #[arg(long)]
        patch: bool,
        /// Compiles networks as `tealight compile --input-rows` does
        #[arg(long, requires = "models")]
        input_rows: bool,
        /// Models to run [default: all]
        models: Vec<String>,
    },
    /// Measures by how much a control loop is late while a network runs in slices between its turns
    Period(PeriodArgs),
    /// Measures the instructions of a unit of cost on a Cortex-M4, and fails where a plan states too low a cost
    Cost(CostArgs),
    /// Checks that runs repeat exactly, in each kind of firmware, and that a board's kernels return the recorded bits
    Repeat {
        /// Board to run on
        #[arg(long, default_value = tealight_harness::board::DEFAULT)]
        board: String,
        /// Only compares the board's kernels with the portable and the recorded ones
        #[arg(long)]
        kernels: bool,
    },
    /// Measures the instructions for checking a model file, by byte, and compares them with the bound that the format
    /// states
    Parsing {
        /// Board to run on
        #[arg(long, default_value = tealight_harness::board::DEFAULT)]
        board: String,
    },
    /// Checks that firmware that panics, faults or overflows its stack reports it and ends
    Faults {
        /// Board to run on
        #[arg(long, default_value = tealight_harness::board::DEFAULT)]
        board: String,
    },
    /// Runs a layer with block-quantized weights on a board, compares it with the host and tables what it cost
    Blocks {
        /// Board to run on
        #[arg(long, default_value = tealight_harness::board::DEFAULT)]
        board: String,
        /// Prints one JSON value instead of a table
        #[arg(long)]
        json: bool,
        /// Types to run besides float32: f16, block types, or `all`
        #[arg(default_values = ["q8_0", "q4_0"])]
        types: Vec<String>,
    },
    /// Builds the boards of real hardware and checks that their chips could start the images
    Layout(LayoutArgs),
    /// Continues a text with a language model of 135 million weights, beside Candle's own, and on emulated Arm
    /// processors
    Llm(LlmArgs),
    /// Fuzzes what reads a file, and everything that it accepts
    Fuzz(FuzzArgs),
    /// Builds the static library and the header for programs in C, for any target, with all operators or those of one model
    Ffi(FfiArgs),
    /// Checks that a board's firmware links no panic and no allocator
    CheckNoPanic {
        /// Board whose firmware is looked at
        #[arg(long, default_value = tealight_harness::board::DEFAULT)]
        board: String,
    },
}

fn main() -> ExitCode {
    error::end(&perform(&Arguments::parse().task))
}

fn perform(task: &Task) -> anyhow::Result<()> {
    let context = Context::new()?;
    match task {
        Task::Run(args) => run::run(&context, args),
        Task::Build(args) => build::build(&context, args),
        Task::Flash(args) => flash::flash(&context, args),
        Task::Monitor { by, reset } => flash::monitor(&context, by, *reset),
        Task::Probes => flash::probes(&context),
        Task::Reset(by) => flash::reset(&context, by),
        Task::Erase { by, yes } => flash::erase(&context, by, *yes),
        Task::Log(args) => log::log(args),
        Task::Test(args) => test::test(&context, args),
        Task::Boards { json } => boards::boards(&context, *json),
        Task::NewBoard(args) => new_board::new_board(&context, args),
        Task::Networks(args) => networks::run(&context, args),
        Task::OnnxTests(args) => onnx_tests::run(args),
        Task::Setup => setup::setup(&context),
        Task::Fetch { models } => fetch::fetch(&context, models),
        Task::Train { name, keep_weights } => train::train(&context, name, *keep_weights),
        Task::Simulate(args) => simulate::simulate(&context, args),
        Task::Renew => renew::renew(&context),
        Task::Eval(args) => eval::eval(&context, args),
        Task::Bench(args) => bench::bench(&context, args),
        Task::Budget(args) => budget::budget(&context, args),
        Task::Figures { tables } => figures::figures(&context, tables),
        Task::Conformance { board, json, patch, input_rows, models } => {
            let patch = if *patch { Patch::Auto } else { Patch::Off };
            conformance::conformance(&Context { patch, input_rows: *input_rows, ..context }, board, models, *json)
        }
        Task::Period(args) => period::period(&context, args),
        Task::Cost(args) => cost::cost(&context, args),
        Task::Repeat { board, kernels: true } => {
            repeat::compare(&context, &tealight_harness::board::find_emulated(&context.root, board)?)
        }
        Task::Repeat { board, .. } => repeat::repeat(&context, board),
        Task::Parsing { board } => parsing::parsing(&context, board),
        Task::Faults { board } => faults::faults(&context, board),
        Task::Blocks { board, json, types } => blocks::blocks(&context, board, types, *json),
        Task::Layout(args) => layout::layout(&context, args),
        Task::Llm(args) => llm::llm(&context, args),
        Task::Fuzz(args) => fuzz::fuzz(&context, args),
        Task::Ffi(args) => ffi::ffi(&context, args),
        Task::CheckNoPanic { board } => check_no_panic::check_no_panic(&context, board),
    }
}
