//! The debug port and its memory access port (Arm Debug Interface Architecture Specification v5.2, B2, C1 and C2).
//!
//! The rules that a debugger must keep to, and that this code keeps to:
//! - A read of the access port is posted: it returns what the read before it found, and RDBUFF returns the last.
//! - An access that fails sets a sticky flag. From then on everything is answered by FAULT, but reads of DPIDR and
//!   CTRL/STAT and writes of ABORT, which clears the flag.
//! - The access port answers once the debug and the system domain have power, which is requested and acknowledged in CTRL/STAT.
//! - TAR increments within 1 KiB: after the last byte of such a block follows its first.

use crate::chip::Chip;
use crate::core_debug::CoreDebug;
use crate::line::{Line, Sequences};
use crate::{Target, TargetError};

/// CTRL/STAT's flags, and the bits of a debugger.
const STICKYORUN: u32 = 1 << 1;
const STICKYCMP: u32 = 1 << 4;
const STICKYERR: u32 = 1 << 5;
const READOK: u32 = 1 << 6;
const WDATAERR: u32 = 1 << 7;
const STICKY: u32 = STICKYORUN | STICKYCMP | STICKYERR | WDATAERR;
const REQUESTS: u32 = 1 << 26 | 1 << 28 | 1 << 30;
const POWER: u32 = 1 << 29 | 1 << 31;
/// ORUNDETECT, TRNMODE, MASKLANE and TRNCNT.
const SETTINGS: u32 = 0x00FF_FF0D;

/// CSW.DeviceEn.
const DEVICE_ENABLED: u32 = 1 << 6;
/// CSW's bits that a debugger sets: Size, AddrInc, Mode and the protection of the bus.
const CSW_WRITABLE: u32 = 0xFF00_0F37;
/// Protection bits after a reset.
const CSW_RESET: u32 = 0x0300_0042;

/// TAR increments in blocks of this many bytes.
const BLOCK: u32 = 0x400;

/// A transfer on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// To the access port instead of the debug port.
    pub to_access_port: bool,
    /// The register's address: 0, 4, 8 or 12.
    pub address: u8,
    /// What is written, or `None` for a read.
    pub data: Option<u32>,
}

impl Transfer {
    /// A read of the debug port.
    pub const fn read(address: u8) -> Self {
        Self { to_access_port: false, address, data: None }
    }

    /// A write of the debug port.
    pub const fn write(address: u8, data: u32) -> Self {
        Self { to_access_port: false, address, data: Some(data) }
    }

    /// The same of the access port.
    pub const fn of_access_port(self) -> Self {
        Self { to_access_port: true, ..self }
    }
}

/// What the chip answers to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A write was taken.
    Written,
    /// What was read.
    Read(u32),
    /// A sticky flag is set; nothing was done.
    Fault,
    /// No answer, or one with a wrong parity.
    Error,
}

/// The debug hardware of a chip, in front of a [`Target`].
///
/// ```
/// use tealight_simulated_probe::{Answer, Chip, DebugPort, Memory, Transfer};
///
/// let mut port = DebugPort::new(Chip::CORTEX_M0, Memory::new(&[(0x2000_0000, 1024)]));
/// port.sequence(0xE79E, 16); // from JTAG to Serial Wire
/// port.sequence(u32::MAX, 32);
/// port.sequence(u32::MAX, 32); // the reset of the line
/// assert_eq!(port.transfer(Transfer::read(0)), Answer::Read(Chip::CORTEX_M0.dpidr));
/// ```
#[derive(Debug)]
pub struct DebugPort<T> {
    chip: Chip,
    target: T,
    core: CoreDebug,
    sequences: Sequences,
    control: u32,
    /// Power that was requested and is not acknowledged yet.
    power_comes: bool,
    select: u32,
    csw: u32,
    tar: u32,
    posted: u32,
    absent: bool,
    locked: bool,
    words: Vec<(u32, u32)>,
    inverted: Vec<(u32, u8)>,
    /// Addresses whose reading is noticed, and whether one was read.
    watched: Vec<u32>,
    was_read: bool,
}

impl<T: Target> DebugPort<T> {
    /// The debug port of a chip that has just got power; its core is stopped before its first instruction.
    pub fn new(chip: Chip, target: T) -> Self {
        Self {
            chip,
            target,
            core: CoreDebug::new(&chip),
            sequences: Sequences::default(),
            control: 0,
            power_comes: false,
            select: 0,
            csw: CSW_RESET,
            tar: 0,
            posted: 0,
            absent: false,
            locked: false,
            words: Vec::new(),
            inverted: Vec::new(),
            watched: Vec::new(),
            was_read: false,
        }
    }

    /// Lets the core run from its reset, as it does when power comes.
    ///
    /// # Errors
    /// The target is gone.
    pub fn power_up(&mut self) -> Result<(), TargetError> {
        self.core.power_up(&mut self.target)
    }

    /// The target.
    pub fn target(&mut self) -> &mut T {
        &mut self.target
    }

    /// Takes the target out.
    pub fn into_target(self) -> T {
        self.target
    }

    /// Resets the chip by its pin.
    ///
    /// # Errors
    /// The target is gone.
    pub fn reset(&mut self) -> Result<(), TargetError> {
        self.core.reset(&mut self.target)
    }

    /// Takes bits that are not part of a transfer, the least significant first.
    pub fn sequence(&mut self, bits: u32, count: u32) {
        self.sequences.push(bits, count);
        if self.sequences.line() == Line::Reset {
            self.select &= !0xF;
        }
    }

    /// Does a transfer.
    pub fn transfer(&mut self, transfer: Transfer) -> Answer {
        if !self.answers(transfer) {
            return Answer::Error;
        }
        match (transfer.to_access_port, transfer.address, transfer.data) {
            (false, 0, None) => {
                self.sequences.identified();
                Answer::Read(self.chip.dpidr)
            }
            (false, 0, Some(data)) => {
                self.abort(data);
                Answer::Written
            }
            (false, 4, None) => Answer::Read(self.status()),
            _ if self.control & STICKY != 0 => Answer::Fault,
            (false, 4, Some(data)) => {
                self.request(data);
                Answer::Written
            }
            (false, 8, Some(data)) => {
                self.select = data;
                Answer::Written
            }
            // RESEND and RDBUFF.
            (false, _, None) => Answer::Read(self.posted),
            (false, _, Some(_)) => Answer::Written,
            (true, ..) if self.control & POWER != POWER => {
                self.control |= STICKYERR;
                Answer::Fault
            }
            (true, address, None) => {
                let found = self.accessed(|port| port.read_access_port(address));
                self.control = if found.is_some() { self.control | READOK } else { self.control & !READOK };
                Answer::Read(std::mem::replace(&mut self.posted, found.unwrap_or(0)))
            }
            (true, address, Some(data)) => {
                self.accessed(|port| port.write_access_port(address, data));
                Answer::Written
            }
        }
    }

    /// Does transfers that follow one another. Words that are read or written in a row are one access of the target,
    /// which makes a difference in time only.
    pub fn transfers(&mut self, transfers: &[Transfer]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(transfers.len());
        let mut rest = transfers;
        while let Some((&first, others)) = rest.split_first() {
            let same = |other: &&Transfer| {
                other.to_access_port && other.address == first.address && other.data.is_some() == first.data.is_some()
            };
            let run = 1 + others.iter().take_while(same).count();
            let (row, after) = rest.split_at(run.min(self.in_a_row(first)));
            match self.row(row) {
                Some(several) => {
                    answers.extend(several);
                    rest = after;
                }
                None => {
                    answers.push(self.transfer(first));
                    rest = others;
                }
            }
        }
        answers
    }

    /// The parity of a transfer's data was wrong.
    pub(crate) fn wrong_parity(&mut self, transfer: Transfer) -> Answer {
        if transfer.data.is_some() {
            // The chip sets a flag, which makes its next answer a fault.
            self.control |= WDATAERR;
            return Answer::Written;
        }
        self.transfer(transfer);
        Answer::Error
    }

    pub(crate) fn set_identification(&mut self, dpidr: u32) {
        self.chip.dpidr = dpidr;
    }

    pub(crate) fn take_away(&mut self) {
        self.absent = true;
    }

    pub(crate) fn lock(&mut self) {
        self.locked = true;
    }

    pub(crate) fn never_halt(&mut self) {
        self.core.never_halts = true;
    }

    pub(crate) fn read_word_as(&mut self, address: u32, value: u32) {
        self.words.push((address, value));
    }

    pub(crate) fn read_inverted(&mut self, address: u32, bits: u8) {
        self.inverted.push((address, bits));
    }

    pub(crate) fn watch(&mut self, address: u32) {
        self.watched.push(address);
    }

    /// Whether a watched address was read since this was asked last.
    pub(crate) fn watched_was_read(&mut self) -> bool {
        std::mem::take(&mut self.was_read)
    }

    fn answers(&self, transfer: Transfer) -> bool {
        let identifies = transfer == Transfer::read(0);
        match self.sequences.line() {
            _ if self.absent => false,
            Line::Jtag | Line::Selected => false,
            Line::Reset => identifies,
            Line::Connected => true,
        }
    }

    /// A write of ABORT.
    fn abort(&mut self, data: u32) {
        for (bit, flag) in [(1, STICKYCMP), (2, STICKYERR), (3, WDATAERR), (4, STICKYORUN)] {
            if data >> bit & 1 != 0 {
                self.control &= !flag;
            }
        }
    }

    /// A read of the register at address 4: CTRL/STAT in bank 0.
    fn status(&mut self) -> u32 {
        if self.select & 0xF != 0 {
            return 0;
        }
        let status = self.control;
        // The acknowledgement comes a while after the request.
        if std::mem::take(&mut self.power_comes) {
            self.control = self.control & !(REQUESTS << 1) | (self.control & REQUESTS) << 1;
        }
        status
    }

    /// A write of CTRL/STAT.
    fn request(&mut self, data: u32) {
        if self.select & 0xF == 0 {
            let kept = self.control & !(REQUESTS | SETTINGS);
            self.control = kept | data & (REQUESTS | SETTINGS);
            self.power_comes = true;
        }
    }

    /// Sets the flag by the outcome of an access.
    fn accessed<R>(&mut self, access: impl FnOnce(&mut Self) -> Result<R, TargetError>) -> Option<R> {
        let done = access(self).ok();
        if done.is_none() {
            self.control |= STICKYERR;
        }
        done
    }

    fn read_access_port(&mut self, address: u8) -> Result<u32, TargetError> {
        if self.select >> 24 != 0 {
            return Ok(0);
        }
        match (self.select & 0xF0) as u8 | address {
            0x00 if self.locked => Ok(self.csw & !DEVICE_ENABLED),
            0x00 => Ok(self.csw),
            0x04 => Ok(self.tar),
            0x0C => {
                let value = self.read_lanes()?;
                self.increment();
                Ok(value)
            }
            banked @ (0x10 | 0x14 | 0x18 | 0x1C) => self.read_word(self.tar & !0xF | u32::from(banked & 0xC)),
            // BASE and IDR.
            0xF8 => Ok(self.chip.rom_table),
            0xFC => Ok(self.chip.ap_idr),
            // CFG: little-endian, no large addresses, no large data. The rest is reserved.
            _ => Ok(0),
        }
    }

    fn write_access_port(&mut self, address: u8, data: u32) -> Result<(), TargetError> {
        if self.select >> 24 != 0 {
            return Ok(());
        }
        match (self.select & 0xF0) as u8 | address {
            0x00 => self.set_csw(data),
            0x04 => self.tar = data,
            0x0C => {
                self.write_lanes(data)?;
                self.increment();
            }
            banked @ (0x10 | 0x14 | 0x18 | 0x1C) => {
                self.write_word(self.tar & !0xF | u32::from(banked & 0xC), data)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A size or an increment that the port lacks is not taken.
    fn set_csw(&mut self, data: u32) {
        let size = if data & 7 <= 2 { data & 7 } else { self.csw & 7 };
        let increment = match data >> 4 & 3 {
            1 => 1,
            2 if self.chip.packed => 2,
            _ => 0,
        };
        self.csw = data & CSW_WRITABLE & !0x37 | DEVICE_ENABLED | size | increment << 4;
    }

    /// Bytes of one access of the bus.
    fn size(&self) -> u32 {
        1 << (self.csw & 7)
    }

    /// Whether DRW takes as many accesses of the bus as fit a word.
    fn packed(&self) -> bool {
        self.csw >> 4 & 3 == 2
    }

    fn increment(&mut self) {
        if self.csw >> 4 & 3 == 1 {
            self.advance(self.size());
        }
    }

    /// Adds to TAR within its block.
    fn advance(&mut self, bytes: u32) {
        self.tar = self.tar & !(BLOCK - 1) | self.tar.wrapping_add(bytes) & (BLOCK - 1);
    }

    /// The addresses of DRW's accesses. Packed ones increment TAR themselves.
    fn lanes(&mut self) -> Vec<u32> {
        let size = self.size();
        if !self.packed() {
            return vec![self.tar];
        }
        let row = (0..4 / size).map(|_| {
            let address = self.tar;
            self.advance(size);
            address
        });
        row.collect()
    }

    /// A read of DRW: bytes stand in the lanes of their addresses.
    fn read_lanes(&mut self) -> Result<u32, TargetError> {
        let size = self.size();
        let mut value = 0;
        for address in self.lanes() {
            value |= match size {
                4 => self.read_word(address)?,
                _ => {
                    let mut bytes = [0; 4];
                    self.read_bytes(address, bytes.split_at_mut(size as usize).0)?;
                    u32::from_le_bytes(bytes) << (8 * (address & 3))
                }
            };
        }
        Ok(value)
    }

    /// A write of DRW.
    fn write_lanes(&mut self, data: u32) -> Result<(), TargetError> {
        let size = self.size();
        for address in self.lanes() {
            match size {
                4 => self.write_word(address, data)?,
                _ => {
                    let bytes = (data >> (8 * (address & 3))).to_le_bytes();
                    self.write_bytes(address, bytes.split_at(size as usize).0)?;
                }
            }
        }
        Ok(())
    }

    fn read_word(&mut self, address: u32) -> Result<u32, TargetError> {
        self.check(address, 4)?;
        if let Some(value) = self.core.read(&mut self.target, address) {
            return value;
        }
        let mut bytes = [0; 4];
        self.read_bytes(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write_word(&mut self, address: u32, value: u32) -> Result<(), TargetError> {
        self.check(address, 4)?;
        match self.core.write(&mut self.target, address, value) {
            Some(written) => written,
            None => self.write_bytes(address, &value.to_le_bytes()),
        }
    }

    fn read_bytes(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), TargetError> {
        self.check(address, bytes.len())?;
        self.target.read(address, bytes)?;
        let read = |place: &&u32| place.checked_sub(address).is_some_and(|offset| (offset as usize) < bytes.len());
        self.was_read |= self.watched.iter().any(|place| read(&place));
        let mut at = |place: u32, change: &dyn Fn(u8) -> u8| {
            if let Some(byte) = place.checked_sub(address).and_then(|offset| bytes.get_mut(offset as usize)) {
                *byte = change(*byte);
            }
        };
        for &(word, value) in &self.words {
            for (place, byte) in (word..).zip(value.to_le_bytes()) {
                at(place, &|_| byte);
            }
        }
        for &(place, bits) in &self.inverted {
            at(place, &|byte| byte ^ bits);
        }
        Ok(())
    }

    fn write_bytes(&mut self, address: u32, bytes: &[u8]) -> Result<(), TargetError> {
        self.check(address, bytes.len())?;
        self.target.write(address, bytes)
    }

    /// A locked chip and an address that is not a multiple of the size are errors of the bus.
    fn check(&self, address: u32, length: usize) -> Result<(), TargetError> {
        let size = length.min(4) as u32;
        if self.locked || !address.is_multiple_of(size.max(1)) {
            return Err(TargetError::Bus(address));
        }
        Ok(())
    }

    /// How many transfers like this one can be one access: words at consecutive addresses, up to where TAR wraps.
    fn in_a_row(&self, transfer: Transfer) -> usize {
        let words = self.csw & 0x37 == 0x12 && self.tar.is_multiple_of(4);
        // What is not memory has effects.
        let faultless = self.words.is_empty() && self.inverted.is_empty() && self.watched.is_empty();
        let memory = self.tar < 0xE000_0000 && faultless;
        let data_register = transfer.to_access_port && transfer.address == 0xC && self.select == 0;
        let usual = self.control & (STICKY | POWER) == POWER && self.answers(transfer) && !self.locked;
        if words && memory && data_register && usual { ((BLOCK - self.tar % BLOCK) / 4) as usize } else { 1 }
    }

    /// Does several transfers as one access, or nothing if that fails: then they are done one by one.
    fn row(&mut self, row: &[Transfer]) -> Option<Vec<Answer>> {
        if row.len() < 2 {
            return None;
        }
        let address = self.tar;
        let mut bytes: Vec<u8> = row.iter().flat_map(|transfer| transfer.data.unwrap_or(0).to_le_bytes()).collect();
        let answers = if row.iter().all(|transfer| transfer.data.is_some()) {
            self.target.write(address, &bytes).ok()?;
            vec![Answer::Written; row.len()]
        } else {
            self.target.read(address, &mut bytes).ok()?;
            self.control |= READOK;
            let (words, _) = bytes.as_chunks();
            let found = words.iter().map(|word| u32::from_le_bytes(*word));
            found.map(|word| Answer::Read(std::mem::replace(&mut self.posted, word))).collect()
        };
        self.advance(bytes.len() as u32);
        Some(answers)
    }
}
