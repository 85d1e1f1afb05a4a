//! What a debugger finds on a chip besides its memory.

/// The debug hardware of a chip. The constants of this type are those of Arm's cores; a chip may differ in any field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// The debug port's identification register.
    pub dpidr: u32,
    /// The identification register of the memory access port.
    pub ap_idr: u32,
    /// The register BASE of the memory access port: the address of the ROM table, with the two lowest bits set.
    pub rom_table: u32,
    /// The comparators of the breakpoint unit.
    pub breakpoints: u8,
    /// How the breakpoint unit's comparators hold an address.
    pub comparators: Comparators,
    /// Whether the memory access port increments by packed accesses (CSW.AddrInc of 2), which the smallest ports lack.
    pub packed: bool,
}

/// How a comparator of the breakpoint unit holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparators {
    /// A word of the first 512 MiB, and which of its halves (Armv6-M BPU, Armv7-M FPB version 1).
    Word,
    /// The address of an instruction (FPB version 2: Armv8-M, Cortex-M7).
    Instruction,
}

impl Chip {
    /// A Cortex-M0: debug port version 1 of the minimal kind.
    pub const CORTEX_M0: Self = Self {
        dpidr: 0x0BB1_1477,
        ap_idr: 0x0477_0021,
        rom_table: 0xE00F_F003,
        breakpoints: 4,
        comparators: Comparators::Word,
        packed: false,
    };

    /// A Cortex-M4.
    pub const CORTEX_M4: Self = Self {
        dpidr: 0x2BA0_1477,
        ap_idr: 0x2477_0011,
        rom_table: 0xE00F_F003,
        breakpoints: 6,
        comparators: Comparators::Word,
        packed: true,
    };

    /// A Cortex-M55 whose debug port has version 2.
    pub const CORTEX_M55: Self = Self {
        dpidr: 0x6BA0_2477,
        ap_idr: 0x8477_0001,
        rom_table: 0xE00F_F003,
        breakpoints: 8,
        comparators: Comparators::Instruction,
        packed: false,
    };
}
