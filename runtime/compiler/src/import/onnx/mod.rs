//! ONNX files: what they contain, and how they become a [`Graph`](crate::ir::graph::Graph).
//!
//! [`scan`] checks the file's messages before `rten-onnx` reads them. [`import`] then walks the nodes, which are in an
//! order in which they can run, and computes shapes, and what is constant, on the way: stored shapes of inner tensors are
//! not believed. [`network`] keeps the layout of tensors; [`ops`] has a row for each operator.

mod constant;
mod dynamic;
mod int8;
mod network;
mod ops;
mod patterns;
mod reader;
mod scan;
mod tensor;

pub(crate) use ops::names;
pub(crate) use reader::import;
