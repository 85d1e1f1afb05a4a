//! A debug probe made of software: unmodified probe-rs attaches to it, and finds a Cortex-M.
//!
//! To probe-rs it is a Glasgow interface board, reached over TCP or a Unix socket. Behind it are a debug port, a memory
//! access port and the debug registers of a core, which keep to Arm's specifications; and behind those a [`Target`]: the
//! core itself and its memory. [`Qemu`] is one, so that flash algorithms and firmware really run. [`Memory`] is another,
//! for tests of what talks to a debug port.
//!
//! | layer | module | source |
//! |---|---|---|
//! | [`SimulatedProbe`] | packets, commands, [`Fault`]s | probe-rs 0.32, `src/probe/glasgow` |
//! | [`DebugPort`] | line, debug port, memory access port | Arm Debug Interface v5.2 (IHI 0031) |
//! | core debug | halting, registers, breakpoints, vector catch | Armv6-M, Armv7-M, Armv8-M |
//! | [`Target`] | what executes | QEMU's GDB server |
//!
//! # Example
//! A program reads the identification of an emulated micro:bit:
//!
//! ```no_run
//! use std::process::Command;
//! use tealight_simulated_probe::{Chip, Machine, Qemu, SimulatedProbe};
//!
//! let mut command = Command::new("qemu-system-arm");
//! command.args(["-M", "microbit"]);
//! let target = Qemu::start(command, Machine { vectors: 0, ram: 0x2000_0000 })?;
//! let probe = SimulatedProbe::start(Chip::CORTEX_M0, target)?;
//! println!("probe-rs info --probe {}", probe.selector());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The probe listens on this machine only, and serves one host after another. Dropping it ends the emulator.

mod chip;
mod core_debug;
mod debug_port;
mod fault;
mod gdb;
mod glasgow;
mod line;
mod memory;
mod qemu;
mod server;
mod target;

pub use chip::{Chip, Comparators};
pub use debug_port::{Answer, DebugPort, Transfer};
pub use fault::Fault;
pub use gdb::Traffic;
pub use memory::Memory;
pub use qemu::{Machine, Qemu};
pub use server::{SimulatedProbe, Switch};
pub use target::{Activity, Register, Target, TargetError};
