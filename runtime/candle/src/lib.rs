//! Tealight on Linux boards and hosts: a model file mapped into memory, run by Tealight's kernels or by Candle's.
//!
//! ```no_run
//! use tealight_candle::{EngineChoice, Mapped};
//!
//! let model = Mapped::open("model.safetensors")?;
//! let mut session = model.session(EngineChoice::Candle)?;
//! eprintln!("{}", session.describe());
//! session.input(0).ok_or("no input")?.copy_from(&[0.5f32, -1.0])?;
//! session.run();
//! let output = session.output(0).ok_or("no output")?;
//! println!("{:?}", output.as_slice::<f32>());
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
//!   all cores. Blocks are read where they lie in the file, and so are the f32 weights of products of up to seven rows; for
//!   more rows a copy of an operator's weights lives as long as the operator runs. Operators that Candle has nothing better
//!   for, all of int8 among them, stay with Tealight's kernels. [`Session::describe`] tells who computes what on this
//!   processor, and why.
//!
//! # How far the engines may differ
//! Candle adds products up in another order, several at a time, and with fused multiply-adds, so last bits differ. Two
//! orders of a sum of `n` numbers give results that are at most `n` times 2^-24 of the sum of their magnitudes apart, and
//! usually some units of 2^-24 times the root of `n`. In a product of blocks both engines quantize the activations alike, and
//! within a block the sums are of integers and exact; so there `n` is the number of blocks, not of elements. The tests
//! hold single operators to 4 units of 2^-24 for blocks and 8 for f32.
//!
//! In a network that is so in most inferences too. But where products of blocks follow one another, each quantizes its
//! activations to 8 bits; once a last bit tips one of these roundings, what comes behind is rounded anew in many places.
//! The outputs then differ as those of two quantizations do: by some hundredths of the greatest score in the decoder that
//! the tests run.
//!
//! Threads share the rows of a product of blocks, never a sum, so their number changes no bit of it. Nor does cutting an
//! inference with [`Session::poll`]; f32 products of eight rows or more may differ in last bits when they are cut.
//!
//! # Threads
//! Candle makes its threads when it first needs them, one for each physical core; `RAYON_NUM_THREADS` in the environment of
//! the process chooses another number. [`threads()`] and [`Session::describe`] tell how many there are. A session of
//! Tealight's engine runs on the caller's thread.
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
