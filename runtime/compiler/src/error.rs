//! Why a network could not be compiled.

use std::fmt;

/// Why a network could not be compiled, where, and what would be accepted.
///
/// Node numbers count the operators of the file's main graph from 0, as model viewers do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The bytes are not a TensorFlow Lite file at all.
    #[error("not a TensorFlow Lite file: {0}; give a .tflite file (its bytes 4..8 are \"TFL3\")")]
    NotTflite(String),
    /// The bytes claim to be a TensorFlow Lite file, but an offset, a length or an index in them is wrong.
    #[error("the .tflite file is damaged: {0}; export or download it again")]
    Corrupt(String),
    /// A GGUF file that cannot be compiled.
    #[error(transparent)]
    Gguf(#[from] crate::gguf::GgufError),
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
    /// A tensor whose size is only known when the network runs.
    #[error(
        "tensor `{tensor}` has the shape {shape:?}, not known before it runs; export the network with a fixed batch and input size"
    )]
    DynamicShape {
        /// The tensor's name.
        tensor: String,
        /// Its shape; the unknown dimensions are not positive.
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

pub(crate) type Result<T> = std::result::Result<T, CompileError>;
