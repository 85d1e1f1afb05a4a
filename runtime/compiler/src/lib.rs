//! Compiles a trained network to a Tealight model file: a `.tflite` file (int8 or float32), an ONNX file (float32), or a
//! float network that is quantized here.
//!
//! The result is one ordinary safetensors file. A session runs it in place, and its memory is planned to the byte. A
//! compiled int8 network computes the same bytes as TensorFlow Lite Micro's reference kernels. f32 sums are added in
//! another order, so the results of an f32 network may differ from theirs in the last bits.
//!
//! ```
//! use tealight_compiler::{Options, compile_tflite};
//!
//! // A network of one ReLU on three int8 values.
//! let source = include_bytes!("../tests/relu.tflite");
//! let compiled = compile_tflite(source, &Options { name: Some("relu".into()), ..Options::default() })?;
//!
//! let model = tealight_format::Model::parse(&compiled.bytes)?;
//! assert_eq!(model.metadata("name"), Some("relu"));
//! assert_eq!(model.arena_len(), compiled.report.arena_len as usize);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Passes
//!
//! A network is a [`graph::Graph`] in all passes but the last. Its nodes hold neutral operators ([`ir::Op`]) at first
//! and operators of the model file at the end; [`builder`] builds such a graph in code. [`compile_tflite_with`] shows
//! the graph after each pass. A float network, from a `.tflite` file or traced from a framework's model, is quantized
//! to such a graph ([`quantize`]) instead of `import`.
//!
//! | pass | what it does |
//! |---|---|
//! | `import` | verifies the file and reads it, every index checked |
//! | `variables` | variables become state, and what fills them becomes its initial value |
//! | `requantize` | codes that are copied to a tensor of another scale are converted |
//! | `fold` | computes constant results: arithmetic on shapes, reshaped or converted constants |
//! | `dead` | removes what nothing reads |
//! | `fuse_pad` | a border of zeros becomes the padding of the convolution after it |
//! | `elide` | reshapes become views |
//! | `lower` | neutral operators become the model file's, with their quantized parameters |
//! | `store` | weights of float layers become f16 or blocks, as the options select |
//! | `layout` | weights are laid out for the target, if the options name one |
//! | `fuse_lookup` | tables are composed, or become the activation of the operator before them |
//! | `read_in_place` | state is read in place when nothing assigns it first |
//! | `outputs` | every output gets its own memory |
//! | `order` | determines the order of the operators, and the offset of every tensor |
//!
//! # Memory
//!
//! An operator that walks its input row by row no longer needs the rows before its current one. Its output may
//! therefore overlap an input whose live range ends there, at the distance that [`tealight_format::RowAccess`] states.
//! The planner decides for each operator whether to use that, and searches for a placement of all tensors with a low
//! peak. [`Report`] lists the result next to the best possible without overlap.
//!
//! # What is refused
//!
//! An operator or type that cannot be compiled is an error that names the node and what would be accepted
//! ([`CompileError`]). All such errors are listed at once, and nothing is dropped or approximated. [`OPERATORS`] lists
//! what can be compiled. A layer is either int8 or float32: one with float inputs and int8 weights, or with other
//! types, is refused.
//!
//! A file of another kind is refused with an error that names the kind ([`kind_of`]). A dynamic dimension of an input
//! is refused, except for a batch dimension that all inputs have, which is taken as 1 ([`Report::notes`]), and those
//! whose length [`Options::input_shapes`] gives.
//!
//! # Scales
//!
//! A tensor's scale and zero point define the values of its codes. Where TensorFlow Lite Micro computes with scales
//! that differ, the result has the same bytes; where it refuses, or copies codes from one scale to another, the result
//! is what the stated scales require, or an error that names them. Where its bytes are not what the scales require (a
//! RELU6 between two scales, a convolution's bias in another scale than its sums), [`Report::notes`] reports it.
//!
//! # Limits
//!
//! A file may come from anyone, so a size that it merely states allocates nothing. Time and memory of a compilation are
//! proportional to the file, and a file that asks for more is refused:
//!
//! | what | bound |
//! |---|---|
//! | the file's bytes | held once; constants are ranges of it, and equal ranges are stored once, also in the output |
//! | tensors, nodes of a `.tflite` file | 262,144 each; more dimensions than 32 and longer names than 1 KiB are refused or cut |
//! | messages of an ONNX file | nested up to 56 deep, and their structures in proportion to the file; external data inside of its folder, no more than its files hold |
//! | counts and lengths in a GGUF file | the bytes that remain, before anything is allocated for them |
//! | what is computed beforehand, tables, and constants as they are written | [`Options::max_memory`]: eight times what the network's constants take, at least 64 MiB |
//! | passes | proportional to tensors, nodes and their inputs; weights that layers share are read once |
//! | what calibration and evaluation run a network in, and constants that several layers read, counted for each of them | [`Options::max_memory`]: eight times what the network's constants take, at least 512 MiB |
//! | operators, inputs, outputs, tensors of a model | 65,534 each |
//! | the memory plan | a counted effort, and at most four million pairs of tensors that are live at the same time |

mod diag;
mod driver;
pub mod evaluate;
mod import;
pub mod ir;
mod kind;
mod limit;
mod lower;
mod names;
mod options;
mod output_file;
mod pass;
mod plan;
pub mod quantize;
mod session;
mod sigmoids;
mod slice;
mod store;
mod target;
#[cfg(test)]
mod testing;
mod vocabulary;
mod weight_type;
mod write;

/// Builds a graph of the model file's own operators, one line for each operator, and compiles it.
pub mod builder {
    pub use crate::driver::{compile_kernel_graph, compile_kernel_graph_with};
    pub use crate::ir::builder::Builder;
}

/// GGUF files: the language model in one becomes a graph and is compiled.
pub mod gguf {
    pub use crate::diag::GgufError;
    pub use crate::driver::{compile_gguf, compile_gguf_with};
    pub use crate::import::gguf::{GgufOptions, is_gguf};
}

pub use diag::{CompileError, Finding, OnnxError, Reason, Site, Unsupported};
pub use driver::{
    Compiled, InPasses, Report, compile_network, compile_network_with, compile_onnx, compile_tflite,
    compile_tflite_with, import_network, import_onnx, import_tflite, onnx_operators,
};
pub use ir::graph;
pub use kind::{FileKind, kind_of, kind_of_folder};
pub use lower::OPERATORS;
pub use options::{InputValue, Numbers, Options, Patch};
pub use output_file::{OutputFile, remove_unfinished, write_file};
pub use target::Target;
pub use tealight_format::ops::BlockType;
pub use vocabulary::{Bpe, Vocabulary};
pub use weight_type::WeightType;
