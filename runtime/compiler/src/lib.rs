//! From a trained network to a Tealight model file: `.tflite` (int8 or float32), or a float network to be quantized.
//!
//! The result is one ordinary safetensors file that a session runs in place, and whose memory is planned to the byte.
//! Numbers do not change: a compiled int8 network gives the bytes that TensorFlow Lite Micro's reference kernels give. Sums
//! of floats are added in another order, so a float network gives theirs but for last bits.
//!
//! ```
//! use tealight_compiler::{Options, compile_tflite};
//!
//! // A network that is one Relu, on three int8 numbers.
//! let source = include_bytes!("../tests/relu.tflite");
//! let compiled = compile_tflite(source, &Options { name: Some("relu".into()), ..Options::default() })?;
//!
//! let model = tealight_format::Model::parse(&compiled.bytes)?;
//! assert_eq!(model.metadata("name"), Some("relu"));
//! assert_eq!(model.arena_len(), compiled.report.arena_len as usize);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Passes
//!
//! A network is a [`graph::Graph`] from the first pass to the last but one; [`builder`] makes one of other origin.
//! [`compile_tflite_with`] shows it after each. A float network, from a `.tflite` file or traced from a framework's model, is
//! quantized to such a graph ([`quantize`]) in the place of `import`.
//!
//! | pass | what it does |
//! |---|---|
//! | `import` | verifies the file and reads it, every index checked |
//! | `variables` | variables become state, what fills them becomes their first content |
//! | `requantize` | codes that are copied to a tensor of another scale are converted |
//! | `fold` | computes what is constant: arithmetic on shapes, reshaped or converted constants |
//! | `dead` | removes what nobody reads |
//! | `fuse_pad` | a border of zeros becomes the padding of the convolution after it |
//! | `elide` | reshapes become views |
//! | `lower` | TensorFlow Lite's operators become the model file's, with their quantized parameters |
//! | `store` | weights of float layers become f16 or blocks, where that is asked for |
//! | `fuse_lookup` | tables are composed, or become the activation of the operator before them |
//! | `read_in_place` | state is read where it lies when nothing assigns it first |
//! | `outputs` | every output gets memory of its own |
//! | `order` | the order of the operators, and the place of every tensor |
//!
//! # Memory
//!
//! An operator that walks its input row by row no longer needs a row once it is past it, so its output may lie over an
//! input that dies with it, at a distance that [`tealight_format::RowAccess`] gives. The planner decides for each
//! operator whether to use that, and searches for a placement of all tensors with a low peak. [`Report`] sets what it
//! reached beside what is possible without overlap.
//!
//! # What is refused
//!
//! An operator or type that cannot be compiled is an error that names the node and says what would be accepted
//! ([`CompileError`]); all of them are listed at once, and nothing is dropped or approximated. [`OPERATORS`] lists what is
//! compiled. A layer is int8 or float32 as a whole: one with float inputs and int8 weights, or with other types, is refused.
//!
//! A file of another kind is named ([`kind_of`]). A dynamic dimension of an input is refused, but for a batch that all inputs
//! have, which is taken as 1 ([`Report::notes`]).
//!
//! # Scales
//!
//! A tensor's scale and zero point are what its codes mean. Where TensorFlow Lite Micro computes with scales that differ, the
//! result is its bytes; where it refuses, or copies codes from one scale to another, the result is what the stated scales
//! give, or an error that names them. Where its bytes are not what the scales say (a RELU6 between two scales, the bias of
//! a convolution in another scale than its sums), [`Report::notes`] tells.
//!
//! # Limits
//!
//! A file may come from anyone, so what it states costs nothing by itself. Time and memory of a compilation are in proportion
//! to the file, and a file that asks for more is refused:
//!
//! | what | bound |
//! |---|---|
//! | the file's bytes | held once; constants are ranges of it, and equal ranges are one, also in the file that is written |
//! | tensors, nodes of a `.tflite` file | 262,144 each; more dimensions than 32 and longer names than 1 KiB are refused or cut |
//! | counts and lengths in a GGUF file | the bytes that are left, before anything is made of them |
//! | what is computed beforehand, tables, and constants as they are written | [`Options::max_memory`]: eight times what the network's constants take, at least 64 MiB |
//! | passes | in proportion to tensors, nodes and their inputs; weights that layers share are read once |
//! | what calibration and evaluation run a network in, and constants that several layers read, counted for each of them | [`Options::max_memory`]: eight times what the network's constants take, at least 512 MiB |
//! | operators, inputs, outputs, tensors of a model | 65,534 each |
//! | the plan of memory | an effort that is counted, and at most four million pairs of tensors that are alive together |

pub mod builder;
mod bytes;
mod cut;
mod error;
pub mod evaluate;
pub mod gguf;
pub mod graph;
mod kind;
mod limit;
mod lower;
mod names;
mod output_file;
mod pass;
mod plan;
pub mod quantize;
mod session;
mod store;
#[cfg(test)]
mod testing;
pub mod tflite;
mod vocabulary;
mod write;

pub use error::{CompileError, Finding, Site, Unsupported};
pub use kind::{FileKind, kind_of, kind_of_folder};
pub use lower::OPERATORS;
pub use output_file::{OutputFile, remove_unfinished, write_file};
pub use store::WeightType;
pub use tealight_format::ops::BlockType;
pub use vocabulary::{Bpe, Vocabulary};

use error::Result;
use graph::Graph;
use limit::Limit;
use std::cell::RefCell;
use tealight_format::Work;

/// What a compilation is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model's name, kept in the file; `model` if none.
    pub name: Option<String>,
    /// Names of the classes that the output speaks of, kept in the file.
    pub labels: Vec<String>,
    /// What makes the input out of what a sensor gives, kept in the file (`tealight_audio::LOG_MEL`); nothing if none.
    pub front_end: Option<String>,
    /// Keep views that nothing reads as values, so that each source tensor whose bytes exist is in
    /// [`Compiled::tensors`].
    pub keep_tensor_map: bool,
    /// Constants keep the names that the source gives them, but for characters that a file's header cannot hold; else they
    /// get short ones made from what converters leave behind.
    pub keep_names: bool,
    /// Store the weights of float32 fully connected layers, and tables that rows are gathered from, in blocks of this
    /// type, where their rows are whole blocks.
    pub quantize: Option<BlockType>,
    /// The tokenizer of a language model, kept in the file.
    pub vocabulary: Option<Vocabulary>,
    /// Store the weights of other float32 layers as f16, where all of them are in its range: of convolutions, fully
    /// connected and recurrent layers.
    pub f16: bool,
    /// Types for the weights of single float32 layers, by name; the last that fits a layer counts. A name may hold `*` (any
    /// characters) and `?` (any one); it then speaks of the layers that can have the type.
    pub layers: Vec<(String, WeightType)>,
    /// The most bytes that compiling may make of the network: constants that are computed beforehand, tables, and all
    /// constants of the file that is written. Eight times what the network's own constants take, and at least 64 MiB, if not
    /// given: more is needed by files that were made to do harm, rarely by others. Calibration takes as much again to run the
    /// network in; at least 512 MiB, if not given.
    pub max_memory: Option<u64>,
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
    /// What became of the weights that [`Options::quantize`], [`Options::f16`] and [`Options::layers`] ask about.
    pub quantized: Vec<String>,
    /// Each pass and what it did.
    pub passes: Vec<(String, String)>,
    /// What the user should know about how the source was read and taken, a sentence each.
    pub notes: Vec<String>,
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
    compile_graph(tflite::import(bytes)?, "import", bytes, options, observer)
}

/// Reads a TensorFlow Lite file, as the first pass of [`compile_tflite`] does.
///
/// # Errors
/// As [`compile_tflite`].
pub fn import_tflite(bytes: &[u8]) -> Result<Graph> {
    tflite::import(bytes)
}

/// Compiles a graph of TensorFlow Lite's operators, which the pass `origin` made from the file `source`.
fn compile_graph(
    graph: Graph,
    origin: &str,
    source: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    compile_as(graph, origin, source, options, observer, plan::plan_best, usize::MAX)
}

/// A way of planning memory: gives the graph in the order that was planned for, with the works of its nodes.
type Planner = fn(Graph, &[Work]) -> Result<(Graph, Vec<Work>, plan::MemoryPlan)>;

/// Compiles a graph. Passes leave all of its outputs as they are, but only the first `outputs` of them are the model's.
fn compile_as(
    graph: Graph,
    origin: &str,
    source: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
    planner: Planner,
    outputs: usize,
) -> Result<Compiled> {
    let limit = Limit::of(&graph, options);
    let mut report = Report::default();
    let sources = graph.tensors.len();
    let mut observe = |name: &str, graph: &Graph, before: usize| {
        observer(name, graph);
        let what = format!("{before} nodes to {}", graph.nodes.len());
        report.passes.push((name.to_string(), what));
    };
    observe(origin, &graph, graph.nodes.len());
    type Pass<'a> = &'a dyn Fn(Graph) -> Result<Graph>;
    let quantized = RefCell::new(Vec::new());
    let passes: [(&str, Pass<'_>); 12] = [
        ("variables", &|graph| pass::variables::resolve(graph, &limit)),
        ("requantize", &pass::requantize::requantize),
        ("fold", &|graph| pass::fold::fold(graph, &limit)),
        ("dead", &|graph| lower::refuse_unknown(pass::dead::remove_dead(graph), &limit)),
        ("fuse_pad", &pass::fuse_pad::fuse_pad),
        ("elide", &pass::elide::elide),
        ("lower", &|graph| {
            // Lowering reads all weights.
            limit.check_constants(&graph)?;
            lower::lower(graph, &limit)
        }),
        ("store", &|graph| store::store(graph, options, &[], &mut quantized.borrow_mut())),
        ("fuse_lookup", &|graph| Ok(pass::fuse_lookup::fuse_lookup(graph))),
        ("read_in_place", &|graph| Ok(pass::read_in_place::read_in_place(graph))),
        ("outputs", &|mut graph| {
            graph.outputs.truncate(outputs);
            Ok(pass::interface::separate_outputs(graph))
        }),
        ("dead", &|graph| Ok(pass::dead::remove_dead(graph))),
    ];
    let graph = passes.into_iter().try_fold(graph, |graph, (name, pass)| {
        let before = graph.nodes.len();
        let graph = pass(graph)?;
        observe(name, &graph, before);
        Ok::<_, CompileError>(graph)
    })?;
    let works = lower::check(&graph)?;
    limit.check_constants(&graph)?;
    write::check_counts(&graph)?;
    let (graph, works, plan) = planner(graph, &works)?;
    observe("order", &graph, graph.nodes.len());
    let written = write::write(&graph, &works, &plan, source, options)?;
    report.notes.clone_from(&graph.notes);
    report.arena_len = plan.arena_len;
    report.state_len = plan.state_len;
    report.lower_bound = plan.lower_bound;
    report.greedy_by_size = plan.greedy_by_size;
    report.overlaps = plan.overlaps;
    report.macs = works.iter().fold(0, |macs, work| macs.saturating_add(work.macs));
    report.quantized = quantized.take();
    report.weights_bytes = written.weights_bytes;
    report.plan_bytes = written.plan_bytes;
    report.file_bytes = written.bytes.len() as u64;
    let tensors = written.tensors.into_iter().filter(|&(tensor, _)| tensor < sources).collect();
    Ok(Compiled { bytes: written.bytes, report, tensors })
}

/// Compiles a graph that is only run to be measured, with the tensor map: its memory is placed fast, not well.
pub(crate) fn compile_to_measure(graph: Graph, options: &Options) -> Result<Compiled> {
    let options = Options { keep_tensor_map: true, ..options.clone() };
    compile_as(graph, "measure", b"", &options, &mut |_, _| {}, plan::plan_fast, usize::MAX)
}

/// As [`compile_to_measure`], so that each of the tensors `watched`, which lead to the graph's outputs, can be read after the
/// operator that writes it. They are no outputs of the model: of those a model has few at a time.
pub(crate) fn compile_to_watch(mut graph: Graph, watched: &[graph::TensorId], options: &Options) -> Result<Compiled> {
    let options = Options { keep_tensor_map: true, ..options.clone() };
    let outputs = graph.outputs.len();
    graph.outputs.extend(watched);
    compile_as(graph, "watch", b"", &options, &mut |_, _| {}, plan::plan_fast, outputs)
}

/// A graph after the pass `lower`.
pub(crate) fn lowered(graph: Graph, options: &Options) -> Result<Graph> {
    let limit = Limit::of(&graph, options);
    let graph = pass::requantize::requantize(pass::variables::resolve(graph, &limit)?)?;
    let graph = lower::refuse_unknown(pass::dead::remove_dead(pass::fold::fold(graph, &limit)?), &limit)?;
    let graph = pass::elide::elide(pass::fuse_pad::fuse_pad(graph)?)?;
    limit.check_constants(&graph)?;
    lower::lower(graph, &limit)
}
