//! What is behind the debug hardware: a core and its memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A register of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Register {
    /// R0 to R15: 13 is the stack pointer in use, 14 the link register, 15 the address of the next instruction.
    General(u8),
    /// The program status.
    Xpsr,
    /// The main stack pointer.
    Msp,
    /// The process stack pointer.
    Psp,
    /// CONTROL, FAULTMASK, BASEPRI and PRIMASK, a byte each, the first the highest.
    Special,
    /// The status and control register of the floating-point unit.
    Fpscr,
    /// S0 to S31.
    Single(u8),
}

/// What a core does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It runs.
    Running,
    /// It stopped at a breakpoint.
    Breakpoint,
    /// It is locked up: a fault occurred for which there is no handler.
    Lockup,
}

/// Why a target does not do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is nothing at the address.
    #[error("nothing answers at {0:#010x}")]
    Bus(u32),
    /// The core has no such register.
    #[error("the core has no register {0:?}")]
    NoRegister(Register),
    /// The target can no longer be reached.
    #[error("the target is gone: {0}")]
    Gone(String),
}

/// A core that can be stopped, and its memory.
///
/// Memory can be accessed while the core runs; registers only while it is stopped.
pub trait Target {
    /// Reads memory. An access of 2 or 4 aligned bytes is one access of the bus.
    ///
    /// # Errors
    /// [`TargetError::Bus`] if there is none at some address.
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), TargetError>;

    /// Writes memory. An access of 2 or 4 aligned bytes is one access of the bus.
    ///
    /// # Errors
    /// [`TargetError::Bus`] if there is none at some address.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TargetError>;

    /// Reads a register of the stopped core.
    ///
    /// # Errors
    /// [`TargetError::NoRegister`] if the core lacks it.
    fn read_register(&mut self, register: Register) -> Result<u32, TargetError>;

    /// Writes a register of the stopped core.
    ///
    /// # Errors
    /// [`TargetError::NoRegister`] if the core lacks it.
    fn write_register(&mut self, register: Register, value: u32) -> Result<(), TargetError>;

    /// Lets the stopped core run until [`Target::halt`], an address of `breakpoints`, or an instruction BKPT.
    ///
    /// # Errors
    /// The target is gone.
    fn resume(&mut self, breakpoints: &[u32]) -> Result<(), TargetError>;

    /// Runs one instruction of the stopped core.
    ///
    /// # Errors
    /// The target is gone.
    fn step(&mut self) -> Result<(), TargetError>;

    /// Stops the core.
    ///
    /// # Errors
    /// The target is gone.
    fn halt(&mut self) -> Result<(), TargetError>;

    /// Returns what a core that was resumed does now.
    ///
    /// # Errors
    /// The target is gone.
    fn activity(&mut self) -> Result<Activity, TargetError>;

    /// Resets the core and its peripherals, and stops the core before its first instruction.
    ///
    /// # Errors
    /// The target is gone.
    fn reset(&mut self) -> Result<(), TargetError>;
}

/// A target that its owner keeps a hand on while a probe serves it.
impl<T: Target> Target for Arc<Mutex<T>> {
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), TargetError> {
        held(self).read(address, bytes)
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TargetError> {
        held(self).write(address, bytes)
    }

    fn read_register(&mut self, register: Register) -> Result<u32, TargetError> {
        held(self).read_register(register)
    }

    fn write_register(&mut self, register: Register, value: u32) -> Result<(), TargetError> {
        held(self).write_register(register, value)
    }

    fn resume(&mut self, breakpoints: &[u32]) -> Result<(), TargetError> {
        held(self).resume(breakpoints)
    }

    fn step(&mut self) -> Result<(), TargetError> {
        held(self).step()
    }

    fn halt(&mut self) -> Result<(), TargetError> {
        held(self).halt()
    }

    fn activity(&mut self) -> Result<Activity, TargetError> {
        held(self).activity()
    }

    fn reset(&mut self) -> Result<(), TargetError> {
        held(self).reset()
    }
}

fn held<T>(target: &Arc<Mutex<T>>) -> MutexGuard<'_, T> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}
