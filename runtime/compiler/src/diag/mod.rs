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
    /// The size of a tensor is only known when the network runs.
    #[error(
        "dimension {dimension} of tensor `{tensor}` {shape:?} is dynamic: not known before the network runs; export it with \
         fixed input shapes and batch 1"
    )]
    DynamicShape {
        /// The tensor's name.
        tensor: String,
        /// The first unknown dimension.
        dimension: usize,
        /// Its shape; unknown dimensions are negative.
        shape: Vec<i32>,
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
    /// The first error of another kind.
    other: Option<CompileError>,
    nodes: usize,
    list: Vec<Finding>,
    known: HashMap<String, usize>,
}

impl Findings {
    pub(crate) fn new(accepted: &'static str) -> Self {
        Self { accepted, first: None, other: None, nodes: 0, list: Vec::new(), known: HashMap::new() }
    }

    pub(crate) fn add(&mut self, error: CompileError) {
        let (site, about) = match &error {
            CompileError::UnsupportedOperator { site, accepted } if accepted == self.accepted => (site, String::new()),
            CompileError::UnsupportedOperator { site, accepted } => (site, format!(" other than with {accepted}")),
            CompileError::UnsupportedType { site, found, accepted, .. } => {
                (site, format!(" of {found} instead of {accepted}"))
            }
            _ => {
                self.other.get_or_insert(error);
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
        match (self.first, self.other) {
            (Some(only), _) if self.nodes == 1 => Err(only),
            (Some(_), _) => Err(CompileError::Unsupported(Unsupported {
                nodes: self.nodes,
                findings: self.list,
                accepted: self.accepted.into(),
            })),
            (None, Some(other)) => Err(other),
            (None, None) => Ok(()),
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, CompileError>;
