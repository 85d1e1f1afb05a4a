//! Flashing: from an ELF image to a running board whose log is shown, through a debug probe and the library probe-rs.
//!
//! | step | module |
//! |---|---|
//! | find the probe | [`probes`] |
//! | read the image, and prove that the chip's memory holds it | [`image`], [`chip`] |
//! | attach, compare chip and board, erase, program, verify, reset | [`board`](mod@board) |
//! | replace the model of firmware that has a slot for it | [`slot`] |
//! | show the log | [`monitor`](mod@monitor) |
//! | notice a probe that no longer answers, and report the state of the board | [`supervise`](mod@supervise) |
//!
//! What can go wrong is an [`Error`], with what to do; a [`supervise::Failure`] adds the state that the board is in.
//! `cargo xtask flash` builds an image and runs this crate's program with it. It is a crate of its own, so that nothing
//! else builds probe-rs.
//!
//! ```
//! use tealight_flash::chip;
//!
//! // The micro:bit's chip in probe-rs's database, without any probe.
//! let chip = chip::find("nRF51822_xxAA")?;
//! let flash = chip.memory_region_by_address(0).expect("its flash begins at 0");
//! assert_eq!(flash.address_range(), 0..0x4_0000);
//! # Ok::<(), tealight_flash::Error>(())
//! ```

pub mod board;
pub mod chip;
mod error;
pub mod image;
pub mod monitor;
pub mod probes;
pub mod slot;
pub mod supervise;

pub use error::Error;
