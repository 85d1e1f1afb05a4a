//! The debug registers of a Cortex-M core (Armv7-M Architecture Reference Manual, C1; Armv6-M, C1; Armv8-M, D1.2).
//!
//! Whether the core is halted, why, and which breakpoints are set is kept here; registers and execution are the
//! target's.

use crate::chip::{Chip, Comparators};
use crate::{Activity, Register, Target, TargetError};

const AIRCR: u32 = 0xE000_ED0C;
const DFSR: u32 = 0xE000_ED30;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const FP_CTRL: u32 = 0xE000_2000;
const FP_REMAP: u32 = 0xE000_2004;
const FP_COMP: u32 = 0xE000_2008;

/// The keys without which writes are ignored.
const AIRCR_KEY: u32 = 0x05FA;
const DHCSR_KEY: u32 = 0xA05F;
/// AIRCR.SYSRESETREQ and AIRCR.VECTRESET.
const RESET_REQUESTS: u32 = 0b101;

const C_DEBUGEN: u32 = 1;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const C_MASKINTS: u32 = 1 << 3;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_LOCKUP: u32 = 1 << 19;
const S_RETIRE_ST: u32 = 1 << 24;
const S_RESET_ST: u32 = 1 << 25;

const DFSR_HALTED: u32 = 1;
const DFSR_BKPT: u32 = 1 << 1;
const DFSR_VCATCH: u32 = 1 << 3;

const VC_CORERESET: u32 = 1;

const FP_ENABLE: u32 = 1;
const FP_KEY: u32 = 1 << 1;

/// DCRSR.REGWnR.
const WRITE_REGISTER: u32 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Halted,
    Lockup,
}

/// The debug registers.
#[derive(Debug)]
pub(crate) struct CoreDebug {
    comparators_hold: Comparators,
    state: State,
    /// C_DEBUGEN and C_MASKINTS.
    control: u32,
    register_ready: bool,
    /// S_RESET_ST, until it is read.
    was_reset: bool,
    dfsr: u32,
    dcrdr: u32,
    demcr: u32,
    breakpoints_enabled: bool,
    comparators: Vec<u32>,
    /// A fault: requests to halt have no effect.
    pub(crate) never_halts: bool,
}

impl CoreDebug {
    /// Of a core that is stopped before its first instruction, because power has just come.
    pub(crate) fn new(chip: &Chip) -> Self {
        Self {
            comparators_hold: chip.comparators,
            state: State::Halted,
            control: 0,
            register_ready: true,
            was_reset: true,
            dfsr: 0,
            dcrdr: 0,
            demcr: 0,
            breakpoints_enabled: false,
            comparators: vec![0; chip.breakpoints.into()],
            never_halts: false,
        }
    }

    /// What the core does when power has come: it runs.
    pub(crate) fn power_up(&mut self, target: &mut dyn Target) -> Result<(), TargetError> {
        target.reset()?;
        self.resume(target)
    }

    /// Reads the register at `address`, or returns `None` if there is none of them.
    pub(crate) fn read(&mut self, target: &mut dyn Target, address: u32) -> Option<Result<u32, TargetError>> {
        self.owns(address).then(|| {
            self.follow(target)?;
            Ok(match address {
                DFSR => self.dfsr,
                DHCSR => self.status(),
                DCRDR => self.dcrdr,
                DEMCR => self.demcr,
                FP_CTRL => self.breakpoint_control(),
                _ => self.comparator(address).copied().unwrap_or(0),
            })
        })
    }

    /// Writes the register at `address`, or returns `None` if there is none of them.
    pub(crate) fn write(
        &mut self,
        target: &mut dyn Target,
        address: u32,
        value: u32,
    ) -> Option<Result<(), TargetError>> {
        (self.owns(address) || address == AIRCR).then(|| {
            self.follow(target)?;
            match address {
                AIRCR if value >> 16 != AIRCR_KEY => {}
                AIRCR if value & RESET_REQUESTS != 0 => self.reset(target)?,
                AIRCR => target.write(address, &value.to_le_bytes())?,
                DFSR => self.dfsr &= !value,
                DHCSR => self.control(target, value)?,
                DCRSR => self.transfer(target, value)?,
                DCRDR => self.dcrdr = value,
                DEMCR => self.demcr = value,
                FP_CTRL if value & FP_KEY != 0 => self.breakpoints_enabled = value & FP_ENABLE != 0,
                _ => {
                    if let Some(comparator) = self.comparator(address) {
                        *comparator = value;
                    }
                }
            }
            Ok(())
        })
    }

    /// Resets the core; it then runs, or is halted before its first instruction if the vector catch is set.
    pub(crate) fn reset(&mut self, target: &mut dyn Target) -> Result<(), TargetError> {
        if self.state == State::Running {
            target.halt()?;
        }
        target.reset()?;
        self.state = State::Halted;
        self.was_reset = true;
        self.register_ready = true;
        self.breakpoints_enabled = false;
        if self.demcr & VC_CORERESET != 0 && self.control & C_DEBUGEN != 0 && !self.never_halts {
            self.dfsr |= DFSR_VCATCH;
            return Ok(());
        }
        self.resume(target)
    }

    /// AIRCR is only written here: what is read of it is the target's.
    fn owns(&self, address: u32) -> bool {
        let comparators = FP_COMP..FP_COMP + 4 * self.comparators.len() as u32;
        matches!(address, DFSR | DHCSR | DCRSR | DCRDR | DEMCR | FP_CTRL | FP_REMAP)
            || address.is_multiple_of(4) && comparators.contains(&address)
    }

    fn comparator(&mut self, address: u32) -> Option<&mut u32> {
        self.comparators.get_mut((address.checked_sub(FP_COMP)? / 4) as usize)
    }

    /// FP_CTRL: the number of comparators, and the unit's version.
    fn breakpoint_control(&self) -> u32 {
        let count = self.comparators.len() as u32;
        let version = u32::from(self.comparators_hold == Comparators::Instruction);
        version << 28 | (count >> 4 & 7) << 12 | (count & 0xF) << 4 | u32::from(self.breakpoints_enabled)
    }

    /// DHCSR; reading it clears S_RESET_ST.
    fn status(&mut self) -> u32 {
        let state = match self.state {
            State::Running => S_RETIRE_ST,
            State::Halted => C_HALT | S_HALT,
            State::Lockup => S_LOCKUP,
        };
        let ready = if self.register_ready { S_REGRDY } else { 0 };
        let reset = if std::mem::take(&mut self.was_reset) { S_RESET_ST } else { 0 };
        self.control | state | ready | reset
    }

    /// Notices that the core has stopped by itself.
    fn follow(&mut self, target: &mut dyn Target) -> Result<(), TargetError> {
        if self.state == State::Running {
            match target.activity()? {
                Activity::Running => {}
                Activity::Breakpoint => {
                    self.state = State::Halted;
                    self.dfsr |= DFSR_BKPT;
                }
                Activity::Lockup => self.state = State::Lockup,
            }
        }
        Ok(())
    }

    /// A write of DHCSR. Halting and stepping need C_DEBUGEN.
    fn control(&mut self, target: &mut dyn Target, value: u32) -> Result<(), TargetError> {
        if value >> 16 != DHCSR_KEY {
            return Ok(());
        }
        self.control = value & (C_DEBUGEN | C_MASKINTS);
        let halted = self.state == State::Halted;
        if value & C_DEBUGEN == 0 {
            self.control = 0;
            return if halted { self.resume(target) } else { Ok(()) };
        }
        if value & C_HALT != 0 {
            return if halted { Ok(()) } else { self.halt(target) };
        }
        match halted {
            true if value & C_STEP != 0 => {
                target.step()?;
                self.dfsr |= DFSR_HALTED;
                Ok(())
            }
            true => self.resume(target),
            false => Ok(()),
        }
    }

    fn halt(&mut self, target: &mut dyn Target) -> Result<(), TargetError> {
        if !self.never_halts {
            target.halt()?;
            self.state = State::Halted;
            self.dfsr |= DFSR_HALTED;
        }
        Ok(())
    }

    fn resume(&mut self, target: &mut dyn Target) -> Result<(), TargetError> {
        let breakpoints = self.breakpoints();
        target.resume(&breakpoints)?;
        self.state = State::Running;
        Ok(())
    }

    /// The addresses at which the core stops.
    fn breakpoints(&self) -> Vec<u32> {
        if !self.breakpoints_enabled {
            return Vec::new();
        }
        let enabled = self.comparators.iter().filter(|comparator| *comparator & 1 != 0);
        let mut addresses = Vec::new();
        for comparator in enabled {
            match self.comparators_hold {
                Comparators::Instruction => addresses.push(comparator & !1),
                Comparators::Word => {
                    let word = comparator & 0x1FFF_FFFC;
                    let halves = comparator >> 30;
                    addresses.extend((halves & 1 != 0).then_some(word));
                    addresses.extend((halves & 2 != 0).then_some(word + 2));
                }
            }
        }
        addresses
    }

    /// A write of DCRSR: a register goes to DCRDR, or comes from it. Only a halted core does it.
    fn transfer(&mut self, target: &mut dyn Target, value: u32) -> Result<(), TargetError> {
        self.register_ready = self.state == State::Halted;
        let Some(register) = register(value & 0x7F).filter(|_| self.register_ready) else { return Ok(()) };
        let transferred = if value & WRITE_REGISTER != 0 {
            target.write_register(register, self.dcrdr)
        } else {
            target.read_register(register).map(|value| self.dcrdr = value)
        };
        match transferred {
            // What a core lacks reads as zero, and ignores writes.
            Err(TargetError::NoRegister(_)) => {
                self.dcrdr = 0;
                Ok(())
            }
            other => other,
        }
    }
}

/// The register that DCRSR.REGSEL selects.
fn register(selected: u32) -> Option<Register> {
    match selected {
        0..=15 => Some(Register::General(selected as u8)),
        16 => Some(Register::Xpsr),
        // Armv8-M's secure stack pointers are those of the state that firmware without a non-secure part runs in.
        17 | 26 => Some(Register::Msp),
        18 | 27 => Some(Register::Psp),
        20 => Some(Register::Special),
        33 => Some(Register::Fpscr),
        64..=95 => Some(Register::Single((selected - 64) as u8)),
        _ => None,
    }
}
