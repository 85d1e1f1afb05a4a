//! A target without a processor: memory and registers, for tests of what talks to a debug port.

use crate::{Activity, Register, Target, TargetError};
use std::collections::BTreeMap;

/// Memory and registers. Its core executes nothing: it runs until it is halted, or stops at once at the first
/// breakpoint that it is given.
///
/// ```
/// use tealight_simulated_probe::{Memory, Target};
///
/// let mut target = Memory::new(&[(0x2000_0000, 1024)]);
/// target.write(0x2000_0010, &[1, 2, 3, 4])?;
/// let mut bytes = [0; 2];
/// target.read(0x2000_0012, &mut bytes)?;
/// assert_eq!(bytes, [3, 4]);
/// assert!(target.read(0, &mut bytes).is_err());
/// # Ok::<(), tealight_simulated_probe::TargetError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    regions: Vec<(u32, Vec<u8>)>,
    registers: BTreeMap<Register, u32>,
    running: bool,
    stop_at: Option<u32>,
    resets: u32,
}

impl Memory {
    /// Memory that is zero, in regions of a first address and a length in bytes.
    pub fn new(regions: &[(u32, usize)]) -> Self {
        let regions = regions.iter().map(|&(start, length)| (start, vec![0; length])).collect();
        Self { regions, ..Self::default() }
    }

    /// The number of resets.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    fn at(&mut self, address: u32, length: usize) -> Result<&mut [u8], TargetError> {
        let found = self.regions.iter_mut().find_map(|(start, bytes)| {
            let offset = address.checked_sub(*start)? as usize;
            bytes.get_mut(offset..offset.checked_add(length)?)
        });
        found.ok_or(TargetError::Bus(address))
    }
}

impl Target for Memory {
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), TargetError> {
        bytes.copy_from_slice(self.at(address, bytes.len())?);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TargetError> {
        self.at(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn read_register(&mut self, register: Register) -> Result<u32, TargetError> {
        Ok(self.registers.get(&register).copied().unwrap_or(0))
    }

    fn write_register(&mut self, register: Register, value: u32) -> Result<(), TargetError> {
        self.registers.insert(register, value);
        Ok(())
    }

    fn resume(&mut self, breakpoints: &[u32]) -> Result<(), TargetError> {
        self.running = true;
        self.stop_at = breakpoints.first().copied();
        Ok(())
    }

    fn step(&mut self) -> Result<(), TargetError> {
        *self.registers.entry(Register::General(15)).or_default() += 2;
        Ok(())
    }

    fn halt(&mut self) -> Result<(), TargetError> {
        self.running = false;
        Ok(())
    }

    fn activity(&mut self) -> Result<Activity, TargetError> {
        let Some(address) = self.stop_at.take() else { return Ok(Activity::Running) };
        self.running = false;
        self.registers.insert(Register::General(15), address);
        Ok(Activity::Breakpoint)
    }

    fn reset(&mut self) -> Result<(), TargetError> {
        self.resets += 1;
        self.running = false;
        self.registers.clear();
        self.registers.insert(Register::Xpsr, 1 << 24);
        Ok(())
    }
}
