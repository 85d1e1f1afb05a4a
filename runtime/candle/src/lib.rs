//! Tealight on Linux boards and hosts: a model file mapped into memory, run by Tealight's kernels or by Candle's.
//!
//! ```no_run
//! use tealight_candle::{EngineChoice, Mapped};
//!
//! let model = Mapped::open("model.safetensors")?;
//! let mut session = model.session(EngineChoice::Candle)?;
//! eprintln!("{}", session.describe());
//! session.input(0).copy_from(&[0.5f32, -1.0])?;
//! session.run();
//! println!("{:?}", session.output(0).as_f32());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The file
//! [`Mapped::open`] maps the file and checks header and plan; it reads no weights and copies nothing. The pages of weights
//! come in when an operator first reads them, are shared between processes, and may be dropped by the system at any time.
//!
//! # The two engines
//! Plan, memory, order and state are the core's in both; only who computes an operator differs.
//!
//! - [`EngineChoice::Tealight`]: the kernels that run on a microcontroller, and so its bits, on one thread.
//! - [`EngineChoice::Candle`]: block-quantized products and f32 products and convolutions go to Candle's vector code on
//!   all cores, weights by reference. Operators that Candle has nothing better for, all of int8 among them, stay with
//!   Tealight's kernels. [`Session::describe`] tells who computes what on this processor, and why.
//!
//! # How far the engines may differ
//! Candle adds products up in another order, several at a time, and with fused multiply-adds; so outputs differ in their
//! last bits. For a sum of `n` products the difference is at most about `n` times 2^-24 of the sum of the products'
//! magnitudes, and in practice some units of 2^-24 times its square root. Block products quantize the activations
//! alike, and within a block the sums are of integers, so there `n` is the number of blocks. In a network the
//! differences add up, and where activations are quantized once more a last bit may tip a rounding. The tests of this
//! crate state the tolerances that hold.
//!
//! For one processor and one engine the outputs are always the same, however many threads there are; and however an
//! inference is sliced, if its f32 operators are not cut.
//!
//! # Trust
//! With Tealight's engine, running a model that was accepted cannot fail, whoever made it. Candle's code
//! makes no such promise: use its engine for models whose sender you trust.

mod batch_matmul;
mod blocks;
mod conv_2d;
mod cpu;
mod description;
mod engine;
mod error;
mod fully_connected;
mod mapped;
mod product;
mod segments;
mod session;
mod threads;
mod weights;

pub use description::{Description, Part, Runner};
pub use engine::{Engine, EngineChoice};
pub use error::{Error, Result};
pub use mapped::Mapped;
pub use session::Session;
pub use tealight::{Budget, Model, Position, Progress, Tensor, TensorMut};
pub use threads::threads;

/// `x` between two bounds. NaN stays.
fn restrict(x: f32, least: f32, greatest: f32) -> f32 {
    if x < least {
        least
    } else if x > greatest {
        greatest
    } else {
        x
    }
}
