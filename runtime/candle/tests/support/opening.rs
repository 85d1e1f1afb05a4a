//! What opening a model and running it once brings into memory.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // the test and the example each use some of it

use std::path::Path;
use std::process::Command;
use tealight_candle::{EngineChoice, Mapped};
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::{F32, I32, U8};
use tealight_format::Operator;
use tealight_format::ops::{BlockType, FullyConnectedBlock, GatherBlock};

/// Elements of a row of the table.
const DEPTH: u32 = 256;
/// Bytes of a row in Q8_0.
const ROW: u32 = DEPTH / 32 * 34;
/// Outputs of the layer behind the table.
const OUTPUTS: u32 = 64;

/// Writes a model with weights of about `megabytes`: a table of blocks, of which an inference reads one row, and a small
/// layer behind it. This is how an embedding is read.
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
    let layer = FullyConnectedBlock { block, activation: [f32::NEG_INFINITY, f32::INFINITY] };
    let inputs = [Some(x), Some(weights), None];
    let y = b.op("y", Operator::FullyConnectedBlock(layer), inputs, F32, &[1, OUTPUTS]);
    b.output(y);
    let compiled = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap();
    std::fs::write(path, compiled.bytes).unwrap();
}

/// What a step brought into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Resident memory of the process's own, in KiB.
    pub own: i64,
    /// Resident memory that is pages of files, in KiB.
    pub file: i64,
    /// Page faults that needed no reading from the disk.
    pub faults: i64,
}

/// What the process has in memory.
fn now() -> Growth {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |key: &str| -> i64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap()
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // proc(5): minflt is field 10, the eighth behind the name, which is in parentheses.
    let faults = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(7).unwrap().parse().unwrap();
    // Pages of a file on tmpfs count as shared memory.
    Growth { own: kib("RssAnon:"), file: kib("RssFile:") + kib("RssShmem:"), faults }
}

fn since(before: Growth) -> Growth {
    let now = now();
    Growth { own: now.own - before.own, file: now.file - before.file, faults: now.faults - before.faults }
}

/// What opening the file, and then a session with its first output, brought into memory. The process should have done nothing
/// before.
pub fn measure(path: &Path) -> [Growth; 2] {
    // What reading the figures itself needs.
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

/// What a fresh process prints after [`measure`].
pub fn print(growth: [Growth; 2]) {
    let [a, b] = growth;
    println!("measured {} {} {} {} {} {}", a.own, a.file, a.faults, b.own, b.file, b.faults);
}

/// Lets a fresh process measure.
pub fn measured_by(command: &mut Command) -> [Growth; 2] {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // A test's name may stand before it on the line.
    let figures = text.split_once("measured ").unwrap_or_else(|| panic!("it said {text}")).1.lines().next().unwrap();
    let figures: Vec<i64> = figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    let [a, b, c, d, e, f] = figures[..] else { panic!("it said {text}") };
    [Growth { own: a, file: b, faults: c }, Growth { own: d, file: e, faults: f }]
}
