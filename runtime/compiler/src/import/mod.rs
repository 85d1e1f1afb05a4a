//! Importers of model files. Each checks every index and count, and produces a graph of neutral operators.

pub(crate) mod gguf;
mod given;
pub(crate) mod onnx;
pub(crate) mod tflite;
