//! Why a network could not be compiled.

mod gguf;
mod onnx;

pub use gguf::GgufError;
pub use onnx::OnnxError;

use crate::kind::FileKind;
use std::collections::HashMap;
use std::fmt;

/// Why a network could not be compiled, with the position and what would be accepted.
///
/// Node numbers count the operators of the file's main graph from 0, as model viewers do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The bytes are not a TensorFlow Lite file, but a file of this kind.
    #[error("it is {0}, not a TensorFlow Lite file; {way}", way = .0.way())]
    NotTflite(FileKind),
    /// The file has an unsupported version of TensorFlow Lite's schema.
    #[error("it has version {0} of TensorFlow Lite's schema, and version 3 is read; convert the network again")]
    TfliteVersion(u32),
    /// The file begins like a TensorFlow Lite file, but an offset, a length or an index in it is wrong.
    #[error("the .tflite file is damaged: {0}; export or download it again")]
    Corrupt(String),
    /// A GGUF file that cannot be compiled.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// An ONNX file that cannot be compiled.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An operator cannot be compiled in the form that it has there.
    #[error("{site} is not supported; accepted: {accepted}")]
    UnsupportedOperator {
        /// The node and its operator.
        site: Site,
        /// What would be accepted.
        accepted: String,
    },
    /// A tensor has a type that the operator does not accept.
    #[error("{site}: tensor `{tensor}` is {found}; accepted: {accepted}")]
    UnsupportedType {
        /// The node and its operator.
        site: Site,
        /// The tensor's name.
        tensor: String,
        /// Its type.
        found: String,
        /// What would be accepted.
        accepted: String,
    },
    /// Several operators or tensors that cannot be compiled.
    #[error("{0}")]
    Unsupported(Unsupported),
    /// Several reasons of different kinds; none of them holds others.
    #[error("{}", list(.0))]
    Several(Vec<CompileError>),
    /// The size of a tensor is only known when the network runs.
    #[error(
        "dimension {dimension} of tensor `{tensor}` {shape:?} is dynamic: not known before the network runs; give the \
         shape of the input (`tealight compile --input-shape NAME=1,96,96,3`), or export it with fixed input shapes and \
         batch 1"
    )]
    DynamicShape {
        /// The tensor's name.
        tensor: String,
        /// The first unknown dimension.
        dimension: usize,
        /// Its shape; unknown dimensions are negative.
        shape: Vec<i32>,
    },
    /// The file has several networks, each with a signature, and the options choose none.
    #[error(
        "the file has several signatures, each with a network of its own: {0}; choose one \
         (`tealight compile --signature NAME`)"
    )]
    Signatures(String),
    /// The options name an input, a tensor or a signature that the network does not have.
    #[error("the network has no {kind} `{name}`; it has {known}")]
    UnknownName {
        /// What it is not: an input, a tensor that a node computes, or a signature.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The shape or value that the options give for an input does not fit it.
    #[error("the {given} given for the input `{input}` does not fit: {what}")]
    InputOption {
        /// What was given: its shape, or its value.
        given: &'static str,
        /// The input's name.
        input: String,
        /// Why it does not fit.
        what: String,
    },
    /// The network contradicts itself or a rule of its operators.
    #[error("{site}: {what}")]
    InvalidModel {
        /// The node and its operator.
        site: Site,
        /// The rule that it breaks.
        what: String,
    },
    /// The options select a layer that the network does not have.
    #[error("no layer is called `{pattern}`; those with weights that can be stored otherwise: {known}")]
    UnknownLayer {
        /// The name or pattern.
        pattern: String,
        /// The names of the layers that exist.
        known: String,
    },
    /// The weights of a layer cannot be stored in the requested type.
    #[error("the weights of layer `{layer}` cannot be {wanted}: {why}")]
    LayerType {
        /// The layer.
        layer: String,
        /// The requested type.
        wanted: String,
        /// The reason.
        why: String,
    },
    /// The network's input cannot come in rows ([`Options::input_rows`](crate::Options::input_rows)).
    #[error(
        "the input cannot come in rows: {0}; layers that can read an image by rows are convolutions, pooling, tables of \
         8-bit values, f32 functions, and sums and products of tensors of one shape"
    )]
    InputRows(String),
    /// A vocabulary is inconsistent.
    #[error("the vocabulary is wrong: {0}")]
    Vocabulary(String),
    /// There is more of something than a model file can hold.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The compiler would have to compute, hold or write more bytes than a network of its size may need
    /// ([`Options::max_memory`](crate::Options::max_memory)).
    #[error(
        "{what} would take {needed} bytes; the limit for a network of this size is {limit} \
         (`tealight compile --max-memory` sets another)"
    )]
    Memory {
        /// What the bytes were for.
        what: String,
        /// The total number of bytes at that point.
        needed: u64,
        /// The maximum number of bytes.
        limit: u64,
    },
    /// A fault of the compiler itself.
    #[error("internal error, please report it with the model: {0}")]
    Internal(String),
}

/// Returns the reasons as text, a line each.
fn list(reasons: &[CompileError]) -> String {
    let lines: String = reasons.iter().map(|reason| format!("\n- {reason}")).collect();
    format!("there are {} reasons:{lines}", reasons.len())
}

impl CompileError {
    /// Returns all reasons that the error states, one for each kind of node that cannot be compiled.
    pub fn reasons(&self) -> Vec<Reason> {
        match self {
            Self::Several(list) => list.iter().flat_map(Self::reasons).collect(),
            Self::Unsupported(unsupported) => unsupported
                .findings
                .iter()
                .map(|Finding { what, count, first }| Reason {
                    what: what.clone(),
                    nodes: *count,
                    first: Some(first.clone()).filter(|site| *site != Site::Graph),
                })
                .collect(),
            error => {
                let first = match error {
                    Self::UnsupportedOperator { site, .. }
                    | Self::UnsupportedType { site, .. }
                    | Self::InvalidModel { site, .. } => Some(site.clone()).filter(|site| *site != Site::Graph),
                    _ => None,
                };
                vec![Reason { what: error.to_string(), nodes: usize::from(first.is_some()), first }]
            }
        }
    }

    /// Returns one error that states all of these; `None` if there are none.
    pub(crate) fn of_all(errors: Vec<Self>) -> Option<Self> {
        let each = |error: Self| match error {
            Self::Several(list) => list,
            error => vec![error],
        };
        let mut errors: Vec<Self> = errors.into_iter().flat_map(each).collect();
        if errors.len() > 1 { Some(Self::Several(errors)) } else { errors.pop() }
    }
}

/// A reason why a network cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What cannot be compiled, and what would be accepted.
    pub what: String,
    /// The number of nodes; 0 if it is not about nodes.
    pub nodes: usize,
    /// The first of the nodes.
    pub first: Option<Site>,
}

/// A position in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// A node of the main graph.
    Node {
        /// Its index.
        node: usize,
        /// Its operator, by the file's name.
        operator: String,
    },
    /// The graph's interface, or the graph as a whole.
    Graph,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, operator } => write!(f, "node {node} ({operator})"),
            Self::Graph => f.write_str("the graph"),
        }
    }
}

/// Everything that is not supported in a network, with equal findings combined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The number of nodes that cannot be compiled.
    pub nodes: usize,
    /// The causes, in the order in which they occur.
    pub findings: Vec<Finding>,
    /// What would be accepted in general.
    pub accepted: String,
}

/// One unsupported operator or form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The operator, and what in it is not supported, unless it is the operator itself.
    pub what: String,
    /// The number of nodes.
    pub count: usize,
    /// The first of these nodes.
    pub first: Site,
}

/// The maximum number of findings in a message.
const LISTED: usize = 20;

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes cannot be compiled: ", self.nodes)?;
        for (i, Finding { what, count, first }) in self.findings.iter().take(LISTED).enumerate() {
            let place = match first {
                Site::Node { node, .. } => format!("node {node}"),
                Site::Graph => "the graph".into(),
            };
            f.write_str(if i > 0 { ", " } else { "" })?;
            match count {
                1 => write!(f, "{what} ({place})")?,
                _ => write!(f, "{what} ({count} times, first at {place})")?,
            }
        }
        if self.findings.len() > LISTED {
            write!(f, " and {} more", self.findings.len() - LISTED)?;
        }
        write!(f, "; accepted: {}", self.accepted)
    }
}

/// Collects errors of nodes, to report everything that is not supported at once.
pub(crate) struct Findings {
    /// What is accepted in general.
    accepted: &'static str,
    first: Option<CompileError>,
    /// The first errors of other kinds.
    others: Vec<CompileError>,
    nodes: usize,
    list: Vec<Finding>,
    known: HashMap<String, usize>,
}

impl Findings {
    pub(crate) fn new(accepted: &'static str) -> Self {
        Self { accepted, first: None, others: Vec::new(), nodes: 0, list: Vec::new(), known: HashMap::new() }
    }

    pub(crate) fn add(&mut self, error: CompileError) {
        let (site, about) = match &error {
            CompileError::UnsupportedOperator { site, accepted } if accepted == self.accepted => (site, String::new()),
            CompileError::UnsupportedOperator { site, accepted } => (site, format!(" other than with {accepted}")),
            CompileError::UnsupportedType { site, found, accepted, .. } => {
                (site, format!(" of {found} instead of {accepted}"))
            }
            _ => {
                if self.others.len() < LISTED {
                    self.others.push(error);
                }
                return;
            }
        };
        let operator = match site {
            Site::Node { operator, .. } => operator.as_str(),
            Site::Graph => "tensors",
        };
        let (what, first) = (format!("{operator}{about}"), site.clone());
        self.nodes += 1;
        let list = &mut self.list;
        let at = *self.known.entry(what).or_insert_with_key(|what| {
            list.push(Finding { what: what.clone(), count: 0, first });
            list.len() - 1
        });
        list[at].count += 1;
        self.first.get_or_insert(error);
    }

    /// Returns one error that reports all findings, if there are any.
    pub(crate) fn result(self) -> Result<()> {
        let nodes = match self.first {
            Some(only) if self.nodes == 1 => Some(only),
            Some(_) => Some(CompileError::Unsupported(Unsupported {
                nodes: self.nodes,
                findings: self.list,
                accepted: self.accepted.into(),
            })),
            None => None,
        };
        CompileError::of_all(nodes.into_iter().chain(self.others).collect()).map_or(Ok(()), Err)
    }
}

pub(crate) type Result<T> = std::result::Result<T, CompileError>;
