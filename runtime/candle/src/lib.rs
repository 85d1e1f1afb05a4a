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
//! [`Mapped::open`] maps the file and checks header and plan; it reads no weights and copies nothing. The pages of
//! weights are loaded when an operator first reads them, are shared between processes, and may be dropped by the system
//! at any time.
//!
//! # The two engines
//! Plan, memory, order and state are the core's in both; the engines differ only in the code that computes an operator.
//!
//! - [`EngineChoice::Tealight`]: the kernels of a microcontroller, with the same bits, on one thread.
//! - [`EngineChoice::Candle`]: Candle's vector code computes block-quantized products, f32 products and f32
//!   convolutions on all cores. Blocks are read in place in the file, and so are the f32 weights of products of up to
//!   seven rows; for more rows, an operator's weights are copied while it runs. Operators for which Candle has nothing
//!   faster, including all int8 operators, stay with Tealight's kernels. [`MappedSession::describe`] lists which code
//!   computes what on this processor, and why.
//!
//! # How far the engines may differ
//! Candle adds products in another order, several at a time, and with fused multiply-adds, so last bits differ. The
//! results of two orders of a sum of `n` values differ by at most `n` times 2^-24 of the sum of their magnitudes, and
//! usually by some units of 2^-24 times the square root of `n`. In a product of blocks both engines quantize the
//! activations in the same way, and the sums within a block are exact integers, so `n` is the number of blocks, not of
//! elements. The tests allow 4 units of 2^-24 for single operators on blocks, and 8 for f32.
//!
//! The same holds for most inferences of a whole network. But consecutive products of blocks each quantize their
//! activations to 8 bits. When a difference in a last bit changes one of these roundings, many values after it are
//! rounded differently. The outputs then differ like those of two quantizations: by some hundredths of the maximum
//! score in the decoder that the tests run.
//!
//! Threads share the rows of a product of blocks, never a sum, so their number changes no bit of it. Splitting an
//! inference with [`MappedSession::poll`] changes no bit either, except in f32 products of eight rows or more, which
//! may differ in the last bits.
//!
//! # Threads
//! Candle starts its threads when it first needs them, one for each physical core; the environment variable
//! `RAYON_NUM_THREADS` sets another number. [`threads()`] and [`MappedSession::describe`] return the number of threads.
//! A session of Tealight's engine runs on the caller's thread.
//!
//! # Trust
//! With Tealight's engine, running a model that was accepted cannot fail, whoever wrote it. Candle's code makes no such
//! promise: use its engine only for models from sources that you trust.

mod batch_matmul;
mod blocks;
mod conv2d;
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

pub use description::{Description, DescriptionLine, Runner};
pub use engine::{CandleEngine, EngineChoice};
pub use error::{Error, Result};
pub use mapped::Mapped;
pub use session::MappedSession;
pub use tealight::{Budget, Model, Position, Progress, Tensor, TensorMut};
pub use threads::threads;

/// Clamps `x` between two bounds. NaN stays NaN.
fn clamp(x: f32, min: f32, max: f32) -> f32 {
    if x < min {
        min
    } else if x > max {
        max
    } else {
        x
    }
}
