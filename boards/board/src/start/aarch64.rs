//! Start-up of a bare aarch64 core (Cortex-A), from the loader to `main`.
//!
//! The core runs at EL1 whatever level it was entered at, with an identity map of the regions in `board.toml` and
//! nothing else: code read-only, variables not executable, devices uncached. Every other access is a fault. Memory and
//! atomics behave as Rust expects only once the map is on, so it is enabled before any variable is written.
//!
//! Registers as in the Arm Architecture Reference Manual for A-profile (DDI 0487), D19.2.

use core::arch::{asm, global_asm};
use core::ptr::write_volatile;

// The other cores wait forever. From EL3 (where some emulators begin) down to EL2 (where kernel loaders begin) and EL1,
// each level gives the next one access to the floating-point unit, the timers and the performance counters.
global_asm!(
    ".section .init, \"ax\"",
    ".global _start",
    "_start:",
    "mrs x0, mpidr_el1",
    "tst x0, #0xff",
    "b.ne 9f",
    "mrs x0, CurrentEL",
    "cmp x0, #(2 << 2)",
    "b.lo 1f",
    "b.eq 2f",
    "mov x0, #0x531", // SCR: what follows is aarch64 and not secure
    "msr scr_el3, x0",
    "msr cptr_el3, xzr",
    "msr mdcr_el3, xzr",
    "mov x0, #0x3c9", // EL2 with its own stack pointer, interrupts masked
    "msr spsr_el3, x0",
    "adr x0, 2f",
    "msr elr_el3, x0",
    "eret",
    "2:",
    "mov x0, #(1 << 31)", // HCR: EL1 is aarch64
    "msr hcr_el2, x0",
    "mov x0, #0x33ff", // CPTR: nothing is trapped
    "msr cptr_el2, x0",
    "mov x0, #3", // CNTHCTL: neither are the timers
    "msr cnthctl_el2, x0",
    "msr cntvoff_el2, xzr",
    "mrs x0, pmcr_el0", // MDCR: all counters are EL1's
    "ubfx x0, x0, #11, #5",
    "msr mdcr_el2, x0",
    "ldr x0, ={sctlr}",
    "bic x0, x0, #1",
    "msr sctlr_el1, x0",
    "mov x0, #0x3c5", // EL1 with its own stack pointer, interrupts masked
    "msr spsr_el2, x0",
    "adr x0, 1f",
    "msr elr_el2, x0",
    "eret",
    "1:",
    "mov x0, #(3 << 20)", // CPACR: floating point
    "msr cpacr_el1, x0",
    "adrp x0, _fault_vectors",
    "add x0, x0, :lo12:_fault_vectors",
    "msr vbar_el1, x0",
    "isb",
    "adrp x0, _stack_start",
    "add x0, x0, :lo12:_stack_start",
    "mov sp, x0",
    "bl {map_memory}",
    "adrp x0, _data_start",
    "add x0, x0, :lo12:_data_start",
    "adrp x1, _data_end",
    "add x1, x1, :lo12:_data_end",
    "adrp x2, _data_load",
    "add x2, x2, :lo12:_data_load",
    "3:",
    "cmp x0, x1",
    "b.hs 4f",
    "ldp x3, x4, [x2], #16",
    "stp x3, x4, [x0], #16",
    "b 3b",
    "4:",
    "adrp x0, _bss_start",
    "add x0, x0, :lo12:_bss_start",
    "adrp x1, _bss_end",
    "add x1, x1, :lo12:_bss_end",
    "5:",
    "cmp x0, x1",
    "b.hs 6f",
    "stp xzr, xzr, [x0], #16",
    "b 5b",
    "6:",
    "bl main",
    "9:",
    "wfi",
    "b 9b",
    map_memory = sym map_memory,
    sctlr = const SCTLR,
);

/// System control of EL1: the bits that are always one, stack pointer alignment checks, and the instruction cache, data
/// cache and map enabled.
const SCTLR: u64 = RES1 | (1 << 12) | (1 << 3) | (1 << 2) | 1;
const RES1: u64 = (1 << 29) | (1 << 28) | (1 << 23) | (1 << 22) | (1 << 20) | (1 << 11);

/// A block of the map: the memory covered by one descriptor of level 2.
const BLOCK: usize = 2 << 20;

/// The number of blocks in 4 GiB.
const BLOCKS: usize = 2048;

/// Four tables of level 2, one after another, and the one of level 1.
#[repr(C, align(4096))]
struct Tables([u64; BLOCKS + 4]);

/// Not cleared at start-up, because it is in use before that.
#[unsafe(link_section = ".uninit.tables")]
static mut TABLES: Tables = Tables([0; BLOCKS + 4]);

/// Descriptors (D8.3): a table, and the three kinds of blocks, by the attributes below.
const TABLE: u64 = 0b11;
const CODE: u64 = NORMAL | (0b10 << 6);
const VARIABLES: u64 = NORMAL | NEVER_EXECUTED;
const DEVICES: u64 = 0b01 | (1 << 2) | (1 << 10) | NEVER_EXECUTED;
/// Cached, shared between the cores, accessed.
const NORMAL: u64 = 0b01 | (0b11 << 8) | (1 << 10);
const NEVER_EXECUTED: u64 = 0b11 << 53;
/// Attribute 0 is memory that caches write back, attribute 1 a device.
const MAIR: u64 = 0xFF;
/// Addresses of 32 bits, pages of 4 KiB, tables read through the caches, no upper half.
const TCR: u64 = 32 | (1 << 8) | (1 << 10) | (0b11 << 12) | (1 << 23);

unsafe extern "C" {
    // From `memory.x`, which the board's build script writes.
    static _flash_start: u8;
    static _flash_end: u8;
    static _ram_start: u8;
    static _ram_end: u8;
    static _devices_start: u8;
    static _devices_end: u8;
}

/// Writes the map and enables it, together with the caches.
extern "C" fn map_memory() {
    let tables = (&raw mut TABLES).cast::<u64>();
    map(tables, 0, BLOCKS * BLOCK, None);
    map(tables, &raw const _flash_start as usize, &raw const _flash_end as usize, Some(CODE));
    map(tables, &raw const _ram_start as usize, &raw const _ram_end as usize, Some(VARIABLES));
    map(tables, &raw const _devices_start as usize, &raw const _devices_end as usize, Some(DEVICES));
    let root = tables.wrapping_add(BLOCKS);
    for quarter in 0..4 {
        let table = tables.wrapping_add(quarter * BLOCKS / 4);
        // SAFETY: the last four entries.
        unsafe { write_volatile(root.wrapping_add(quarter), table as u64 | TABLE) };
    }
    // SAFETY: the map is the identity for every address that the image uses, so the running code does not move.
    unsafe {
        asm!(
            "msr mair_el1, {mair}",
            "msr tcr_el1, {tcr}",
            "msr ttbr0_el1, {table}",
            "dsb sy",
            "isb",
            "tlbi vmalle1",
            "ic iallu",
            "dsb sy",
            "isb",
            "msr sctlr_el1, {sctlr}",
            "isb",
            mair = in(reg) MAIR,
            tcr = in(reg) TCR,
            table = in(reg) root,
            sctlr = in(reg) SCTLR,
            options(nostack),
        );
    }
}

/// Maps the blocks that a region touches to themselves, or to nothing.
///
/// Without the map the core only allows aligned accesses, so the entries are written one by one, which `volatile`
/// guarantees.
fn map(tables: *mut u64, start: usize, end: usize, kind: Option<u64>) {
    for block in start / BLOCK..end.div_ceil(BLOCK).min(BLOCKS) {
        let entry = kind.map_or(0, |kind| (block * BLOCK) as u64 | kind);
        // SAFETY: the table has that many entries.
        unsafe { write_volatile(tables.wrapping_add(block), entry) };
    }
}
