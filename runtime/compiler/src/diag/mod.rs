//! Why a network could not be compiled.

mod gguf;

pub use gguf::GgufError;

use crate::kind::FileKind;
use std::collections::HashMap;
use std::fmt;

/// Why a network could not be compiled, where, and what would be accepted.
///
/// Node numbers count the operators of the file's main graph from 0, as model viewers do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The bytes are not a TensorFlow Lite file at all, but a file of this kind.
    #[error("it is {0}, not a TensorFlow Lite file; {way}", way = .0.way())]
    NotTflite(FileKind),
    /// A TensorFlow Lite file of a version that is not read.
    #[error("it has version {0} of TensorFlow Lite's schema, and version 3 is read; convert the network again")]
    TfliteVersion(u32),
    /// The bytes claim to be a TensorFlow Lite file, but an offset, a length or an index in them is wrong.
    #[error("the .tflite file is damaged: {0}; export or download it again")]
    Corrupt(String),
    /// A GGUF file that cannot be compiled.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// An operator that cannot be compiled, as it stands there.
    #[error("{site} is not supported; accepted: {accepted}")]
    UnsupportedOperator {
        /// The node and its operator.
        site: Site,
        /// What would be accepted.
        accepted: String,
    },
    /// A tensor of a type that the operator does not take.
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
    /// A tensor whose size is only known when the network runs.
    #[error(
        "dimension {dimension} of tensor `{tensor}` {shape:?} is dynamic: not known before the network runs; export it with \
         fixed input shapes and batch 1"
    )]
    DynamicShape {
        /// The tensor's name.
        tensor: String,
        /// The first dimension that is not known.
        dimension: usize,
        /// Its shape; the unknown dimensions are negative.
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
    /// A layer is named that the network does not have.
    #[error("no layer is called `{pattern}`; those with weights that can be stored otherwise: {known}")]
    UnknownLayer {
        /// The name or pattern.
        pattern: String,
        /// The names that there are.
        known: String,
    },
    /// A layer's weights cannot be stored as asked for.
    #[error("the weights of layer `{layer}` cannot be {wanted}: {why}")]
    LayerType {
        /// The layer.
        layer: String,
        /// The type that was asked for.
        wanted: String,
        /// What is in the way.
        why: String,
    },
    /// A vocabulary that contradicts itself.
    #[error("the vocabulary is wrong: {0}")]
    Vocabulary(String),
    /// More of something than a model file can hold.
    #[error("too large: {0}")]
    TooLarge(String),
    /// More bytes than a network of its size may make the compiler compute, hold or write
    /// ([`Options::max_memory`](crate::Options::max_memory)).
    #[error(
        "{what} would take {needed} bytes; the limit for a network of this size is {limit} \
         (`tealight compile --max-memory` sets another)"
    )]
    Memory {
        /// What was to be made.
        what: String,
        /// Bytes that would have been made or written by then.
        needed: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// A fault of the compiler itself.
    #[error("internal error, please report it with the model: {0}")]
    Internal(String),
}

/// A place in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// A node of the main graph.
    Node {
        /// Its index.
        node: usize,
        /// Its operator, as the file calls it.
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

/// All that is not supported in a network, like things together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// How many nodes cannot be compiled.
    pub nodes: usize,
    /// What they have in the way, in the order in which it comes up.
    pub findings: Vec<Finding>,
    /// What would be accepted in general.
    pub accepted: String,
}

/// One thing that is not supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The operator, and what about it, if it is not the operator itself.
    pub what: String,
    /// At how many nodes.
    pub count: usize,
    /// Where first.
    pub first: Site,
}

/// The most findings that a message lists.
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
    /// The first error that is not about support.
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

    /// One error that reports everything found, if there is any.
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
