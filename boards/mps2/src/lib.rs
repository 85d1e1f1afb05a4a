//! Arm's MPS2 boards. Their images differ in addresses and in the clock rate; a board is an [`Image`].

#![no_std]
#![cfg(target_os = "none")]

use core::marker::PhantomData;
use tealight_board::led::RegisterLed;
use tealight_board::{Machine, Wire, clock, keep, log, uart};

/// The differences between the images.
///
/// # Safety
/// The addresses must be those of the image's peripherals, and nothing else in the firmware may use them.
pub unsafe trait Image {
    /// The board's identifier: `env!("TEALIGHT_BOARD")`.
    const ID: &'static str;
    /// Base of CMSDK APB timer 0.
    const TIMER0: usize;
    /// The register of the user LEDs, of which LED 0 is bit 0.
    const LEDS: usize;
    /// The rate of the clock and of the timer, in hertz.
    const HERTZ: u32;
}

/// An [`Image`] with UART 0 as its serial connection.
///
/// # Safety
/// As for [`Image`].
pub unsafe trait Uart: Image {
    /// Base of CMSDK APB UART 0.
    const UART0: usize;
    /// Clock ticks per bit: the clock rate divided by the baud rate.
    const BIT: u32;
}

/// An MPS2 board: a timer and an LED.
pub struct Mps2<I> {
    clock: clock::cmsdk::Timer,
    led: RegisterLed,
    image: PhantomData<I>,
}

impl<I: Image> Machine for Mps2<I> {
    type Led = RegisterLed;

    const ID: &'static str = I::ID;
    const TICKS_PER_SECOND: u32 = I::HERTZ;

    fn take() -> Self {
        // SAFETY: the address is that of the timer, as `Image` requires, and this is called once.
        let clock = unsafe { clock::cmsdk::Timer::start(I::TIMER0) };
        // SAFETY: the register is that of the LEDs, as `Image` requires, and this is called once.
        let led = unsafe { RegisterLed::new((I::LEDS, 1), (I::LEDS, 0)) };
        Self { clock, led, image: PhantomData }
    }

    fn led(&mut self) -> &mut RegisterLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.clock.ticks()
    }
}

/// An MPS2 board with a serial connection.
pub struct WiredMps2<I> {
    board: Mps2<I>,
    receiver: uart::cmsdk::Receiver,
}

impl<I: Uart> Machine for WiredMps2<I> {
    type Led = RegisterLed;

    const ID: &'static str = I::ID;
    const TICKS_PER_SECOND: u32 = I::HERTZ;

    fn take() -> Self {
        let board = Mps2::take();
        // SAFETY: the address is that of the UART, as `Image` requires, and this is called once.
        let (sender, receiver) = unsafe { uart::cmsdk::start(I::UART0, I::BIT) };
        log::start(keep!(sender => uart::cmsdk::Sender));
        Self { board, receiver }
    }

    fn led(&mut self) -> &mut RegisterLed {
        self.board.led()
    }

    fn ticks(&mut self) -> u32 {
        self.board.ticks()
    }
}

impl<I: Uart> Wire for WiredMps2<I> {
    type Reader = uart::cmsdk::Receiver;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}
