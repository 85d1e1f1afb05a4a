//! The compiler's own representation of a network: a graph of tensors, and of nodes with neutral operators.
//!
//! Importers produce it, passes rewrite it, and lowering replaces its operators ([`Op`]) by those of the model file. It
//! does not depend on the files that networks come from: the names of operators in a source file, for messages, are in
//! [`Graph::operators`](graph::Graph::operators).

pub(crate) mod builder;
pub(crate) mod bytes;
pub(crate) mod check;
pub mod graph;
mod op;

pub use op::{Activation, Comparison, ComplexPart, Logic, Op, Padding, SliceMasks, Window};
