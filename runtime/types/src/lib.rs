//! The vocabulary that the file format and the kernels of Tealight share.
//!
//! `tealight-format` describes a compiled network and `tealight-kernels` computes it; neither depends on the other. The
//! types that both use are defined here: element types ([`DType`]), types of quantized blocks ([`BlockType`]),
//! functions of one value ([`UnaryFunction`]) and of two integers ([`IntegerFunction`]), what the integers of a tensor
//! represent ([`Quantization`]), the factor between two quantizations ([`Multiplier`]), the range of an int8 or int16
//! output ([`ActivationRange`], [`ActivationRangeI16`]), the geometry of windows ([`Window2d`]), and which weights can lie
//! in pairs ([`can_pair`]).
//!
//! Everything is `Copy`, and everything that a check at compile time needs is `const fn`.
#![no_std]
#![forbid(unsafe_code)]

mod activation;
mod block;
mod dtype;
mod integer;
mod multiplier;
mod pairs;
mod quantization;
mod unary;
mod window;

pub use activation::{ActivationRange, ActivationRangeI16};
pub use block::BlockType;
pub use dtype::{DType, UNPACKED_INT4};
pub use integer::IntegerFunction;
pub use multiplier::Multiplier;
pub use pairs::can_pair;
pub use quantization::{Quantization, round_half_away};
pub use unary::UnaryFunction;
pub use window::Window2d;
