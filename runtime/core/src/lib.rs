//! Runs a compiled network in place: from flash, from a memory map, or on a host, with the same output bits in all
//! three.
//!
//! A model is one safetensors file, written by `tealight compile`. [`Model::parse`] checks it once; after that, running
//! the model cannot fail. The crate never panics, and it does not allocate (except with the feature `alloc`).
//!
//! A model that is part of the program is checked while the program is compiled, and its arena always has the right
//! size; see [`include_model!`]:
//!
//! ```
//! use tealight::{Arena, Budget, Session};
//!
//! tealight::include_model!(static RELU = "../tests/relu.safetensors");
//!
//! let mut arena = Arena::<{ RELU.arena_len() }>::new();
//! let mut session = Session::new(&RELU, &mut arena);
//! session.input(0).ok_or("no input")?.copy_from(&[-5i8, 0, 5])?; // another element type is an error
//! // A control loop polls with a budget, so that it keeps its period while the network runs.
//! while session.poll(Budget::macs(1)).is_pending() { /* control.tick() */ }
//! let output = session.output(0).ok_or("no output")?;
//! assert_eq!(output.as_slice::<i8>(), Some(&[0, 0, 5][..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A model that arrives at run time, from a flash slot or a file, is checked when it is loaded:
//!
//! ```
//! use tealight::{AllOps, Arena, Model, Session};
//!
//! # tealight::include_model!(static RELU = "../tests/relu.safetensors");
//! # let received: &[u8] = RELU.model().bytes();
//! let model = Model::parse(received)?; // 16-byte aligned bytes
//! let mut arena = Arena::<1024>::new();
//! let mut session = Session::<AllOps>::load(&model, arena.bytes_mut())?;
//! session.run();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Session::infer`] is the same for async tasks, and [`Session::state`] shows how several models share one memory.
//!
//! On a host, `OwnedSession` (feature `alloc`) takes a copy or a map of the file and allocates the memory itself. On Linux
//! boards and hosts, several threads can share its operators (feature `threads`), with the same output bits.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "threads")]
extern crate std;

mod arena;
mod cost;
mod element;
mod embedded;
mod engine;
mod execute;
mod group;
mod infer;
mod interface;
mod linked;
mod memory;
mod ops;
#[cfg(feature = "alloc")]
mod owned;
mod rows;
mod score;
mod session;
mod state;
mod tensor;
#[cfg(feature = "threads")]
mod threads;

pub use arena::{Align16, Arena};
pub use cost::{cost_between, costs_between};
pub use element::Element;
pub use embedded::Embedded;
#[doc(hidden)]
pub use embedded::{Aligned, parse_embedded};
pub use engine::{Engine, Kernels, Part};
pub use infer::Infer;
pub use interface::ComesInRows;
#[doc(hidden)]
pub use interface::{ElementOf, Typed, TypedInput, code, code_of_input, len_of, read_output, value_of};
pub use linked::{AllOps, Int8Ops, Int16Ops, Ops};
#[doc(hidden)]
pub use linked::{paths_of, paths_on};
#[cfg(feature = "alloc")]
pub use owned::{AlignedBytes, OpenError, OwnedSession, Plan};
pub use rows::InputRows;
pub use score::{argmax, compare_scores, top_k};
pub use session::{Budget, Limit, LoadError, Position, Progress, Session};
#[doc(hidden)]
pub use state::initial_state;
pub use state::{StateError, shared_arena_len};
pub use tealight_format::{
    BlockType, DType, FORMAT_VERSION, Model, ModelError, Op, OpCode, OpSet, Operator, Place, Quantization, Shape, Value,
};
#[doc(hidden)]
pub use tealight_kernels::{Loops, Paths};
pub use tensor::{Tensor, TensorError, TensorMut};
#[cfg(feature = "threads")]
pub use threads::Threads;
