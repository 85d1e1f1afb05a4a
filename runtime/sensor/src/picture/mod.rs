//! From a camera's picture to an input.

mod axis;
mod error;
mod front_end;
mod pixels;
mod text;

pub use error::{InputError, PictureError};
pub use front_end::{Color, Fit, FrontEnd};
pub use pixels::{Channels, Picture};

/// How a declaration of this front end begins in a model file, under `front_end`. A front end that computes other bits
/// needs another number.
pub const NAME: &str = "tealight-sensor picture 1";
