//! The build script of every board: `fn main() { tealight_board_build::main() }`.
//!
//! A board is described in its `board.toml` and nowhere else. The script writes the linker's `memory.x` from it, and
//! passes the board's name to the firmware.

use std::path::PathBuf;
use std::{env, fs};
use tealight_board_spec::{Board, Boot, Region};

/// The size of the RP2040's second-stage boot loader in bytes.
const BOOT2: u64 = 256;

/// Passes the linker its memory map, and the firmware its name and the model and input to embed.
///
/// # Panics
/// If `board.toml` cannot be read or has no memory regions; cargo shows the reason.
pub fn main() {
    println!("cargo:rerun-if-changed=board.toml");
    let text = fs::read_to_string("board.toml").expect("a board's folder has a board.toml");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    let folder = env::current_dir().expect("cargo runs build scripts in the package's folder");
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    let board = Board::parse(&text, &folder).unwrap_or_else(|error| panic!("in board.toml: {error}"));
    if board.boot == Some(Boot::EspIdf) {
        println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
    } else {
        link_from_memory_x(&board, &architecture);
    }
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-env=TEALIGHT_BOARD={}", board.id);
    println!("cargo:rustc-env=TEALIGHT_LOADABLE_MEMORY={}", board.loadable_arena());

    println!("cargo:rerun-if-env-changed=TEALIGHT_MODEL");
    if env::var_os("TEALIGHT_MODEL").is_none() {
        println!("cargo:rustc-env=TEALIGHT_MODEL={}", default_model().display());
    }
    println!("cargo:rerun-if-env-changed=TEALIGHT_SLOT");
    println!("cargo:rerun-if-env-changed=TEALIGHT_INPUT");
    println!("cargo::rustc-check-cfg=cfg(embedded_input)");
    if env::var_os("TEALIGHT_INPUT").is_some() {
        println!("cargo:rustc-cfg=embedded_input");
    }
}

/// The model of an image if `TEALIGHT_MODEL` is not set: handwritten digits.
fn default_model() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/digits.safetensors")
}

/// Writes `memory.x`, and links with it and with the start-up crate's script.
fn link_from_memory_x(board: &Board, architecture: &str) {
    let slot = env::var_os("TEALIGHT_SLOT").is_some();
    let memory = memory_x(board, architecture, slot).unwrap_or_else(|error| panic!("in board.toml: {error}"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    if architecture.starts_with("riscv") {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
        if board.boot == Some(Boot::Rp2350) {
            // The default handlers of the chip's interrupts, which Arm's start-up script includes by itself.
            println!("cargo:rustc-link-arg-bins=-Tdevice.x");
        }
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}

fn region<'a>(board: &'a Board, name: &str) -> Result<&'a Region, String> {
    board.memory.get(name).ok_or_else(|| format!("the table `[memory.{name}]` is missing"))
}

/// Returns the linker's memory map.
///
/// The stack is below the variables. On most chips nothing is mapped below the RAM, so a stack overflow is a fault
/// instead of silent damage. The rest of the RAM is for variables, and the linker reports variables that do not fit.
///
/// With `slot`, the firmware has only the flash below the board's model slot, and the section `.model_slot` is in it.
///
/// A region `reset` holds the section `.reset`, for a machine that starts elsewhere than its image does.
fn memory_x(board: &Board, architecture: &str, slot: bool) -> Result<String, String> {
    let (flash, ram, stack) = (region(board, "flash")?, region(board, "ram")?, board.stack);
    if stack % 16 != 0 || stack >= ram.length {
        return Err(format!("`stack = {stack}` must be a multiple of 16 and less than the RAM, {}", ram.length));
    }
    // The first bytes of the flash belong to the RP2040's second-stage boot loader.
    let (boot2, first) = match board.boot {
        Some(Boot::Rp2040) => (format!("  BOOT2 : ORIGIN = {:#x}, LENGTH = {BOOT2:#x}\n", flash.origin), BOOT2),
        _ => (String::new(), 0),
    };
    let (flash_end, slot) = match slot {
        true => model_slot(board)?,
        false => (flash.origin + flash.length, (String::new(), "")),
    };
    if flash_end <= flash.origin + first {
        return Err(format!("`[memory.flash]` must have more than {first} bytes"));
    }
    let regions = format!(
        "{boot2}  FLASH : ORIGIN = {:#x}, LENGTH = {:#x}\n  STACK : ORIGIN = {:#x}, LENGTH = {stack:#x}\n  \
         RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n",
        flash.origin + first,
        flash_end - flash.origin - first,
        ram.origin,
        ram.origin + stack,
        ram.length - stack,
    );
    let reset = board.memory.get("reset").map_or_else(Default::default, |reset| {
        let region = format!("  RESET : ORIGIN = {:#x}, LENGTH = {:#x}\n", reset.origin, reset.length);
        (region, "SECTIONS { .reset : { KEEP(*(.reset)) } > RESET } INSERT BEFORE .text;\n")
    });
    let ((reset, section), (slot, slot_section)) = (reset, slot);
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
        "MEMORY\n{{\n{regions}{reset}{slot}}}\n{aliases}{section}{slot_section}\
         _stack_end = ORIGIN(STACK);\n_stack_start = ORIGIN(STACK) + LENGTH(STACK);\n{}",
        boot_sections(board.boot, architecture)
    ))
}

/// A region of the linker's memory map, and the sections in it.
type Lines = (String, &'static str);

/// Returns where the flash ends for firmware with a model slot, and the slot.
fn model_slot(board: &Board) -> Result<(u64, Lines), String> {
    let slot = board.model_slot.ok_or("the table `[model-slot]` is missing, which firmware with a model slot needs")?;
    let region = format!("  MODEL_SLOT : ORIGIN = {:#x}, LENGTH = {:#x}\n", slot.origin, slot.length);
    let section = "_model_slot = ORIGIN(MODEL_SLOT);\n_model_slot_end = ORIGIN(MODEL_SLOT) + LENGTH(MODEL_SLOT);\n\
                   SECTIONS { .model_slot : { KEEP(*(.model_slot)) } > MODEL_SLOT } INSERT AFTER .rodata;\n";
    Ok((slot.origin, (region, section)))
}

/// The size of one block of an aarch64 core's memory map.
const BLOCK: u64 = 2 << 20;

/// The end of an aarch64 core's memory map.
const MAPPED: u64 = 1 << 32;

/// Returns the bounds of the memory that an aarch64 board's start-up code maps: flash, RAM, and devices if there are
/// any.
///
/// A block of the map has one kind of memory, and the block below the RAM is not mapped, so that a stack overflow
/// faults.
fn aarch64_map(board: &Board) -> Result<String, String> {
    let (flash, ram) = (region(board, "flash")?, region(board, "ram")?);
    let none = Region { origin: 0, length: 0, window_of: None };
    let devices = board.memory.get("devices").unwrap_or(&none);
    if ram.origin % BLOCK != 0 {
        return Err("`[memory.ram]` must begin at a multiple of 2 MiB, the block size of the memory map".into());
    }
    let blocks = |region: &Region| region.origin / BLOCK..(region.origin + region.length).div_ceil(BLOCK);
    let mut bounds = String::new();
    for (name, region) in [("flash", flash), ("ram", ram), ("devices", devices)] {
        let end = region.origin + region.length;
        if end > MAPPED {
            return Err(format!("`[memory.{name}]` ends above 4 GiB, where the memory map ends"));
        }
        if name != "ram" && blocks(region).any(|block| block + 1 == blocks(ram).start || blocks(ram).contains(&block)) {
            return Err(format!(
                "`[memory.{name}]` shares a block of 2 MiB with `[memory.ram]`, or uses the block below it"
            ));
        }
        bounds += &format!("_{name}_start = {:#x};\n_{name}_end = {end:#x};\n", region.origin);
    }
    Ok(bounds)
}

/// Returns the sections that the chip's boot loader looks for, placed among those of the start-up crate's script.
fn boot_sections(boot: Option<Boot>, architecture: &str) -> &'static str {
    match boot {
        Some(Boot::Rp2040) => "SECTIONS { .boot2 : { KEEP(*(.boot2)) } > BOOT2 } INSERT BEFORE .vector_table;\n",
        // An Arm image begins with its vector table.
        Some(Boot::Rp2350) if architecture == "arm" => {
            "SECTIONS { .start_block : ALIGN(4) { KEEP(*(.start_block)) } > FLASH } INSERT AFTER .vector_table;\n\
             _stext = ADDR(.start_block) + SIZEOF(.start_block);\n"
        }
        // A RISC-V image is entered at its first byte, where the start-up code must be.
        Some(Boot::Rp2350) => {
            "SECTIONS {\n  .start : ALIGN(4) { KEEP(*(.init)) } > FLASH\n  \
             .start_block : ALIGN(4) { KEEP(*(.start_block)) } > FLASH\n} INSERT BEFORE .text.dummy;\n\
             _stext = ADDR(.start_block) + SIZEOF(.start_block);\n"
        }
        Some(Boot::EspIdf) | None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tealight_board_spec::{ModelSlot, SlotOperators};

    fn region(origin: u64, length: u64) -> Region {
        Region { origin, length, window_of: None }
    }

    fn board(stack: u64) -> Board {
        let text = format!(
            "id = 'x1'\nname = 'X'\ncore = 'X'\ntarget = 'x'\nstack = {stack}\nconsole = {{ kind = 'uart' }}\n\
             [memory.flash]\norigin = 0\nlength = 0x4_0000\n[memory.ram]\norigin = 0x2000_0000\nlength = 0x4000\n"
        );
        Board::parse(&text, "x1").unwrap()
    }

    #[test]
    fn the_stack_is_below_the_variables_and_both_fill_the_ram() {
        let text = memory_x(&board(0x1000), "arm", false).unwrap();
        assert!(text.contains("STACK : ORIGIN = 0x20000000, LENGTH = 0x1000\n"), "{text}");
        assert!(text.contains("RAM : ORIGIN = 0x20001000, LENGTH = 0x3000\n"), "{text}");
        assert!(!text.contains("REGION_ALIAS"));
        assert!(memory_x(&board(0x1000), "riscv32", false).unwrap().contains("REGION_ALIAS(\"REGION_BSS\", RAM);"));
    }

    #[test]
    fn boot_sections_are_where_the_chip_looks_for_them() {
        let with = |boot| Board { boot: Some(boot), ..board(0x1000) };
        let text = memory_x(&with(Boot::Rp2040), "arm", false).unwrap();
        assert!(text.contains("BOOT2 : ORIGIN = 0x0, LENGTH = 0x100\n"), "{text}");
        assert!(text.contains("FLASH : ORIGIN = 0x100, LENGTH = 0x3ff00\n"), "{text}");
        let arm = memory_x(&with(Boot::Rp2350), "arm", false).unwrap();
        assert!(arm.contains(".start_block") && arm.contains("AFTER .vector_table"), "{arm}");
        let riscv = memory_x(&with(Boot::Rp2350), "riscv32", false).unwrap();
        assert!(riscv.find(".init") < riscv.find(".start_block") && riscv.contains("BEFORE .text"), "{riscv}");
        assert!(!memory_x(&board(0x1000), "arm", false).unwrap().contains("SECTIONS"));
    }

    #[test]
    fn rejects_a_stack_that_does_not_fit_the_ram() {
        assert!(memory_x(&board(0x4000), "arm", false).unwrap_err().contains("stack = 16384"));
        assert!(memory_x(&board(8), "arm", false).is_err());
        let mut without = board(16);
        without.memory.remove("ram");
        assert!(memory_x(&without, "arm", false).unwrap_err().contains("[memory.ram]"));
    }

    #[test]
    fn maps_an_aarch64_board_with_a_gap_below_the_stack() {
        let (flash, ram) = (|| region(0x8_0000, 0xF8_0000), || region(0x120_0000, 0x80_0000));
        let devices = || region(0x3F00_0000, 0x100_0000);
        let mapped = |flash, ram, devices| Board {
            memory: [("flash", flash), ("ram", ram), ("devices", devices)].map(|(n, r)| (n.into(), r)).into(),
            ..board(0x1000)
        };
        let text = memory_x(&mapped(flash(), ram(), devices()), "aarch64", false).unwrap();
        assert!(text.contains("_flash_start = 0x80000;\n_flash_end = 0x1000000;\n"), "{text}");
        assert!(text.contains("_devices_start = 0x3f000000;\n_devices_end = 0x40000000;\n"), "{text}");
        let refusal = |flash, ram, devices| memory_x(&mapped(flash, ram, devices), "aarch64", false).unwrap_err();
        assert!(refusal(region(0x8_0000, 0xF8_0001), ram(), devices()).contains("[memory.flash]"));
        assert!(refusal(flash(), region(0x130_0000, 0x80_0000), devices()).contains("[memory.ram]"));
        assert!(refusal(flash(), ram(), region(0x19F_0000, 1)).contains("[memory.devices]"));
        assert!(refusal(flash(), ram(), region(0xFFFF_FFFF, 2)).contains("4 GiB"));
    }

    #[test]
    fn firmware_with_a_model_slot_has_the_flash_below_it() {
        let slot = ModelSlot { origin: 0x2_0000, length: 0x1_0000, operators: SlotOperators::All };
        let text = memory_x(&Board { model_slot: Some(slot), ..board(0x1000) }, "arm", true).unwrap();
        assert!(text.contains("FLASH : ORIGIN = 0x0, LENGTH = 0x20000\n"), "{text}");
        assert!(text.contains("MODEL_SLOT : ORIGIN = 0x20000, LENGTH = 0x10000\n"), "{text}");
        assert!(memory_x(&board(0x1000), "arm", true).unwrap_err().contains("[model-slot]"));
    }

    #[test]
    fn a_machine_with_another_reset_address_gets_a_section_for_it() {
        let mut elsewhere = board(0x1000);
        elsewhere.memory.insert("reset".into(), region(0x8000_0000, 0x80));
        let text = memory_x(&elsewhere, "riscv32", false).unwrap();
        assert!(text.contains("RESET : ORIGIN = 0x80000000, LENGTH = 0x80\n") && text.contains("> RESET"), "{text}");
        assert!(!memory_x(&board(0x1000), "riscv32", false).unwrap().contains("RESET"));
    }

    #[test]
    fn the_default_model_is_there() {
        assert!(default_model().is_file());
    }
}
