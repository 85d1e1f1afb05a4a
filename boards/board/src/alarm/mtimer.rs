//! The machine timer of RISC-V: `mtime` and `mtimecmp` of the core-local interruptor (CLINT), at the address that SiFive's
//! chips and QEMU's machines have it at. Its handler reads `mcycle`, which counts single instructions in an emulator.
//!
//! The handler saves no registers of a unit for floats or vectors.

use super::turn;
use crate::clock::cycle;
use core::arch::{asm, global_asm};
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(any(target_feature = "f", target_feature = "v"))]
compile_error!("the handler of the timer's interrupt saves integer registers alone");

/// The compare register of the first core, in two words (SiFive FE310-G000 Manual, chapter 10).
const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
/// The lower word of the time.
const MTIME: *const u32 = 0x0200_BFF8 as *const u32;

/// Ticks of the time in a second, in QEMU.
const TIME_PER_SECOND: u32 = 10_000_000;

/// The bit of the machine timer in `mie`.
const MTIE: usize = 1 << 7;
/// The bit of all interrupts in `mstatus`.
const MIE: usize = 1 << 3;

/// Cycles from one interrupt to the next, and of when the next is due.
static PERIOD: AtomicU32 = AtomicU32::new(0);
static DUE: AtomicU32 = AtomicU32::new(0);
/// The same in ticks of the time.
static STEP: AtomicU32 = AtomicU32::new(0);
static NEXT: AtomicU32 = AtomicU32::new(0);

#[cfg(target_arch = "riscv32")]
macro_rules! word {
    () => {
        "4"
    };
}
#[cfg(target_arch = "riscv64")]
macro_rules! word {
    () => {
        "8"
    };
}

// Takes interrupts to `rang`, with `mcycle` as it was, and exceptions to the handler of faults.
global_asm!(
    concat!(".equ WORD, ", word!()),
    ".if WORD == 4",
    ".macro store register, place",
    "sw \\register, \\place * WORD(sp)",
    ".endm",
    ".macro load register, place",
    "lw \\register, \\place * WORD(sp)",
    ".endm",
    ".else",
    ".macro store register, place",
    "sd \\register, \\place * WORD(sp)",
    ".endm",
    ".macro load register, place",
    "ld \\register, \\place * WORD(sp)",
    ".endm",
    ".endif",
    ".section .text._alarm_trap, \"ax\"",
    ".balign 4",
    ".global _alarm_trap",
    "_alarm_trap:",
    "csrw mscratch, a0",
    "csrr a0, mcause",
    "bltz a0, 1f",
    "csrr a0, mscratch",
    "j _start_trap",
    "1:",
    "csrr a0, mcycle",
    "addi sp, sp, -16 * WORD",
    "store ra, 0",
    "store t0, 1",
    "store t1, 2",
    "store t2, 3",
    "store t3, 4",
    "store t4, 5",
    "store t5, 6",
    "store t6, 7",
    "store a1, 8",
    "store a2, 9",
    "store a3, 10",
    "store a4, 11",
    "store a5, 12",
    "store a6, 13",
    "store a7, 14",
    "csrr a1, mscratch",
    "store a1, 15",
    "call {rang}",
    "load ra, 0",
    "load t0, 1",
    "load t1, 2",
    "load t2, 3",
    "load t3, 4",
    "load t4, 5",
    "load t5, 6",
    "load t6, 7",
    "load a1, 8",
    "load a2, 9",
    "load a3, 10",
    "load a4, 11",
    "load a5, 12",
    "load a6, 13",
    "load a7, 14",
    "load a0, 15",
    "addi sp, sp, 16 * WORD",
    "mret",
    rang = sym rang,
);

/// Starts it, with the period rounded down to whole ticks of the time, which it returns.
pub(super) fn start(period: u32, per_second: u32) -> u32 {
    unsafe extern "C" {
        fn _alarm_trap();
    }
    let cycles = per_second / TIME_PER_SECOND;
    let step = period.checked_div(cycles).unwrap_or(0);
    let period = step.wrapping_mul(cycles);
    PERIOD.store(period, Ordering::Relaxed);
    STEP.store(step, Ordering::Relaxed);
    let (time, cycle) = next_tick();
    set_next(time.wrapping_add(step));
    NEXT.store(time.wrapping_add(step), Ordering::Relaxed);
    DUE.store(cycle.wrapping_add(period), Ordering::Relaxed);
    // SAFETY: the entry is aligned as `mtvec` requires and passes exceptions on.
    unsafe {
        asm!("csrw mtvec, {entry}", entry = in(reg) _alarm_trap as *const (), options(nostack));
        asm!("csrs mie, {timer}", "csrs mstatus, {all}", timer = in(reg) MTIE, all = in(reg) MIE, options(nostack));
    }
    period
}

pub(super) fn stop() {
    // SAFETY: the interrupt is no longer wanted.
    unsafe { asm!("csrc mie, {timer}", timer = in(reg) MTIE, options(nostack)) };
}

/// Waits for the time's next tick; returns the time, and `mcycle` a few cycles later.
#[inline(always)]
fn next_tick() -> (u32, u32) {
    // SAFETY: reading the time has no effect.
    let now = || unsafe { read_volatile(MTIME) };
    let before = now();
    loop {
        let (time, cycle) = (now(), cycle::ticks());
        if time != before {
            return (time, cycle);
        }
    }
}

/// Sets the time of the next interrupt, within the first 2³² ticks of the machine: seven minutes.
fn set_next(time: u32) {
    // SAFETY: the registers are those of the timer, and nothing else uses it. The upper word is never less than the time's.
    unsafe {
        write_volatile(MTIMECMP, time);
        write_volatile(MTIMECMP.add(1), 0);
    }
}

/// The handler: it began when `mcycle` was `cycle`.
extern "C" fn rang(cycle: usize) {
    let due = DUE.load(Ordering::Relaxed);
    DUE.store(due.wrapping_add(PERIOD.load(Ordering::Relaxed)), Ordering::Relaxed);
    let next = NEXT.load(Ordering::Relaxed).wrapping_add(STEP.load(Ordering::Relaxed));
    NEXT.store(next, Ordering::Relaxed);
    // QEMU counts whole ticks from when this is set: in the midst of one, it would be late by the rest of it.
    let _ = next_tick();
    set_next(next);
    // The tick of the time was found to a few cycles.
    turn((cycle as u32).wrapping_sub(due).cast_signed().max(0).cast_unsigned());
}
