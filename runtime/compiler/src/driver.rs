//! From a graph to a model file: the list of passes, and the public entry points.

use crate::diag::{CompileError, Result};
use crate::import::{self, gguf::GgufOptions};
use crate::ir::Op;
use crate::ir::check::{check, check_constants};
use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use crate::kind::{FileKind, kind_of};
use crate::limit::Limit;
use crate::options::Options;
use crate::plan::Grouping;
use crate::target::Target;
use crate::write::{self, Planned};
use crate::{lower, pass, plan, store};
use std::cell::RefCell;
use tealight_format::Work;

/// A compiled network.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The model file.
    pub bytes: Vec<u8>,
    /// What the compiler did, with the sizes of the result.
    pub report: Report,
    /// (tensor of the source's main graph, value of the plan) for each tensor that still exists as a value.
    pub tensors: Vec<(usize, usize)>,
}

/// What a compilation did, with the sizes of its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of memory that a session needs: state, activations and scratch.
    pub arena_len: u32,
    /// The same for the plan that reads several tokens of a language model at a time, if there is one.
    pub batch_arena_len: Option<u32>,
    /// Bytes of `arena_len` that are streaming state.
    pub state_len: u32,
    /// Maximum of the bytes that are live at one operator: no plan without overlap needs less.
    pub lower_bound: u32,
    /// Bytes that placing the largest tensors first, without overlap, would need.
    pub greedy_by_size: u32,
    /// Number of operators whose output overlaps their input.
    pub overlaps: usize,
    /// The groups of operators that run together, a few rows of each in a pass.
    pub groups: Vec<InPasses>,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// Bytes of the constants, before padding.
    pub weights_bytes: u64,
    /// Bytes of the plan, or of both.
    pub plan_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// How the weights that [`Options::quantize`], [`Options::f16`] and [`Options::layers`] select were stored.
    pub quantized: Vec<String>,
    /// Each pass and what it did, in order.
    pub passes: Vec<(String, String)>,
    /// What the user should know about how the source was interpreted, one sentence each.
    pub notes: Vec<String>,
}

/// A group of operators that run together in passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPasses {
    /// Index of the first operator.
    pub first: usize,
    /// Index of the last operator.
    pub last: usize,
    /// The number of passes.
    pub passes: u64,
    /// The maximum of the cost that this adds to an inference, in units of [`tealight_format::Work`].
    pub cost: u64,
}

impl InPasses {
    fn of(group: &Grouping) -> Self {
        Self { first: group.first, last: group.last, passes: group.passes(), cost: group.cost }
    }
}

/// Compiles a TensorFlow Lite file.
///
/// # Errors
/// [`CompileError`] reports what in the file cannot be compiled and where. No bytes make it panic.
pub fn compile_tflite(bytes: &[u8], options: &Options) -> Result<Compiled> {
    compile_tflite_with(bytes, options, &mut |_, _| {})
}

/// [`compile_tflite`] with an observer, which is called after each pass with the pass's name and the graph. The graph
/// displays itself as text.
///
/// # Errors
/// As [`compile_tflite`].
pub fn compile_tflite_with(
    bytes: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    compile_graph(read_tflite(bytes, options)?, "import", bytes, options, observer)
}

/// Reads a TensorFlow Lite file, as the first pass of [`compile_tflite`] does.
///
/// # Errors
/// As [`compile_tflite`].
pub fn import_tflite(bytes: &[u8]) -> Result<Graph> {
    read_tflite(bytes, &Options::default())
}

/// Reads a TensorFlow Lite file with the shapes, values and outputs that the options give.
fn read_tflite(bytes: &[u8], options: &Options) -> Result<Graph> {
    let mut graph = import::tflite::import(bytes, options)?;
    let limit = Limit::of(&graph, options);
    graph = if options.input_shapes.is_empty() && options.input_values.is_empty() && options.outputs.is_empty() {
        pass::shapes::decide(graph, &limit)?
    } else {
        pass::shapes::infer(pass::dead::remove_dead(graph), &limit)?
    };
    import::tflite::to_int8(&mut graph, &limit)?;
    Ok(graph)
}

/// Compiles an ONNX file.
///
/// # Errors
/// [`CompileError`] reports what in the file cannot be compiled and where. No bytes make it panic.
pub fn compile_onnx(bytes: &[u8], options: &Options) -> Result<Compiled> {
    compile_graph(import_onnx(bytes, options)?, "import", bytes, options, &mut |_, _| {})
}

/// Reads an ONNX file, as the first pass of [`compile_onnx`] does. Its images are NHWC in the graph.
///
/// # Errors
/// As [`compile_onnx`].
pub fn import_onnx(bytes: &[u8], options: &Options) -> Result<Graph> {
    let limit = Limit::new(bytes.len() as u64, options);
    import::onnx::import(bytes, options, &limit)
}

/// Returns the names of the ONNX operators that can be compiled, as text: a line for each kind.
pub fn onnx_operators() -> String {
    import::onnx::names()
}

/// Compiles a TensorFlow Lite or ONNX file, whichever the bytes are.
///
/// # Errors
/// As [`compile_tflite`] and [`compile_onnx`].
pub fn compile_network(bytes: &[u8], options: &Options) -> Result<Compiled> {
    compile_network_with(bytes, options, &mut |_, _| {})
}

/// [`compile_network`], showing the graph after each pass, as [`compile_tflite_with`] does.
///
/// # Errors
/// As [`compile_network`].
pub fn compile_network_with(
    bytes: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    compile_graph(import_network(bytes, options)?, "import", bytes, options, observer)
}

/// Reads a TensorFlow Lite or ONNX file, whichever the bytes are.
///
/// # Errors
/// As [`compile_tflite`] and [`compile_onnx`].
pub fn import_network(bytes: &[u8], options: &Options) -> Result<Graph> {
    if kind_of(bytes) == FileKind::Onnx { import_onnx(bytes, options) } else { read_tflite(bytes, options) }
}

/// Compiles a graph of neutral operators, which the pass `origin` built from the file `source`.
pub(crate) fn compile_graph(
    graph: Graph,
    origin: &str,
    source: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    compile_as(graph, origin, source, options, observer, plan::plan_best, usize::MAX)
}

/// A memory planner: returns the graph in the order that was planned for, with the work of each node and the plan.
type Planner = fn(Graph, &[Work], plan::Wanted) -> Result<(Graph, Vec<Work>, plan::MemoryPlan)>;

/// Compiles a graph, of which the first `outputs` outputs become outputs of the model.
fn compile_as(
    graph: Graph,
    origin: &str,
    source: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
    planner: Planner,
    outputs: usize,
) -> Result<Compiled> {
    let sources = graph.tensors.len();
    let (planned, report) = planned(graph, origin, options, observer, planner, outputs)?;
    finish(&planned, None, report, sources, source, options)
}

/// Applies all passes to a graph, and plans its memory. Passes keep all of its outputs, but only the first `outputs` of
/// them become outputs of the model.
fn planned(
    graph: Graph,
    origin: &str,
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
    planner: Planner,
    outputs: usize,
) -> Result<(Planned, Report)> {
    let limit = Limit::of(&graph, options);
    let mut report = Report::default();
    let mut observe = |name: &str, graph: &Graph, before: usize| {
        observer(name, graph);
        let what = format!("{before} nodes to {}", graph.nodes.len());
        report.passes.push((name.to_string(), what));
    };
    observe(origin, &graph, graph.nodes.len());
    type Pass<'a> = &'a dyn Fn(Graph) -> Result<Graph>;
    let quantized = RefCell::new(Vec::new());
    let passes: [(&str, Pass<'_>); 15] = [
        ("variables", &|graph| pass::variables::resolve(graph, &limit)),
        ("fuse_dilation", &|graph| Ok(pass::fuse_dilation::fuse_dilation(graph))),
        ("requantize", &pass::requantize::requantize),
        ("fold", &|graph| pass::fold::fold(graph, &limit)),
        ("expand", &|graph| pass::expand::expand(graph, &limit)),
        ("dead", &|graph| refuse_unknown(pass::dead::remove_dead(graph), &limit)),
        ("fuse_pad", &pass::fuse_pad::fuse_pad),
        ("elide", &pass::elide::elide),
        ("lower", &|graph| {
            // Lowering reads all weights.
            limit.check_constants(&graph)?;
            lower::lower(graph, &limit)
        }),
        ("store", &|graph| store::store(graph, options, &[], &mut quantized.borrow_mut())),
        ("layout", &|graph| match options.target {
            Target::Any => Ok(graph),
            Target::ArmDsp => {
                let works = lower::check(&graph)?;
                Ok(pass::layout::pair_rows(graph, &works))
            }
        }),
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
    let (graph, works, plan) =
        planner(graph, &works, plan::Wanted { patch: options.patch, input_rows: options.input_rows })?;
    observe("order", &graph, graph.nodes.len());
    report.notes.clone_from(&graph.notes);
    report.arena_len = plan.arena_len;
    report.state_len = plan.state_len;
    report.lower_bound = plan.lower_bound;
    report.greedy_by_size = plan.greedy_by_size;
    report.overlaps = plan.overlaps;
    report.groups = plan.groups.iter().map(InPasses::of).collect();
    report.macs = works.iter().fold(0, |macs, work| macs.saturating_add(work.macs));
    report.quantized = quantized.take();
    Ok((Planned { graph, works, plan }, report))
}

/// Writes the file with the plan `first` and the second plan `batch`. The graph of the first had `sources` tensors before
/// all passes.
fn finish(
    first: &Planned,
    batch: Option<&Planned>,
    mut report: Report,
    sources: usize,
    source: &[u8],
    options: &Options,
) -> Result<Compiled> {
    let written = write::write(first, batch, source, options)?;
    report.weights_bytes = written.weights_bytes;
    report.plan_bytes = written.plan_bytes;
    report.file_bytes = written.bytes.len() as u64;
    let tensors = written.tensors.into_iter().filter(|&(tensor, _)| tensor < sources).collect();
    Ok(Compiled { bytes: written.bytes, report, tensors })
}

/// Compiles a graph that is only run to be measured, with the tensor map. Memory is placed by a fast method, not a
/// thorough one.
pub(crate) fn compile_to_measure(graph: Graph, options: &Options) -> Result<Compiled> {
    let options = Options { keep_tensor_map: true, ..options.clone() };
    compile_as(graph, "measure", b"", &options, &mut |_, _| {}, plan::plan_fast, usize::MAX)
}

/// Like [`compile_to_measure`], but each of the tensors `watched`, which lead to the graph's outputs, can be read after
/// the operator that writes it. They are not outputs of the model, which can have only a few at a time.
pub(crate) fn compile_to_watch(mut graph: Graph, watched: &[TensorId], options: &Options) -> Result<Compiled> {
    let options = Options { keep_tensor_map: true, ..options.clone() };
    let outputs = graph.outputs.len();
    graph.outputs.extend(watched);
    compile_as(graph, "watch", b"", &options, &mut |_, _| {}, plan::plan_fast, outputs)
}

/// Compiles a graph that may contain both operators of the model file and neutral ones. Constants keep their names.
///
/// `source` is the file that the graph came from; its hash is kept in the model file.
///
/// # Errors
/// [`CompileError`] names the node that breaks its operator's rule (nodes count in the order in which they were added),
/// or what is too large.
pub fn compile_kernel_graph(graph: Graph, source: &[u8], options: &Options) -> Result<Compiled> {
    compile_kernel_graph_with(graph, source, options, &mut |_, _| {})
}

/// [`compile_kernel_graph`], showing the graph after each pass, as [`compile_tflite_with`] does.
///
/// # Errors
/// As [`compile_kernel_graph`].
pub fn compile_kernel_graph_with(
    graph: Graph,
    source: &[u8],
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    check(&graph)?;
    check_constants(&graph)?;
    compile_graph(graph, "build", source, &Options { keep_names: true, ..options.clone() }, observer)
}

/// Compiles the language model in a GGUF file, with its tokenizer. The compiled model takes one token and returns the
/// scores of the next; its state holds the tokens so far.
///
/// # Errors
/// [`CompileError`] reports what in the file cannot be compiled and where. No bytes make it panic.
pub fn compile_gguf(bytes: &[u8], gguf: &GgufOptions, options: &Options) -> Result<Compiled> {
    compile_gguf_with(bytes, gguf, options, &mut |_, _| {})
}

/// [`compile_gguf`], showing the graph after each pass, as [`compile_tflite_with`] does.
///
/// # Errors
/// As [`compile_gguf`].
pub fn compile_gguf_with(
    bytes: &[u8],
    gguf: &GgufOptions,
    options: &Options,
    observer: &mut dyn FnMut(&str, &Graph),
) -> Result<Compiled> {
    let limit = Limit::new(bytes.len() as u64, options);
    let import::gguf::Imported { graph, batch, vocabulary } = import::gguf::import(bytes, gguf, &limit)?;
    let options = Options { vocabulary: Some(vocabulary), keep_names: true, ..options.clone() };
    let plan = |graph: Graph, observer: &mut dyn FnMut(&str, &Graph)| {
        check(&graph)?;
        check_constants(&graph)?;
        planned(graph, "build", &options, observer, plan::plan_best, usize::MAX)
    };
    let sources = graph.tensors.len();
    let (first, mut report) = plan(graph, observer)?;
    let batch = batch.map(|graph| plan(graph, &mut |_, _| {})).transpose()?;
    report.batch_arena_len = batch.as_ref().map(|(_, report)| report.arena_len);
    finish(&first, batch.as_ref().map(|(batch, _)| batch), report, sources, bytes, &options)
}

/// Refuses a graph with unknown operators, before other passes report errors that merely follow from them. Lowering
/// then lists everything else that is not supported along with them.
fn refuse_unknown(graph: Graph, limit: &Limit) -> Result<Graph> {
    let is_unknown = |node: &Node| matches!(node.op, NodeOp::Ir(Op::Unknown { .. }));
    if graph.nodes.iter().any(is_unknown) {
        let viewed = pass::fuse_pad::fuse_pad(graph.clone()).and_then(pass::elide::elide);
        let graph = viewed.unwrap_or(graph);
        // Lowering reads all weights.
        limit.check_constants(&graph)?;
        return lower::lower(graph, limit);
    }
    Ok(graph)
}

/// A graph after the pass `lower`.
pub(crate) fn lowered(graph: Graph, options: &Options) -> Result<Graph> {
    let limit = Limit::of(&graph, options);
    let graph = pass::fuse_dilation::fuse_dilation(pass::variables::resolve(graph, &limit)?);
    let graph = pass::requantize::requantize(graph)?;
    let graph = pass::expand::expand(pass::fold::fold(graph, &limit)?, &limit)?;
    let graph = refuse_unknown(pass::dead::remove_dead(graph), &limit)?;
    let graph = pass::elide::elide(pass::fuse_pad::fuse_pad(graph)?)?;
    limit.check_constants(&graph)?;
    lower::lower(graph, &limit)
}
