//! The build script of every board: `fn main() { tealight_board_build::main() }`.
//!
//! The idea: what a board is stands in its `board.toml` and nowhere else. The script writes the linker's `memory.x` from
//! it, and hands the firmware its name.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

/// At most this much is kept for the arena of a model that is loaded at run time.
const LOADABLE: u64 = 512 * 1024;

/// What the build needs of a `board.toml`.
#[derive(Debug, Deserialize)]
struct Board {
    id: String,
    /// Bytes kept for the stack, at the lowest addresses of the RAM.
    stack: u64,
    memory: BTreeMap<String, Region>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Region {
    origin: u64,
    length: u64,
}

/// Hands the linker its memory map, and the firmware its name and the model and input that it embeds.
///
/// # Panics
/// If `board.toml` cannot be read or describes no memory, with the reason: cargo shows it.
pub fn main() {
    println!("cargo:rerun-if-changed=board.toml");
    let text = fs::read_to_string("board.toml").expect("a board's folder has a board.toml");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    let board: Board = toml::from_str(&text).unwrap_or_else(|error| panic!("in board.toml: {error}"));
    let memory = memory_x(&board, &architecture).unwrap_or_else(|error| panic!("in board.toml: {error}"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    if architecture.starts_with("riscv") {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-env=TEALIGHT_BOARD={}", board.id);
    println!("cargo:rustc-env=TEALIGHT_LOADABLE_MEMORY={}", loadable_memory(&board));

    println!("cargo:rerun-if-env-changed=TEALIGHT_MODEL");
    if env::var_os("TEALIGHT_MODEL").is_none() {
        println!("cargo::error=TEALIGHT_MODEL must name a compiled model; `cargo xtask run` sets it");
    }
    println!("cargo:rerun-if-env-changed=TEALIGHT_INPUT");
    println!("cargo::rustc-check-cfg=cfg(embedded_input)");
    if env::var_os("TEALIGHT_INPUT").is_some() {
        println!("cargo:rustc-cfg=embedded_input");
    }
}

impl Board {
    fn region(&self, name: &str) -> Result<Region, String> {
        self.memory.get(name).copied().ok_or_else(|| format!("the table `[memory.{name}]` is missing"))
    }
}

/// The linker's memory map.
///
/// The stack lies below the variables, where it can grow into nothing: on most chips nothing is mapped below the RAM, so
/// that a stack that runs over is a fault and no silent damage. What is left of the RAM is all that variables may take,
/// and the linker refuses what does not fit.
///
/// A region `reset` takes the section `.reset`: for a machine that starts elsewhere than its image does.
fn memory_x(board: &Board, architecture: &str) -> Result<String, String> {
    let (flash, ram, stack) = (board.region("flash")?, board.region("ram")?, board.stack);
    if stack % 16 != 0 || stack >= ram.length {
        return Err(format!("`stack = {stack}` must be a multiple of 16 and less than the RAM, {}", ram.length));
    }
    let regions = format!(
        "  FLASH : ORIGIN = {:#x}, LENGTH = {:#x}\n  STACK : ORIGIN = {:#x}, LENGTH = {stack:#x}\n  \
         RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n",
        flash.origin,
        flash.length,
        ram.origin,
        ram.origin + stack,
        ram.length - stack,
    );
    let reset = board.memory.get("reset").map_or_else(Default::default, |reset| {
        let region = format!("  RESET : ORIGIN = {:#x}, LENGTH = {:#x}\n", reset.origin, reset.length);
        (region, "SECTIONS { .reset : { KEEP(*(.reset)) } > RESET } INSERT BEFORE .text;\n")
    });
    let (reset, section) = reset;
    let aliases = if architecture.starts_with("riscv") {
        ["TEXT = FLASH", "RODATA = FLASH", "DATA = RAM", "BSS = RAM", "HEAP = RAM", "STACK = STACK"]
            .map(|alias| alias.split_once(" = ").unwrap_or_default())
            .map(|(region, memory)| format!("REGION_ALIAS(\"REGION_{region}\", {memory});\n"))
            .concat()
    } else if architecture == "aarch64" {
        aarch64_map(board)?
    } else {
        String::new()
    };
    Ok(format!(
        "MEMORY\n{{\n{regions}{reset}}}\n{aliases}{section}\
         _stack_end = ORIGIN(STACK);\n_stack_start = ORIGIN(STACK) + LENGTH(STACK);\n"
    ))
}

/// What the map of an aarch64 core's memory covers with one entry.
const BLOCK: u64 = 2 << 20;

/// Where the map of an aarch64 core's memory ends.
const MAPPED: u64 = 1 << 32;

/// The bounds of what an aarch64 board's start-up code maps: flash, RAM, and devices if there are any.
///
/// An entry of the map is a whole block of one kind, and the block below the RAM is nobody's: a stack that runs over faults.
fn aarch64_map(board: &Board) -> Result<String, String> {
    let (flash, ram) = (board.region("flash")?, board.region("ram")?);
    let devices = board.region("devices").unwrap_or(Region { origin: 0, length: 0 });
    if ram.origin % BLOCK != 0 {
        return Err("`[memory.ram]` must begin at a multiple of 2 MiB, of which the map of the memory is made".into());
    }
    let blocks = |region: Region| region.origin / BLOCK..(region.origin + region.length).div_ceil(BLOCK);
    let mut bounds = String::new();
    for (name, region) in [("flash", flash), ("ram", ram), ("devices", devices)] {
        let end = region.origin + region.length;
        if end > MAPPED {
            return Err(format!("`[memory.{name}]` ends above 4 GiB, where the map of the memory ends"));
        }
        if name != "ram" && blocks(region).any(|block| block + 1 == blocks(ram).start || blocks(ram).contains(&block)) {
            return Err(format!(
                "`[memory.{name}]` takes part of a block of 2 MiB of `[memory.ram]`, or of the one below it"
            ));
        }
        bounds += &format!("_{name}_start = {:#x};\n_{name}_end = {end:#x};\n", region.origin);
    }
    Ok(bounds)
}

/// Bytes for the arena of a model that is loaded at run time: half of what the stack leaves.
fn loadable_memory(board: &Board) -> u64 {
    let ram = board.memory.get("ram").map_or(0, |ram| ram.length);
    (ram.saturating_sub(board.stack) / 2).min(LOADABLE) & !15
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(stack: u64) -> Board {
        let flash = Region { origin: 0, length: 0x4_0000 };
        let ram = Region { origin: 0x2000_0000, length: 0x4000 };
        Board { id: "x1".into(), stack, memory: [("flash".into(), flash), ("ram".into(), ram)].into() }
    }

    #[test]
    fn the_stack_lies_below_the_variables_and_both_are_the_ram() {
        let text = memory_x(&board(0x1000), "arm").unwrap();
        assert!(text.contains("STACK : ORIGIN = 0x20000000, LENGTH = 0x1000\n"), "{text}");
        assert!(text.contains("RAM : ORIGIN = 0x20001000, LENGTH = 0x3000\n"), "{text}");
        assert!(!text.contains("REGION_ALIAS"));
        assert!(memory_x(&board(0x1000), "riscv32").unwrap().contains("REGION_ALIAS(\"REGION_BSS\", RAM);"));
    }

    #[test]
    fn a_stack_that_is_no_part_of_the_ram_is_refused() {
        assert!(memory_x(&board(0x4000), "arm").unwrap_err().contains("stack = 16384"));
        assert!(memory_x(&board(8), "arm").is_err());
        let mut without = board(16);
        without.memory.remove("ram");
        assert!(memory_x(&without, "arm").unwrap_err().contains("[memory.ram]"));
    }

    #[test]
    fn an_aarch64_board_is_mapped_by_blocks_that_keep_the_stack_apart() {
        let flash = Region { origin: 0x8_0000, length: 0xF8_0000 };
        let ram = Region { origin: 0x120_0000, length: 0x80_0000 };
        let devices = Region { origin: 0x3F00_0000, length: 0x100_0000 };
        let board = |flash, ram, devices| Board {
            id: "x1".into(),
            stack: 0x1000,
            memory: [("flash", flash), ("ram", ram), ("devices", devices)].map(|(n, r)| (n.into(), r)).into(),
        };
        let text = memory_x(&board(flash, ram, devices), "aarch64").unwrap();
        assert!(text.contains("_flash_start = 0x80000;\n_flash_end = 0x1000000;\n"), "{text}");
        assert!(text.contains("_devices_start = 0x3f000000;\n_devices_end = 0x40000000;\n"), "{text}");
        let refusal = |flash, ram, devices| memory_x(&board(flash, ram, devices), "aarch64").unwrap_err();
        let longer = Region { length: flash.length + 1, ..flash };
        assert!(refusal(longer, ram, devices).contains("[memory.flash]"));
        assert!(refusal(flash, Region { origin: 0x130_0000, ..ram }, devices).contains("[memory.ram]"));
        assert!(refusal(flash, ram, Region { origin: 0x19F_0000, length: 1 }).contains("[memory.devices]"));
        assert!(refusal(flash, ram, Region { origin: 0xFFFF_FFFF, length: 2 }).contains("4 GiB"));
    }

    #[test]
    fn a_machine_that_starts_elsewhere_gets_a_section_for_it() {
        let mut elsewhere = board(0x1000);
        elsewhere.memory.insert("reset".into(), Region { origin: 0x8000_0000, length: 0x80 });
        let text = memory_x(&elsewhere, "riscv32").unwrap();
        assert!(text.contains("RESET : ORIGIN = 0x80000000, LENGTH = 0x80\n") && text.contains("> RESET"), "{text}");
        assert!(!memory_x(&board(0x1000), "riscv32").unwrap().contains("RESET"));
    }

    #[test]
    fn a_loaded_model_has_half_of_what_the_stack_leaves() {
        assert_eq!(loadable_memory(&board(0x1000)), 0x1800);
    }
}
