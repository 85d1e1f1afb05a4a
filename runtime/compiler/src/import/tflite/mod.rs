//! TensorFlow Lite files: what they contain, and how they become a [`Graph`](crate::ir::graph::Graph).

mod custom;
mod fault;
mod flexbuffer;
mod hybrid;
mod interface;
mod operators;
mod reader;
mod schema;
mod signal;
mod signature;
mod sparse;
mod uint8;

pub(crate) use reader::import;
pub(crate) use uint8::to_int8;
