//! What all boards share: the [`Board`] trait, the firmware [`mod@app`], its [`report`] in the [`log`], and the
//! measurement of time ([`calibrate`]) and stack ([`stack`]).
//!
//! An app is written once, for any [`Board`]; a board's `main.rs` only connects its peripherals to it ([`firmware!`]).
//! Nothing here formats with `core::fmt` or indexes a slice, so an image built from it contains no path to a panic.

#![cfg_attr(target_os = "none", no_std)]

#[cfg(all(target_os = "none", feature = "measure-interrupts"))]
mod alarm;
pub mod app;
#[cfg(feature = "balance")]
pub mod balance;
mod board;
mod bytes;
pub mod calibrate;
#[cfg(target_os = "none")]
pub mod clock;
mod entry;
#[cfg(target_os = "none")]
mod fault;
mod input;
#[cfg(all(target_os = "none", feature = "measure-interrupts"))]
mod interrupts;
pub mod led;
pub mod log;
mod machine;
#[cfg(all(target_os = "none", target_arch = "arm"))]
mod memory;
#[cfg(feature = "measure-polls")]
mod polls;
pub mod report;
#[cfg(all(target_os = "none", feature = "rtt"))]
pub mod rtt;
mod sampler;
#[cfg(feature = "seed-faults")]
mod seeds;
#[cfg(all(target_os = "none", feature = "semihosting"))]
mod semihosted;
#[cfg(all(target_os = "none", feature = "semihosting"))]
pub mod semihosting;
#[cfg(all(target_os = "none", feature = "single-core", target_arch = "aarch64"))]
mod single_core;
mod sound;
pub mod stack;
#[cfg(all(target_os = "none", feature = "start", target_arch = "aarch64"))]
mod start;
mod text;
#[cfg(target_os = "none")]
pub mod uart;
#[cfg(target_os = "none")]
mod wired;

#[cfg(feature = "loadable")]
pub use app::app_loadable;
#[cfg(feature = "model-slot")]
pub use app::app_slot;
pub use app::{app, app_audio, app_text};
#[cfg(feature = "balance")]
pub use balance::app_balance;
pub use board::{Board, Outcome};
#[cfg(all(target_os = "none", feature = "model-slot"))]
#[doc(hidden)]
pub use entry::slot;
#[doc(hidden)]
pub use entry::{Slot, bytes};
#[cfg(all(target_os = "none", feature = "faults"))]
#[doc(hidden)]
pub use fault::guard_stack;
#[cfg(all(target_os = "none", feature = "measure-interrupts"))]
pub use interrupts::app_interrupts;
pub use machine::Machine;
#[cfg(all(target_os = "none", feature = "semihosting"))]
pub use semihosted::Semihosted;
pub use sound::Sound;
#[doc(hidden)]
pub use tealight;
#[cfg(target_os = "none")]
pub use wired::{ByteReader, Incoming, Outgoing, Wire, Wired};

// Links the start-up code, which nothing refers to.
#[cfg(all(target_os = "none", feature = "start", target_arch = "arm"))]
use cortex_m_rt as _;
#[cfg(all(target_os = "none", feature = "start", any(target_arch = "riscv32", target_arch = "riscv64")))]
use riscv_rt as _;
// Links the critical section of a single core, which nothing refers to.
#[cfg(all(target_os = "none", feature = "single-core", target_arch = "arm"))]
use cortex_m as _;
#[cfg(all(target_os = "none", feature = "single-core", any(target_arch = "riscv32", target_arch = "riscv64")))]
use riscv as _;
