//! TensorFlow Lite files: what they contain, and how they become a [`Graph`](crate::ir::graph::Graph).

mod operators;
mod reader;
mod schema;

pub(crate) use reader::import;
