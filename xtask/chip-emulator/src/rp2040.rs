//! The RP2040, by the crate `rp2040-emu`.
//!
//! It has no boot ROM, and a ROM put into it finds no flash: its flash controller, for which the ROM and the second boot
//! stage wait, is busy for ever. So both are skipped: the core starts at the vector table behind the second stage, as if
//! both had run (RP2040 datasheet, 2.8.1).

use crate::Chip;
use crate::image::Image;
use anyhow::{Result, anyhow, bail};
use rp2040_emu::{Emulator, EmulatorBuilder};

/// The length of the second stage, with its checksum.
const SECOND_STAGE: u32 = 0x100;
/// Cycles of a call of `run`, and of its parts, after each of which a sleeping core is woken.
const PIECE: u64 = 100_000;
const PART: u64 = 1000;

pub(crate) struct Rp2040(Emulator);

pub(crate) fn start(image: &Image) -> Result<Rp2040> {
    let mut chip = EmulatorBuilder::new(rp2040_emu::Config::default()).build().map_err(|error| anyhow!("{error:?}"))?;
    chip.load_flash(&image.flash);
    chip.direct_boot_from_flash(SECOND_STAGE);
    Ok(Rp2040(chip))
}

impl Chip for Rp2040 {
    fn run(&mut self) -> Result<Vec<u8>> {
        for _ in 0..PIECE / PART {
            self.0.run(PART).map_err(|error| anyhow!("{error:?}"))?;
            self.wake();
        }
        let sent = self.0.drain_uart0_tx_log();
        if sent.is_empty() && self.0.core(0).is_halted() {
            bail!("the core is locked up at {:#010x}", self.0.core(0).regs.pc());
        }
        Ok(sent)
    }
}

impl Rp2040 {
    /// Ends the first core's WFE if an interrupt waits, which the emulator forgets (ARMv6-M reference manual, B1.5.19).
    fn wake(&mut self) {
        let bus = &mut self.0.bus;
        if bus.wfe_waiting[0] && bus.nvics[0].pending_and_enabled() != 0 {
            bus.event_flag[0] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
    use super::*;

    /// Once this fails, the second boot stage can be run.
    #[test]
    fn the_flash_controller_that_the_second_stage_waits_for_is_busy_for_ever() {
        // SSI_SR and its bit BUSY (RP2040 datasheet, 4.10.13).
        const STATUS: u32 = 0x1800_0028;
        const BUSY: u32 = 1;
        let mut chip = EmulatorBuilder::new(rp2040_emu::Config::default()).build().unwrap();
        for _ in 0..3 {
            assert_eq!(chip.bus.read32(STATUS) & BUSY, BUSY);
            chip.run(PIECE).unwrap();
        }
    }
}
