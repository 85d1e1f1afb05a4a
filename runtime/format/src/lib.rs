//! The Tealight model file: a trained network in one ordinary safetensors file, checked once, read in place.
//!
//! A file holds a tensor `plan` (what to compute, in which order, where in memory) and the network's weights.
//! [`Model::parse`] checks everything that running the model relies on. It is a `const fn`, so the same check runs at
//! compile time for a model built into a program, and on a board for a model loaded at run time. After it succeeds,
//! nothing can fail.
//!
//! The crate neither allocates nor panics, and contains no `unsafe` code. `SPEC.md` in its folder is the specification.
//!
//! ```
//! use tealight_format::{HeaderFault, Model, ModelError};
//!
//! // A checked model is a view of its bytes; anything else is refused with what is wrong, and where.
//! let error = Model::parse(b"not a model at all").unwrap_err();
//! assert!(matches!(error, ModelError::Header { at: 0, fault: HeaderFault::TooLong }));
//! ```
#![no_std]
#![forbid(unsafe_code)]
// `From` is not available in constants, so integers are widened with `as`.
#![allow(clippy::cast_lossless)]

/// The operator `?`, usable in constants.
macro_rules! tri {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}

/// Returns the error unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $error:expr) => {
        if !$condition {
            return Err($error);
        }
    };
}

mod bytes;
mod error;
mod group;
mod header;
mod model;
mod op;
mod op_set;
pub mod ops;
mod plan;
mod shape;
mod value;

pub use bytes::align16;
pub use error::{HeaderFault, ModelError, ValueFault};
pub use group::{Group, MAX_GROUP, Reading, Reuse, Schedule};
pub use header::MAX_HEADER;
pub use model::{Checked, ConstantNames, Model};
pub use op::{OP_RECORD, Op, OpRecord, OpWords};
pub use op_set::{OpSet, OpSetOf};
pub use ops::{Attrs, BlockType, MAX_INPUTS, OUTPUT, OpCode, OpFault, Operands, Operator, RowAccess, Work};
pub use plan::{FORMAT_VERSION, MAGIC, MAX_LIVE, PLAN_HEADER, PlanHeader};
pub use shape::{MAX_RANK, Shape};
pub use tealight_types::{DType, Quantization};
pub use value::{Kind, NONE, Place, Rows, VALUE_RECORD, Value, ValueRecord, ValueWords};
