//! What all boards share: the [`Board`] trait, the firmware [`mod@app`], its [`report`], and the meters of
//! time ([`calibrate`]) and of stack ([`stack`]).
//!
//! The idea: an app is written once, over [`Board`]; a board's `main.rs` only wires its
//! peripherals to it ([`firmware!`]).
//! Nothing here formats with `core::fmt` or indexes a slice, so that an image built from it has no path to a panic.

#![cfg_attr(not(test), no_std)]

pub mod app;
mod board;
pub mod calibrate;
#[cfg(target_os = "none")]
pub mod clock;
mod entry;
#[cfg(target_os = "none")]
mod fault;
mod feed;
#[cfg(target_os = "none")]
mod machine;
pub mod report;
mod sampler;
#[cfg(target_os = "none")]
pub mod semihosting;
mod sound;
pub mod stack;
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod start;
mod text;

#[cfg(feature = "loadable")]
pub use app::app_loadable;
pub use app::{app, app_audio, app_text};
pub use board::{Board, Outcome};
#[doc(hidden)]
pub use entry::{Slot, bytes};
#[cfg(target_os = "none")]
pub use machine::{Machine, Semihosted};
pub use sound::Sound;
#[doc(hidden)]
pub use tealight;

// The start-up code, which nothing names.
#[cfg(all(target_os = "none", target_arch = "arm"))]
use cortex_m_rt as _;
#[cfg(all(target_os = "none", any(target_arch = "riscv32", target_arch = "riscv64")))]
use riscv_rt as _;
