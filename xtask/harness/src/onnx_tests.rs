//! `cargo xtask onnx-tests`: runs ONNX's own node tests, and compares what becomes of them with what is expected.
//!
//! The tests are those of Debian's package `libonnx-testdata`: a folder each, with a network of one node and recorded
//! inputs and outputs. Many give as an input what networks have as a constant (a shape, axes, weights). A test that is
//! refused as it is, is therefore tried again with its inputs that are no floats as constants, then with all inputs but
//! the first as constants. Where that makes all inputs constants, the result is computed when the network is compiled,
//! and is counted apart.
//!
//! `tests/golden/onnx-node-tests.txt` lists what becomes of each test; `--renew` writes it.

use crate::context::root;
use anyhow::{Context, Result, bail};
use rten_onnx::onnx::{DataType, ModelProto, TensorProto, ValueInfoProto};
use rten_onnx::protobuf::{DecodeMessage, ValueReader};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use tealight::OwnedSession;
use tealight_compiler::{CompileError, Compiled, OnnxError, Options, compile_onnx};
use tealight_format::{DType, Model, Value};
use tealight_kernels::float::f16;
use tealight_testing::onnx::nhwc;

/// Where Debian's package has the tests.
const FOLDER: &str = "/usr/share/libonnx-testdata/data/node";

/// What is expected of each test: a line with its name and the outcome.
const EXPECTED: &str = "tests/golden/onnx-node-tests.txt";

/// How far an element may be from the recorded one, relative to it and to 1: what ONNX's own runner allows.
const TOLERANCE: f32 = 1e-3;

/// The options of the command.
#[derive(Debug, clap::Args)]
pub struct OnnxTestsArgs {
    /// The folder with the tests
    #[arg(default_value = FOLDER)]
    folder: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Write what becomes of each test as what is expected
    #[arg(long)]
    renew: bool,
}

/// What became of the tests.
#[derive(Debug, Default, Serialize)]
struct Summary {
    tests: usize,
    passed: usize,
    /// Of these, those with some inputs that were made constants.
    passed_with_constants: usize,
    /// Of these, those whose inputs all were, so that the compiler computed the result.
    passed_when_compiled: usize,
    /// How many are refused, by kind of reason.
    refused: BTreeMap<&'static str, usize>,
    /// The refused ones, by reason.
    reasons: BTreeMap<String, Vec<String>>,
    /// Those with a wrong result.
    wrong: BTreeMap<String, String>,
    /// Those that do not end as expected: what was expected, and what was found.
    unexpected: BTreeMap<String, [String; 2]>,
}

/// Kinds of reasons, each with words of the operators or messages that belong to it. The first that fits counts.
const KINDS: [(&str, &[&str]); 9] = [
    (
        "training",
        &[
            "Adagrad",
            "Adam",
            "Momentum",
            "NegativeLogLikelihoodLoss",
            "SoftmaxCrossEntropyLoss",
            "training",
            "evaluation mode",
            "version 0 of",
        ],
    ),
    ("random numbers", &["Random", "Bernoulli"]),
    ("strings", &["string", "StringNormalizer", "TfIdf"]),
    ("sequences, maps and optional values", &["no tensors", "Sequence", "Optional", "sequence or map"]),
    ("control flow that is not known before", &["Loop", "Scan", "If "]),
    ("results of unknown size", &["NonMaxSuppression", "NonZero", "Unique"]),
    ("shapes", &["dynamic", "dimensions, none of them 0", "dimensions", "with elements"]),
    ("types", &["is uint", "is float64", "is bfloat16", "float types", "integers", "int8", "int32", "int64", "bool"]),
    ("operators", &[]),
];

/// Returns the kind of a reason.
fn kind(reason: &str) -> &'static str {
    let fits = |(_, words): &&(&str, &[&str])| words.is_empty() || words.iter().any(|word| reason.contains(word));
    KINDS.iter().find(fits).map_or("operators", |(kind, _)| kind)
}

/// Runs the command.
///
/// # Errors
/// There are no tests, or one of them has a wrong result or does not end as expected.
pub fn run(args: &OnnxTestsArgs) -> Result<()> {
    let entries = std::fs::read_dir(&args.folder).with_context(|| {
        format!("cannot read `{}`; `apt-get install libonnx-testdata` has the tests", args.folder.display())
    })?;
    let mut folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|folder| folder.join("model.onnx").exists());
    folders.sort();
    let mut summary = Summary { tests: folders.len(), ..Summary::default() };
    let mut found = BTreeMap::new();
    for folder in &folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let outcome = test(folder).with_context(|| name.clone())?;
        found.insert(name.clone(), outcome.text());
        match outcome {
            Outcome::Passed { constants, inputs } => {
                summary.passed += 1;
                summary.passed_with_constants += usize::from(constants > 0 && constants < inputs);
                summary.passed_when_compiled += usize::from(constants > 0 && constants == inputs);
            }
            Outcome::Refused(reason) => {
                *summary.refused.entry(kind(&reason)).or_default() += 1;
                summary.reasons.entry(reason).or_default().push(name);
            }
            Outcome::Wrong(what) => _ = summary.wrong.insert(name, what),
        }
    }
    let path = root().join(EXPECTED);
    if args.renew {
        let lines: String = found.iter().map(|(name, outcome)| format!("{name}: {outcome}\n")).collect();
        std::fs::write(&path, lines).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let expected = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let expected: BTreeMap<&str, &str> = expected.lines().filter_map(|line| line.split_once(": ")).collect();
    for (name, outcome) in &found {
        let wanted = expected.get(name.as_str()).copied().unwrap_or("nothing");
        if wanted != outcome {
            summary.unexpected.insert(name.clone(), [wanted.to_string(), outcome.clone()]);
        }
    }
    for (name, wanted) in expected.iter().filter(|(name, _)| !found.contains_key(**name)) {
        summary.unexpected.insert((*name).to_string(), [(*wanted).to_string(), "there is no such test".into()]);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print(&summary);
    }
    if summary.tests == 0 || !summary.wrong.is_empty() {
        bail!("{} of {} tests have wrong results", summary.wrong.len(), summary.tests);
    }
    if !summary.unexpected.is_empty() {
        bail!("{} tests do not end as `{EXPECTED}` says; `--renew` writes it", summary.unexpected.len());
    }
    Ok(())
}

/// Prints the result as tables.
fn print(summary: &Summary) {
    println!(
        "{} tests: {} passed ({} with inputs as constants, {} computed when compiled), {} refused, {} wrong",
        summary.tests,
        summary.passed,
        summary.passed_with_constants,
        summary.passed_when_compiled,
        summary.refused.values().sum::<usize>(),
        summary.wrong.len()
    );
    for (kind, _) in KINDS {
        println!("{:5}  {kind}", summary.refused.get(kind).copied().unwrap_or(0));
    }
    println!();
    let mut reasons: Vec<_> = summary.reasons.iter().collect();
    reasons.sort_by_key(|(_, tests)| std::cmp::Reverse(tests.len()));
    for (reason, tests) in reasons {
        println!("{:5}  {reason} ({})", tests.len(), tests[0]);
    }
    for (name, what) in &summary.wrong {
        println!("wrong: {name}: {what}");
    }
    for (name, [wanted, found]) in &summary.unexpected {
        println!("unexpected: {name}: {wanted} was expected, and it is {found}");
    }
}

enum Outcome {
    /// With so many of the inputs as constants.
    Passed {
        constants: usize,
        inputs: usize,
    },
    Refused(String),
    Wrong(String),
}

impl Outcome {
    /// Returns the outcome as it stands in the file of what is expected.
    fn text(&self) -> String {
        match self {
            Self::Passed { constants: 0, .. } => "passed".into(),
            Self::Passed { constants, inputs } if constants == inputs => "computed when compiled".into(),
            Self::Passed { .. } => "passed with inputs as constants".into(),
            Self::Refused(reason) => format!("refused for {}", kind(reason)),
            Self::Wrong(_) => "wrong".into(),
        }
    }
}

/// Reads the tensors `kind` of a test.
fn tensors(folder: &Path, kind: &str) -> Result<Vec<TensorProto>> {
    let mut list = Vec::new();
    for k in 0.. {
        let path = folder.join(format!("test_data_set_0/{kind}_{k}.pb"));
        if !path.exists() {
            break;
        }
        list.push(
            TensorProto::decode(ValueReader::from_buf(std::fs::read(path)?))
                .map_err(|error| anyhow::anyhow!("{error}"))?,
        );
    }
    Ok(list)
}

/// Gives tensors the type that the network states for them: bfloat16 is recorded as uint16.
fn stated(tensors: &mut [TensorProto], values: &[ValueInfoProto]) {
    for (tensor, value) in tensors.iter_mut().zip(values) {
        let of = value.r#type.as_ref().and_then(|of| of.tensor_type.as_ref()).and_then(|tensor| tensor.elem_type);
        if of == Some(DataType::BFLOAT16) && tensor.data_type == Some(DataType::UINT16) {
            tensor.data_type = of;
        }
    }
}

fn test(folder: &Path) -> Result<Outcome> {
    let bytes = std::fs::read(folder.join("model.onnx"))?;
    let Ok(mut inputs) = tensors(folder, "input") else {
        return Ok(Outcome::Refused("inputs that are no tensors".into()));
    };
    let Ok(mut outputs) = tensors(folder, "output") else {
        return Ok(Outcome::Refused("outputs that are no tensors".into()));
    };
    let graph = ModelProto::parse_buf(&bytes).map_err(|error| anyhow::anyhow!("{error}"))?.graph.unwrap_or_default();
    stated(&mut inputs, &graph.input);
    stated(&mut outputs, &graph.output);
    let is_float = |tensor: &TensorProto| {
        matches!(tensor.data_type, Some(DataType::FLOAT | DataType::FLOAT16 | DataType::BFLOAT16 | DataType::DOUBLE))
    };
    let all: HashSet<usize> = (0..inputs.len()).collect();
    let integers: HashSet<usize> = all.iter().copied().filter(|&k| !is_float(&inputs[k])).collect();
    let first = |k: usize| k == 0 && is_float(&inputs[k]);
    let others: HashSet<usize> = all.iter().copied().filter(|&k| !first(k)).collect();
    let trials = [HashSet::new(), integers, others];
    let mut refused = None;
    for constants in trials {
        let bytes = if constants.is_empty() { bytes.clone() } else { with_constants(&bytes, &inputs, &constants)? };
        let compiled = match compile_onnx(&bytes, &Options::default()) {
            Ok(compiled) => compiled,
            Err(CompileError::Internal(what)) => return Ok(Outcome::Wrong(what)),
            Err(error) => {
                refused.get_or_insert(reason(&error));
                continue;
            }
        };
        let inputs: Vec<&TensorProto> =
            inputs.iter().enumerate().filter(|(k, _)| !constants.contains(k)).map(|(_, input)| input).collect();
        return Ok(match compare(&compiled, &inputs, &outputs) {
            Ok(()) => Outcome::Passed { constants: constants.len(), inputs: all.len() },
            Err(what) => Outcome::Wrong(what),
        });
    }
    Ok(Outcome::Refused(refused.unwrap_or_default()))
}

/// Returns the reason of a refusal without what belongs to the single test.
fn reason(error: &CompileError) -> String {
    let text = error.to_string();
    match error {
        CompileError::UnsupportedOperator { .. } | CompileError::InvalidModel { .. } => {
            text.split_once(" (").map_or(text.clone(), |(_, rest)| rest.replacen(')', "", 1))
        }
        // The name of the input does not matter.
        CompileError::Onnx(OnnxError::Interface { what, .. }) => format!("an input or output that {what}"),
        _ => text.replace('\n', " "),
    }
}

/// Returns the network with some inputs as constants.
fn with_constants(bytes: &[u8], inputs: &[TensorProto], constants: &HashSet<usize>) -> Result<Vec<u8>> {
    let wrong = |error| anyhow::anyhow!("{error}");
    let mut model = ModelProto::parse_buf(bytes).map_err(wrong)?;
    if let Some(graph) = &mut model.graph {
        for &k in constants {
            let name = graph.input.get(k).and_then(|input| input.name.clone());
            graph.initializer.push(TensorProto { name, ..inputs[k].clone() });
        }
        let mut k = 0;
        graph.input.retain(|_| {
            k += 1;
            !constants.contains(&(k - 1))
        });
    }
    model.write_buf().map_err(wrong)
}

/// Returns the little-endian bytes of a tensor, of the types that models have: floats become float32, and integers of
/// more than 8 bits int32.
fn bytes_of(tensor: &TensorProto) -> Vec<u8> {
    let code = tensor.data_type.unwrap_or(DataType(0));
    let raw = |bytes: &[u8]| -> Vec<u8> {
        match code {
            DataType::FLOAT16 => {
                bytes.as_chunks().0.iter().flat_map(|half| f16::from_le_bytes(*half).to_f32().to_le_bytes()).collect()
            }
            DataType::BFLOAT16 => bytes.as_chunks::<2>().0.iter().flat_map(|half| [0, 0, half[0], half[1]]).collect(),
            DataType::DOUBLE => {
                bytes.as_chunks().0.iter().flat_map(|wide| (f64::from_le_bytes(*wide) as f32).to_le_bytes()).collect()
            }
            DataType::INT64 | DataType::UINT64 => {
                bytes.as_chunks::<8>().0.iter().flat_map(|long| [long[0], long[1], long[2], long[3]]).collect()
            }
            DataType::UINT16 => bytes.as_chunks::<2>().0.iter().flat_map(|short| [short[0], short[1], 0, 0]).collect(),
            _ => bytes.to_vec(),
        }
    };
    let words = || tensor.int32_data.iter();
    match &tensor.raw_data {
        Some(bytes) => raw(&bytes.borrow()),
        None => match code {
            DataType::FLOAT => tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            DataType::DOUBLE => tensor.double_data.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
            DataType::INT64 => tensor.int64_data.iter().flat_map(|value| (*value as i32).to_le_bytes()).collect(),
            DataType::FLOAT16 | DataType::BFLOAT16 => {
                raw(&words().flat_map(|word| (*word as u16).to_le_bytes()).collect::<Vec<_>>())
            }
            DataType::BOOL | DataType::UINT8 | DataType::INT8 => words().map(|word| *word as u8).collect(),
            _ => words().flat_map(|value| value.to_le_bytes()).collect(),
        },
    }
}

/// Returns the bytes of an ONNX tensor in the layout of the model: NCHW becomes NHWC.
fn laid_out(tensor: &TensorProto, value: Value) -> Option<Vec<u8>> {
    let bytes = bytes_of(tensor);
    let dims: Vec<usize> = (0..value.shape.rank()).map(|i| value.shape.dim(i) as usize).collect();
    let from: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
    let item = bytes.len().checked_div(dims.iter().product())?;
    if from == dims {
        return Some(bytes);
    }
    let &[n, c, h, w] = &from[..] else { return None };
    if dims != [n, h, w, c] {
        return None;
    }
    let elements: Option<Vec<&[u8]>> = nhwc([n, c, h, w]).map(|at| bytes.get(at * item..(at + 1) * item)).collect();
    Some(elements?.concat())
}

/// Runs a model and compares its outputs.
fn compare(compiled: &Compiled, inputs: &[&TensorProto], outputs: &[TensorProto]) -> Result<(), String> {
    let model = Model::parse(&compiled.bytes).map_err(|error| error.to_string())?;
    let mut session = OwnedSession::from_bytes(&compiled.bytes).map_err(|error| error.to_string())?;
    for (k, input) in inputs.iter().enumerate() {
        let value = model.input_value(k).ok_or("it has fewer inputs")?;
        let bytes = laid_out(input, value).ok_or("an input has another shape")?;
        let mut slot = session.input(k).ok_or("it has fewer inputs")?;
        slot.copy_from_bytes(&bytes).map_err(|error| error.to_string())?;
    }
    session.run();
    for (k, output) in outputs.iter().enumerate().take(model.output_count()) {
        let value = model.output_value(k).ok_or("it has fewer outputs")?;
        let wanted = laid_out(output, value).ok_or("an output has another shape")?;
        let found = session.output(k).ok_or("it has fewer outputs")?.as_bytes().to_vec();
        if !value.dtype.is(DType::F32) {
            if found != wanted {
                return Err(format!("output {k} differs"));
            }
            continue;
        }
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        };
        let (found, wanted) = (floats(&found), floats(&wanted));
        let is_near = |a: f32, b: f32| {
            a.to_bits() == b.to_bits()
                || a == b
                || (a.is_nan() && b.is_nan())
                || (a - b).abs() <= TOLERANCE * b.abs() + 1e-5
        };
        let far = found.iter().zip(&wanted).position(|(&a, &b)| !is_near(a, b));
        if found.len() != wanted.len() {
            return Err(format!("output {k} has {} elements instead of {}", found.len(), wanted.len()));
        }
        if let Some(i) = far {
            return Err(format!("output {k} is {} instead of {} at element {i}", found[i], wanted[i]));
        }
    }
    Ok(())
}
