//! QEMU's RISC-V virt machines. They only differ in their cores; a board is an [`Image`].

#![no_std]
#![cfg(target_os = "none")]

use core::marker::PhantomData;
use tealight_board::Machine;
use tealight_board::clock::cycle;
use tealight_board::led::NoLed;

/// The differences between the machines.
pub trait Image {
    /// The board's identifier: `env!("TEALIGHT_BOARD")`.
    const ID: &'static str;
}

/// Places a jump to the start-up code at the address at which QEMU starts the machine (`[memory.reset]` in board.toml).
/// Once in a program, and in the program's own crate: the linker drops code of a library that nothing refers to.
#[macro_export]
macro_rules! reset {
    () => {
        core::arch::global_asm!(".section .reset, \"ax\"", "tail _start");
    };
}

/// A virt machine: a cycle counter and no LED.
pub struct Virt<I> {
    led: NoLed,
    image: PhantomData<I>,
}

impl<I: Image> Machine for Virt<I> {
    type Led = NoLed;

    const ID: &'static str = I::ID;
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self { led: NoLed, image: PhantomData }
    }

    fn led(&mut self) -> &mut NoLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}
