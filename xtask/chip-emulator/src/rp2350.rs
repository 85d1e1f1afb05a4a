//! The RP2350 with its RISC-V cores, by the crate `rp2350-emu`. (Of the instructions of its Arm cores the crate lacks some, or
//! reads them as others; Unicorn emulates these cores.)
//!
//! What the crate lacks is made up for from outside:
//! - The boot ROM, whose contents it does not have. The core starts where the ROM would lead, at the
//!   image's entry point (RP2350 datasheet, 5.9.3).
//! - The bytes that a UART sends. The UART is put into its loopback mode, in which it receives them, and they are read
//!   from there (12.1.8, UARTCR, LBE). So it can receive nothing else.

use crate::Chip;
use crate::image::Image;
use anyhow::{Result, anyhow};
use rp2350_emu::{Arch, Emulator, EmulatorBuilder};

/// Cycles of a call of `run`: fewer than a byte takes on the wire, so that none is missed before the loopback is on,
/// and fewer than 16 bytes take, which is what the UART keeps.
const PIECE: u64 = 8_000;

// UART 0 (RP2350 datasheet, 12.1.8).
const UARTDR: u32 = 0x4007_0000;
const UARTFR: u32 = 0x4007_0018;
const UARTFR_RXFE: u32 = 1 << 4;
const UARTCR: u32 = 0x4007_0030;
const UARTCR_UARTEN: u32 = 1;
const UARTCR_LBE: u32 = 1 << 7;
const UARTCR_RXE: u32 = 1 << 9;
/// Writes to a register here set bits of it (2.1.3).
const SET: u32 = 0x2000;

/// The start of RAM.
const RAM: u32 = 0x2000_0000;

pub(crate) struct Rp2350(Emulator);

pub(crate) fn start(image: &Image) -> Result<Rp2350> {
    let builder = EmulatorBuilder::new(rp2350_emu::Config::default()).arch(Arch::RiscV);
    let mut chip = builder.build().map_err(|error| anyhow!("{error:?}"))?;
    chip.load_flash(&image.flash);
    // A reset leads to the start of RAM: a jump from there. `lui t0, high` and `jr low(t0)`.
    let high = image.entry.wrapping_add(0x800) & 0xFFFF_F000;
    let low = image.entry.wrapping_sub(high) & 0xFFF;
    let jump = [high | 0x2B7, (low << 20) | (5 << 15) | 0x67];
    chip.load_image(RAM, &jump.map(u32::to_le_bytes).concat());
    Ok(Rp2350(chip))
}

impl Chip for Rp2350 {
    fn run(&mut self) -> Result<Vec<u8>> {
        let chip = &mut self.0;
        chip.run(PIECE).map_err(|error| anyhow!("{error:?}"))?;
        let control = chip.mmio_read32(UARTCR);
        if control & UARTCR_UARTEN == 0 {
            return Ok(Vec::new());
        }
        if control & UARTCR_LBE == 0 {
            chip.mmio_write32(UARTCR + SET, UARTCR_LBE | UARTCR_RXE);
        }
        let mut sent = Vec::new();
        while chip.mmio_read32(UARTFR) & UARTFR_RXFE == 0 {
            sent.push(chip.mmio_read32(UARTDR) as u8);
        }
        Ok(sent)
    }
}
