//! The compiler from trained int8 networks (`.tflite`) to Tealight model files.
//!
//! ```no_run
//! use tealight_compiler::{Options, compile_tflite, write_file};
//!
//! let source = std::fs::read("kws.tflite")?;
//! let compiled = compile_tflite(&source, &Options::default())?;
//! println!("needs {} bytes of memory", compiled.report.arena_len);
//! write_file("kws.safetensors".as_ref(), &compiled.bytes)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cut;
mod error;
pub mod graph;
mod lower;
mod names;
mod pass;
mod plan;
#[cfg(test)]
mod testing;
pub mod tflite;
mod write;

pub use error::{CompileError, Site};

use error::Result;
use graph::Graph;
use std::io::{self, Write as _};
use std::path::Path;

/// What a compilation is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model's name, kept in the file; `model` if none.
    pub name: Option<String>,
    /// Names of the classes that the output speaks of, kept in the file.
    pub labels: Vec<String>,
    /// Keep views that nothing reads as values, so that each source tensor whose bytes exist is in
    /// [`Compiled::tensors`].
    pub keep_tensor_map: bool,
}

/// A compiled network.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The model file.
    pub bytes: Vec<u8>,
    /// What the compiler did and reached.
    pub report: Report,
    /// (tensor of the source's main graph, value of the plan) for each tensor that still exists as a value.
    pub tensors: Vec<(usize, usize)>,
}

/// What a compilation did and reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of memory that a session needs: state, activations, scratch.
    pub arena_len: u32,
    /// How many of them are streaming state.
    pub state_len: u32,
    /// The most bytes that are alive at one operator: no plan without overlap needs less.
    pub lower_bound: u32,
    /// What placing the largest tensors first, without overlap, would need.
    pub greedy_by_size: u32,
    /// Operators whose output runs over their input.
    pub overlaps: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of the constants, before padding.
    pub weights_bytes: u64,
    /// Bytes of the plan.
    pub plan_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Each pass and what it did.
    pub passes: Vec<(String, String)>,
}

/// Compiles a TensorFlow Lite file.
///
/// # Errors
/// [`CompileError`] says what in the file cannot be compiled and where. No bytes make it panic.
pub fn compile_tflite(bytes: &[u8], options: &Options) -> Result<Compiled> {
    compile_tflite_with(bytes, options, &mut |_, _| {})
}

/// [`compile_tflite`], showing the graph after each pass: the observer is given the pass's name and the graph, which
/// displays itself as text.
///
/// # Errors
/// As [`compile_tflite`].
pub fn compile_tflite_with(
    bytes: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    let mut report = Report::default();
    let graph = tflite::import(bytes)?;
    let sources = graph.tensors.len();
    let mut observe = |name: &str, graph: &Graph, before: usize| {
        observer(name, graph);
        let what = format!("{before} nodes to {}", graph.nodes.len());
        report.passes.push((name.to_string(), what));
    };
    observe("import", &graph, graph.nodes.len());
    type Pass = fn(Graph) -> Result<Graph>;
    let passes: [(&str, Pass); 10] = [
        ("variables", pass::variables::resolve),
        ("fold", pass::fold::fold),
        ("dead", |graph| Ok(pass::dead::remove_dead(graph))),
        ("fuse_pad", pass::fuse_pad::fuse_pad),
        ("elide", pass::elide::elide),
        ("lower", lower::lower),
        ("fuse_lookup", |graph| Ok(pass::fuse_lookup::fuse_lookup(graph))),
        ("read_in_place", |graph| Ok(pass::read_in_place::read_in_place(graph))),
        ("outputs", |graph| Ok(pass::interface::separate_outputs(graph))),
        ("dead", |graph| Ok(pass::dead::remove_dead(graph))),
    ];
    let graph = passes.into_iter().try_fold(graph, |graph, (name, pass)| {
        let before = graph.nodes.len();
        let graph = pass(graph)?;
        observe(name, &graph, before);
        Ok(graph)
    })?;
    let works = lower::check(&graph)?;
    let (graph, works, plan) = plan::plan_best(graph, &works)?;
    observe("order", &graph, graph.nodes.len());
    let written = write::write(&graph, &works, &plan, bytes, options)?;
    report.arena_len = plan.arena_len;
    report.state_len = plan.state_len;
    report.lower_bound = plan.lower_bound;
    report.greedy_by_size = plan.greedy_by_size;
    report.overlaps = plan.scratch.iter().flatten().count();
    report.macs = macs(&graph, &works);
    report.weights_bytes = written.weights_bytes;
    report.plan_bytes = written.plan_bytes;
    report.file_bytes = written.bytes.len() as u64;
    let tensors = written.tensors.into_iter().filter(|&(tensor, _)| tensor < sources).collect();
    Ok(Compiled { bytes: written.bytes, report, tensors })
}

fn macs(graph: &Graph, works: &[tealight_format::Work]) -> u64 {
    let macs = graph.nodes.iter().zip(works).map(|(node, work)| match &node.op {
        graph::Op::Kernel(operator) => operator.macs(work),
        graph::Op::Tflite(_) => 0,
    });
    macs.fold(0, u64::saturating_add)
}

/// Writes a file whole or not at all: to a temporary file beside it, which then takes its name.
///
/// # Errors
/// Those of the file system.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
