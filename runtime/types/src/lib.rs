//! The vocabulary that the file format and the kernels of Tealight share.
//!
//! `tealight-format` describes a compiled network and `tealight-kernels` computes; neither knows the other. What both
//! speak of is here, once: the types of elements ([`DType`]) and of quantized blocks ([`BlockType`]), functions of one
//! value ([`UnaryFunction`]), the factor between two quantizations ([`Multiplier`]).
//!
//! Everything is `Copy`, and everything that a check at compile time needs is `const fn`.
#![no_std]
#![forbid(unsafe_code)]

mod block;
mod dtype;
mod multiplier;
mod unary;

pub use block::BlockType;
pub use dtype::DType;
pub use multiplier::Multiplier;
pub use unary::UnaryFunction;
