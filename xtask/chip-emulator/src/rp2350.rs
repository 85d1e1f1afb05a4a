//! The RP2350 with its Arm or its RISC-V cores, by the crate `rp2350-emu`.
//!
//! What the crate lacks is made up for from outside:
//! - The boot ROM, whose contents it does not have. The core starts where the ROM would lead: at the vector table, or
//!   at the image's entry point (RP2350 datasheet, 5.9.3).
//! - The bytes that a UART sends. The UART is put into its loopback mode, in which it receives them, and they are read
//!   from there (12.1.8, UARTCR, LBE). So it can receive nothing else.
//! - The Arm instructions that load and store in an order (`LDA`, `STL`, for bytes, half-words and words). They are
//!   replaced by the plain ones, which have the same length: a single core that executes one instruction after another
//!   cannot tell them apart.

use crate::Chip;
use crate::image::{FLASH, Image};
use anyhow::{Result, anyhow, bail};
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
/// The bit of the program status register that is always set: Thumb.
const THUMB: u32 = 1 << 24;

pub(crate) struct Rp2350 {
    chip: Emulator,
    arm: bool,
}

pub(crate) fn start_arm(mut image: Image) -> Result<Rp2350> {
    replace_ordered(&mut image);
    let mut chip = build(Arch::Arm, &image)?;
    let (stack, reset) = (image.word(0)?, image.word(4)?);
    let cores = chip.cores.expect_arm_mut();
    cores[0].ppb.vtor = FLASH;
    cores[0].regs.msp = stack;
    cores[0].regs.r[13] = stack;
    cores[0].regs.set_pc(reset & !1);
    cores[0].regs.xpsr = THUMB;
    cores[1].halt();
    Ok(Rp2350 { chip, arm: true })
}

pub(crate) fn start_riscv(image: &Image) -> Result<Rp2350> {
    let mut chip = build(Arch::RiscV, image)?;
    // A reset leads to the start of RAM: a jump from there. `lui t0, high` and `jr low(t0)`.
    let high = image.entry.wrapping_add(0x800) & 0xFFFF_F000;
    let low = image.entry.wrapping_sub(high) & 0xFFF;
    let jump = [high | 0x2B7, (low << 20) | (5 << 15) | 0x67];
    chip.load_image(RAM, &jump.map(u32::to_le_bytes).concat());
    Ok(Rp2350 { chip, arm: false })
}

fn build(arch: Arch, image: &Image) -> Result<Emulator> {
    let builder = EmulatorBuilder::new(rp2350_emu::Config::default()).arch(arch);
    let mut chip = builder.build().map_err(|error| anyhow!("{error:?}"))?;
    chip.load_flash(&image.flash);
    Ok(chip)
}

impl Chip for Rp2350 {
    fn run(&mut self) -> Result<Vec<u8>> {
        let chip = &mut self.chip;
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
        if self.arm && sent.is_empty() && chip.core(0).is_halted() {
            bail!("the core is locked up at {:#010x}", chip.core(0).regs.pc());
        }
        Ok(sent)
    }
}

/// Replaces loads-acquire and stores-release by plain ones with the same registers (Armv8-M Architecture Reference
/// Manual, C2.4: LDAB, LDAH, LDA, STLB, STLH, STL; LDRB, LDRH, LDR, STRB, STRH, STR, immediate, encoding T2 or T3).
fn replace_ordered(image: &mut Image) {
    for range in image.thumb.clone() {
        let mut at = range.start;
        while let Some([a, b, c, d]) = image.flash.get(at..range.end).and_then(<[u8]>::first_chunk).copied() {
            let (first, second) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            // The first bits of an instruction of two half-words (C1.2.1).
            if first >> 11 < 0b11101 {
                at += 2;
                continue;
            }
            if let Some((first, second)) = plain(first, second) {
                let [a, b] = first.to_le_bytes();
                let [c, d] = second.to_le_bytes();
                image.flash[at..at + 4].copy_from_slice(&[a, b, c, d]);
            }
            at += 4;
        }
    }
}

/// The plain instruction for one that is ordered.
fn plain(first: u16, second: u16) -> Option<(u16, u16)> {
    if first & 0xFFE0 != 0xE8C0 || second & 0x0F8F != 0x0F8F {
        return None;
    }
    let size = (second >> 4) & 7;
    let load = first & 0x10;
    (size < 3).then_some((0xF880 | (size << 5) | load | (first & 0xF), second & 0xF000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_instructions_become_plain_ones_with_the_same_registers() {
        // ldab r0, [r1]; ldah r2, [r3]; lda r4, [r5]; stlb r0, [r1]; stlh r2, [r3]; stl r4, [r5]
        assert_eq!(plain(0xE8D1, 0x0F8F), Some((0xF891, 0x0000)));
        assert_eq!(plain(0xE8D3, 0x2F9F), Some((0xF8B3, 0x2000)));
        assert_eq!(plain(0xE8D5, 0x4FAF), Some((0xF8D5, 0x4000)));
        assert_eq!(plain(0xE8C1, 0x0F8F), Some((0xF881, 0x0000)));
        assert_eq!(plain(0xE8C3, 0x2F9F), Some((0xF8A3, 0x2000)));
        assert_eq!(plain(0xE8C5, 0x4FAF), Some((0xF8C5, 0x4000)));
        // ldaex r0, [r1]: the exclusive ones stay.
        assert_eq!(plain(0xE8D1, 0x0FEF), None);
    }

    #[test]
    fn constants_between_functions_are_left_alone() {
        let ordered = [0xD1, 0xE8, 0x8F, 0x0F];
        let flash = [&[0x00, 0xBF][..], &ordered, &ordered].concat();
        let mut image = Image { flash, entry: 0, thumb: vec![0..2, 2..6] };
        replace_ordered(&mut image);
        assert_eq!(image.flash, [&[0x00, 0xBF, 0x91, 0xF8, 0x00, 0x00][..], &ordered].concat());
    }
}
