//! Registers and breakpoints of emulated cores, as probe-rs reaches them through the simulated probe: both stack pointers,
//! the floating-point registers, and the state that reset leaves.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use probe_rs::probe::list::Lister;
use probe_rs::{Core, CoreStatus, HaltReason, MemoryInterface as _, Permissions, RegisterId, Session};
use std::process::Command;
use std::time::Duration;
use tealight_flash::probes;
use tealight_simulated_probe::{Chip, Machine, Qemu, SimulatedProbe};

const LIMIT: Duration = Duration::from_millis(500);

/// Numbers of registers in DCRSR (Armv7-M Architecture Reference Manual, C1.6.3).
const PC: RegisterId = RegisterId(15);
const MSP: RegisterId = RegisterId(17);
const PSP: RegisterId = RegisterId(18);
const SPECIAL: RegisterId = RegisterId(20);
const FPSCR: RegisterId = RegisterId(33);
const S0: u16 = 64;

fn machine(name: &str, chip: Chip) -> SimulatedProbe<Qemu> {
    let mut command = Command::new("qemu-system-arm");
    command.args(["-M", name]);
    let target = Qemu::start(command, Machine { vectors: 0, ram: 0x2000_0000 }).expect("qemu-system-arm");
    SimulatedProbe::start(chip, target).unwrap()
}

fn attach(probe: &SimulatedProbe<Qemu>, chip: &str) -> Session {
    let probe = probes::choose(&Lister::new(), Some(&probe.selector())).unwrap();
    probes::open(&probe).unwrap().attach(chip, Permissions::default()).unwrap()
}

fn read(core: &mut Core<'_>, register: RegisterId) -> u32 {
    core.read_core_reg(register).unwrap()
}

#[test]
fn both_stack_pointers_and_the_special_registers_are_told_apart() {
    let probe = machine("mps2-an386", Chip::CORTEX_M4);
    let mut session = attach(&probe, "Cortex-M4");
    let mut core = session.core(0).unwrap();
    core.reset_and_halt(LIMIT).unwrap();
    core.write_core_reg(MSP, 0x2000_1000_u32).unwrap();
    core.write_core_reg(PSP, 0x2000_2000_u32).unwrap();
    // CONTROL.SPSEL selects the process stack; PRIMASK masks interrupts.
    core.write_core_reg(SPECIAL, 0x0200_0001_u32).unwrap();
    assert_eq!([MSP, PSP, SPECIAL].map(|register| read(&mut core, register)), [0x2000_1000, 0x2000_2000, 0x0200_0001]);
    assert_eq!(read(&mut core, RegisterId(13)), 0x2000_2000, "the stack pointer in use");
    core.write_core_reg(SPECIAL, 0_u32).unwrap();
    assert_eq!(read(&mut core, RegisterId(13)), 0x2000_1000);
    // Reading them has changed nothing else.
    let before: Vec<u32> = (0..16).map(|register| read(&mut core, RegisterId(register))).collect();
    read(&mut core, PSP);
    let after: Vec<u32> = (0..16).map(|register| read(&mut core, RegisterId(register))).collect();
    assert_eq!(before, after);
}

#[test]
fn floating_point_registers_are_kept_one_by_one() {
    let probe = machine("mps2-an386", Chip::CORTEX_M4);
    let mut session = attach(&probe, "Cortex-M4");
    let mut core = session.core(0).unwrap();
    core.reset_and_halt(LIMIT).unwrap();
    for index in 0..32 {
        core.write_core_reg(RegisterId(S0 + index), 0x4000_0000 + u32::from(index)).unwrap();
    }
    for index in 0..32 {
        assert_eq!(read(&mut core, RegisterId(S0 + index)), 0x4000_0000 + u32::from(index), "s{index}");
    }
    core.write_core_reg(FPSCR, 0x0100_0000_u32).unwrap();
    assert_eq!(read(&mut core, FPSCR), 0x0100_0000);
}

#[test]
fn a_breakpoint_in_running_code_halts_the_core_there() {
    let probe = machine("microbit", Chip::CORTEX_M0);
    let mut session = attach(&probe, "nRF51822_xxAA");
    let mut core = session.core(0).unwrap();
    core.reset_and_halt(LIMIT).unwrap();
    // The loop that a machine without firmware gets is behind its vectors: `b .`.
    assert_eq!(read(&mut core, PC), 0x40);
    let mut code = [0; 2];
    core.read_8(0x40, &mut code).unwrap();
    assert_eq!(code, [0xFE, 0xE7]);
    core.set_hw_breakpoint(0x40).unwrap();
    core.run().unwrap();
    core.wait_for_core_halted(LIMIT).unwrap();
    assert!(matches!(core.status().unwrap(), CoreStatus::Halted(HaltReason::Breakpoint(_))), "{:?}", core.status());
    assert_eq!(read(&mut core, PC), 0x40);
    core.clear_hw_breakpoint(0x40).unwrap();
    core.run().unwrap();
    assert_eq!(core.status().unwrap(), CoreStatus::Running);
}
