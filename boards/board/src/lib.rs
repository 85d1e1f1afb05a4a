//! What all boards share: the [`Board`] trait, the firmware [`mod@app`], its [`report`], and the meters of
//! time ([`calibrate`]) and of stack ([`stack`]).
//!
//! The idea: an app is written once, over [`Board`]; a board's `main.rs` only wires its peripherals to it.
//! Nothing here formats with `core::fmt` or indexes a slice, so that an image built from it has no path to a panic.

#![cfg_attr(not(test), no_std)]

pub mod app;
mod board;
pub mod calibrate;
pub mod cmsdk;
mod feed;
pub mod report;
mod sampler;
#[cfg(target_arch = "arm")]
pub mod semihosting;
mod sound;
pub mod stack;
mod text;

#[cfg(feature = "loadable")]
pub use app::app_loadable;
pub use app::{app, app_audio, app_text};
pub use board::{Board, Outcome};
pub use sound::Sound;
