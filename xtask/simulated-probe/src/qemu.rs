//! A target that QEMU emulates, reached by its GDB server.
//!
//! What QEMU does otherwise than a chip under a debugger, and what is done about it:
//! - An instruction BKPT does not stop the core. Flash algorithms return to one, so a breakpoint is set where the link
//!   register leads, if BKPT is there. Others end in a hard fault. A core that is resumed at a BKPT stays there.
//! - A core that locks up ends QEMU. So a core that would begin in memory without code is not started, and one whose
//!   fault handler is an erased vector is stopped before it; both count as locked up.
//! - The server takes commands only while the whole machine stands still: an access to the memory of a running core
//!   stops it for that while.
//! - The server of older versions has no registers MSP, PSP, CONTROL and the like. They are moved by two instructions
//!   in RAM, which the core runs; what was there is put back.

use crate::gdb::{Client, Numbered, Traffic};
use crate::{Activity, Register, Target, TargetError};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the emulator may take to start.
const START: Duration = Duration::from_secs(10);

/// How long a reset may take.
const RESET: Duration = Duration::from_secs(2);

/// What no reset leaves in the program counter.
const NOWHERE: u64 = 0xDEAD_BEE0;

/// Where an erased vector leads.
const ERASED: u32 = 0xFFFF_FFFE;

/// `b .`, twice.
const LOOP: [u8; 4] = [0xFE, 0xE7, 0xFE, 0xE7];

/// The high byte of an instruction BKPT (Armv6-M Architecture Reference Manual, A6.7.12).
const BKPT: u8 = 0xBE;

/// Of the program status: the instruction set, which is always Thumb.
const THUMB: u64 = 1 << 24;
/// And the state of a conditional block, in which instructions may be passed over.
const CONDITIONAL: u64 = 0x0600_FC00;

/// Addresses of a machine that the target depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The address of the vector table after a reset.
    pub vectors: u32,
    /// The first address of RAM, in which code can be run.
    pub ram: u32,
}

/// An emulated machine. It ends when this is dropped.
#[derive(Debug)]
pub struct Qemu {
    gdb: Client,
    _process: Process,
    machine: Machine,
    registers: BTreeMap<String, Numbered>,
    breakpoints: BTreeSet<u32>,
    running: bool,
    lockup: bool,
}

impl Qemu {
    /// Starts an emulator. `command` names the machine (`qemu-system-arm -M microbit`); the rest is added here. Where
    /// the memory of its vectors is empty, an endless loop is put there, as if the chip had firmware.
    ///
    /// # Errors
    /// It cannot be started, or ends at once; its own words are on this process's standard error.
    pub fn start(command: Command, machine: Machine) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tealight-gdb-").tempdir()?;
        let socket = folder.path().join("gdb");
        let mut process = Process(leashed(&command, &socket).spawn()?);
        let mut gdb = Client::new(connect(&socket, &mut process)?)?;
        let registers = gdb.registers()?;
        let (breakpoints, running, lockup) = (BTreeSet::new(), false, false);
        let mut qemu = Self { gdb, _process: process, machine, registers, breakpoints, running, lockup };
        qemu.fill()?;
        Ok(qemu)
    }

    /// What went between this target and the emulator's debug server since the start.
    pub fn traffic(&self) -> Traffic {
        self.gdb.traffic()
    }

    /// Puts firmware that does nothing where there is none.
    fn fill(&mut self) -> io::Result<()> {
        let mut first = [0; 8];
        self.gdb.read(self.machine.vectors, &mut first)?;
        if first == [0; 8] || first == [0xFF; 8] {
            let code = self.machine.vectors + 16 * 4;
            let mut image = (self.machine.ram + 0x400).to_le_bytes().to_vec();
            (1..16).for_each(|_| image.extend((code | 1).to_le_bytes()));
            image.extend(LOOP);
            self.gdb.write(self.machine.vectors, &image)?;
        }
        Ok(())
    }

    fn number(&self, name: &str, register: Register) -> Result<Numbered, TargetError> {
        self.registers.get(name).copied().ok_or(TargetError::NoRegister(register))
    }

    /// A core register: `r0` to `r12`, `sp`, `lr`, `pc`.
    fn general(&self, index: u8) -> Result<Numbered, TargetError> {
        let name = match index {
            13 => "sp".into(),
            14 => "lr".into(),
            15 => "pc".into(),
            other => format!("r{other}"),
        };
        self.number(&name, Register::General(index))
    }

    fn get(&mut self, index: u8) -> Result<u64, TargetError> {
        let register = self.general(index)?;
        self.gdb.read_register(register).map_err(gone)
    }

    fn set(&mut self, index: u8, value: u64) -> Result<(), TargetError> {
        let register = self.general(index)?;
        self.gdb.write_register(register, value).map_err(gone)
    }

    /// Does something while the machine stands still, and lets it run again if it did.
    fn standing<R>(&mut self, work: impl FnOnce(&mut Client) -> io::Result<R>) -> Result<R, TargetError> {
        let interrupted = self.running && !self.gdb.has_stopped().map_err(gone)?;
        if interrupted {
            self.gdb.interrupt().map_err(gone)?;
        }
        self.running &= interrupted;
        let done = work(&mut self.gdb).map_err(gone)?;
        if interrupted {
            self.gdb.go().map_err(gone)?;
        }
        Ok(done)
    }

    /// Runs one instruction of two halfwords, from RAM, with `r0` set, and returns `r0` after it.
    fn execute(&mut self, instruction: [u16; 2], r0: u64) -> Result<u64, TargetError> {
        let xpsr = self.number("xpsr", Register::Xpsr)?;
        let (saved_r0, saved_pc) = (self.get(0)?, self.get(15)?);
        let saved_xpsr = self.gdb.read_register(xpsr).map_err(gone)?;
        let place = self.machine.ram;
        let mut saved = [0; 4];
        self.gdb.read(place, &mut saved).map_err(gone)?;
        let [first, second] = instruction.map(u16::to_le_bytes);
        self.gdb.write(place, &[first, second].concat()).map_err(gone)?;
        self.gdb.write_register(xpsr, saved_xpsr & !CONDITIONAL | THUMB).map_err(gone)?;
        self.set(0, r0)?;
        self.set(15, place.into())?;
        self.gdb.step().map_err(gone)?;
        let result = self.get(0)?;
        self.set(0, saved_r0)?;
        self.set(15, saved_pc)?;
        self.gdb.write_register(xpsr, saved_xpsr).map_err(gone)?;
        self.gdb.write(place, &saved).map_err(gone)?;
        Ok(result)
    }

    /// `MRS r0, special` (Armv7-M Architecture Reference Manual, A7.7.82).
    fn read_special(&mut self, special: u16) -> Result<u32, TargetError> {
        Ok(self.execute([0xF3EF, 0x8000 | special], 0)? as u32)
    }

    /// `MSR special, r0` (A7.7.83).
    fn write_special(&mut self, special: u16, value: u32) -> Result<(), TargetError> {
        self.execute([0xF380, 0x8800 | special], value.into())?;
        Ok(())
    }

    /// Whether an instruction BKPT is at `address`.
    fn is_bkpt(&mut self, address: u32) -> Result<bool, TargetError> {
        let mut code = [0; 2];
        Ok(self.gdb.read(address, &mut code).map_err(gone)? && code[1] == BKPT)
    }

    fn remove_breakpoints(&mut self) -> Result<(), TargetError> {
        while let Some(address) = self.breakpoints.pop_first() {
            self.gdb.remove_breakpoint(address).map_err(gone)?;
        }
        Ok(())
    }

    /// The double word and the half of it that hold a single one.
    fn single(&self, index: u8) -> Result<(Numbered, u32), TargetError> {
        let number = self.number(&format!("d{}", index / 2), Register::Single(index))?;
        Ok((number, 32 * u32::from(index % 2)))
    }
}

/// Numbers of the special registers (Armv7-M Architecture Reference Manual, B5.1.1).
const MSP: u16 = 8;
const PSP: u16 = 9;
const PRIMASK: u16 = 16;
const BASEPRI: u16 = 17;
const FAULTMASK: u16 = 19;
const CONTROL: u16 = 20;

/// Those that [`Register::Special`] combines, and the bits at which each stands.
const COMBINED: [(u16, u32); 4] = [(CONTROL, 24), (FAULTMASK, 16), (BASEPRI, 8), (PRIMASK, 0)];

impl Target for Qemu {
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), TargetError> {
        let found = self.standing(|gdb| gdb.read(address, bytes))?;
        if found { Ok(()) } else { Err(TargetError::Bus(address)) }
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TargetError> {
        let found = self.standing(|gdb| gdb.write(address, bytes))?;
        if found { Ok(()) } else { Err(TargetError::Bus(address)) }
    }

    fn read_register(&mut self, register: Register) -> Result<u32, TargetError> {
        match register {
            Register::General(index) => Ok(self.get(index)? as u32),
            Register::Xpsr => {
                let number = self.number("xpsr", register)?;
                Ok(self.gdb.read_register(number).map_err(gone)? as u32)
            }
            Register::Msp => self.read_special(MSP),
            Register::Psp => self.read_special(PSP),
            Register::Special => COMBINED
                .iter()
                .try_fold(0, |all, &(special, bit)| Ok(all | (self.read_special(special)? & 0xFF) << bit)),
            Register::Fpscr => {
                let number = self.number("fpscr", register)?;
                Ok(self.gdb.read_register(number).map_err(gone)? as u32)
            }
            Register::Single(index) => {
                let (number, bit) = self.single(index)?;
                Ok((self.gdb.read_register(number).map_err(gone)? >> bit) as u32)
            }
        }
    }

    fn write_register(&mut self, register: Register, value: u32) -> Result<(), TargetError> {
        match register {
            Register::General(index) => self.set(index, value.into()),
            Register::Xpsr => {
                let number = self.number("xpsr", register)?;
                self.gdb.write_register(number, value.into()).map_err(gone)
            }
            Register::Msp => self.write_special(MSP, value),
            Register::Psp => self.write_special(PSP, value),
            Register::Special => {
                COMBINED.iter().try_for_each(|&(special, bit)| self.write_special(special, value >> bit & 0xFF))
            }
            Register::Fpscr => {
                let number = self.number("fpscr", register)?;
                self.gdb.write_register(number, value.into()).map_err(gone)
            }
            Register::Single(index) => {
                let (number, bit) = self.single(index)?;
                let whole = self.gdb.read_register(number).map_err(gone)?;
                let kept = whole & !(u64::from(u32::MAX) << bit);
                self.gdb.write_register(number, kept | u64::from(value) << bit).map_err(gone)
            }
        }
    }

    fn resume(&mut self, breakpoints: &[u32]) -> Result<(), TargetError> {
        let pc = self.get(15)? as u32 & !1;
        let mut code = [0; 2];
        self.lockup = !self.gdb.read(pc, &mut code).map_err(gone)? || code == [0xFF; 2];
        // A core that stands at a BKPT stays there.
        if self.lockup || code[1] == BKPT {
            return Ok(());
        }
        self.breakpoints.extend(breakpoints);
        self.breakpoints.insert(ERASED);
        let link = self.get(14)? as u32 & !1;
        if self.is_bkpt(link)? {
            self.breakpoints.insert(link);
        }
        for &address in &self.breakpoints {
            self.gdb.insert_breakpoint(address).map_err(gone)?;
        }
        self.gdb.go().map_err(gone)?;
        self.running = true;
        Ok(())
    }

    fn step(&mut self) -> Result<(), TargetError> {
        self.gdb.step().map_err(gone)
    }

    fn halt(&mut self) -> Result<(), TargetError> {
        if self.running && !self.gdb.has_stopped().map_err(gone)? {
            self.gdb.interrupt().map_err(gone)?;
        }
        (self.running, self.lockup) = (false, false);
        self.remove_breakpoints()
    }

    fn activity(&mut self) -> Result<Activity, TargetError> {
        if self.lockup {
            return Ok(Activity::Lockup);
        }
        if self.running && !self.gdb.has_stopped().map_err(gone)? {
            return Ok(Activity::Running);
        }
        self.running = false;
        self.remove_breakpoints()?;
        self.lockup = self.get(15)? as u32 == ERASED;
        Ok(if self.lockup { Activity::Lockup } else { Activity::Breakpoint })
    }

    fn reset(&mut self) -> Result<(), TargetError> {
        self.halt()?;
        // The emulator resets the machine a while after it has taken the command.
        self.set(15, NOWHERE)?;
        self.gdb.monitor("system_reset").map_err(gone)?;
        let begun = Instant::now();
        while self.get(15)? == NOWHERE {
            if begun.elapsed() > RESET {
                return Err(TargetError::Gone("the emulator did not reset its machine".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// The emulator's command, as one of a shell that ends the emulator when its own standard input ends: with this process,
/// however that ends.
fn leashed(command: &Command, socket: &Path) -> Command {
    const LEASH: &str = r#"command -v "$1" >/dev/null || exit 127; "$@" </dev/null & emulator=$!; read -r _; kill -9 "$emulator"; wait"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", LEASH, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let words = ["-display", "none", "-serial", "none", "-monitor", "none", "-S", "-gdb", "chardev:gdb"];
    shell.args(words).arg("-chardev");
    shell.arg(format!("socket,id=gdb,server=on,wait=off,path={}", socket.display()));
    shell.stdin(Stdio::piped()).stdout(Stdio::null());
    shell
}

/// Waits for the emulator's socket.
fn connect(socket: &Path, process: &mut Process) -> io::Result<UnixStream> {
    let begun = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if begun.elapsed() > START || process.0.try_wait()?.is_some() => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The shell with the emulator; both end when this is dropped.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn gone(error: io::Error) -> TargetError {
    TargetError::Gone(error.to_string())
}
