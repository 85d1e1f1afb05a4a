//! Measures the memory that opening a model and running it once take.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // the test and the example each use some of it

use std::path::Path;
use std::process::Command;
use tealight_candle::{EngineChoice, Mapped};
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::{F32, I32, U8};
use tealight_format::Operator;
use tealight_format::ops::{BlockType, FullyConnectedBlock, GatherBlock};

/// The number of elements in a row of the table.
const DEPTH: u32 = 256;
/// The number of bytes of a row in Q8_0.
const ROW: u32 = DEPTH / 32 * 34;
/// The number of outputs of the layer after the table.
const OUTPUTS: u32 = 64;

/// Writes a model with weights of about `megabytes`: a table of blocks, of which an inference reads one row like an
/// embedding, and a small layer after it.
pub fn write_model(path: &Path, megabytes: u32) {
    let rows = megabytes * 1_000_000 / ROW;
    let bytes =
        |count: u32| (0..count).map(|i| i.wrapping_mul(0x9e37_79b1).to_be_bytes()[0] & 0x3f).collect::<Vec<u8>>();
    let block = BlockType::Q8_0;
    let mut b = Builder::new();
    let index = b.input("index", I32, &[1]);
    let table = b.constant("table", U8, &[rows, ROW], bytes(rows * ROW));
    let weights = b.constant("weights", U8, &[OUTPUTS, ROW], bytes(OUTPUTS * ROW));
    let x = b.op("x", Operator::GatherBlock(GatherBlock { block }), [index, table], F32, &[1, DEPTH]);
    let layer = FullyConnectedBlock { block, activation: [f32::NEG_INFINITY, f32::INFINITY], together: false };
    let inputs = [Some(x), Some(weights), None];
    let y = b.op("y", Operator::FullyConnectedBlock(layer), inputs, F32, &[1, OUTPUTS]);
    b.output(y);
    let compiled = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap();
    std::fs::write(path, compiled.bytes).unwrap();
}

/// The memory that a step added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Private resident memory of the process, in KiB.
    pub own: i64,
    /// Resident memory in pages of files, in KiB.
    pub file: i64,
    /// Page faults that did not read from the disk.
    pub faults: i64,
}

/// Returns the current memory of the process.
fn now() -> Growth {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |key: &str| -> i64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap()
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // proc(5): minflt is field 10, the eighth after the name, which is in parentheses.
    let faults = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(7).unwrap().parse().unwrap();
    // Pages of a file on tmpfs count as shared memory.
    Growth { own: kib("RssAnon:"), file: kib("RssFile:") + kib("RssShmem:"), faults }
}

fn since(before: Growth) -> Growth {
    let now = now();
    Growth { own: now.own - before.own, file: now.file - before.file, faults: now.faults - before.faults }
}

/// Returns what opening the file, and then a session with its first output, added. The process should have done nothing
/// before.
pub fn measure(path: &Path) -> [Growth; 2] {
    // Excludes the memory that reading the figures itself needs.
    let _ = now();
    let start = now();
    let model = Mapped::open(path).unwrap();
    let opened = since(start);
    let start = now();
    let mut session = model.session(EngineChoice::Tealight).unwrap();
    session.input(0).unwrap().copy_from(&[7i32]).unwrap();
    session.run();
    assert!(session.output(0).unwrap().as_slice::<f32>().unwrap().iter().any(|x| *x != 0.0));
    [opened, since(start)]
}

/// Prints the results of [`measure`] from a new process.
pub fn print(growth: [Growth; 2]) {
    let [a, b] = growth;
    println!("measured {} {} {} {} {} {}", a.own, a.file, a.faults, b.own, b.file, b.faults);
}

/// Runs a new process that measures, and returns its results.
pub fn measured_by(command: &mut Command) -> [Growth; 2] {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // On the same line, the name of a test may come first.
    let figures = text.split_once("measured ").unwrap_or_else(|| panic!("it said {text}")).1.lines().next().unwrap();
    let figures: Vec<i64> = figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    let [a, b, c, d, e, f] = figures[..] else { panic!("it said {text}") };
    [Growth { own: a, file: b, faults: c }, Growth { own: d, file: e, faults: f }]
}
