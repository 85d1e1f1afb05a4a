//! The chip in probe-rs's database, and the proof that an image fits it.

use crate::Error;
use crate::image::Image;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use probe_rs::Target;
use probe_rs::config::Registry;
use probe_rs_target::{ChipFamily, RawFlashAlgorithm};
use std::ops::Range;
use std::path::Path;
use tealight_board_spec::{Board, Boot};
use tealight_console::error_line;

/// Looks a chip up in probe-rs's database.
///
/// # Errors
/// [`Error::Chip`].
pub fn find(chip: &str) -> Result<Target, Error> {
    let registry = Registry::from_builtin_families();
    registry.get_target_by_name(chip).map_err(|error| refused(chip, error_line(&error)))
}

/// Reads a chip's description from `file`. If `algorithm` is given, it is an ELF file with the code of the flash
/// algorithm.
///
/// # Errors
/// [`Error::Chip`].
pub fn described(chip: &str, file: &Path, algorithm: Option<&Path>) -> Result<Target, Error> {
    let in_file = |file: &Path, reason: String| refused(chip, format!("{}: {reason}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| in_file(file, error.to_string()))?;
    let mut family: ChipFamily = yaml_serde::from_str(&text).map_err(|error| in_file(file, error.to_string()))?;
    if let Some(code) = algorithm {
        let elf = std::fs::read(code).map_err(|error| in_file(code, error.to_string()))?;
        for algorithm in &mut family.flash_algorithms {
            fill(algorithm, &elf).map_err(|reason| in_file(code, reason))?;
        }
    }
    let mut registry = Registry::new();
    registry.add_target_family(family).map_err(|error| in_file(file, error_line(&error)))?;
    registry.get_target_by_name(chip).map_err(|error| in_file(file, error_line(&error)))
}

fn refused(chip: &str, reason: String) -> Error {
    Error::Chip { chip: chip.into(), reason }
}

/// Puts code into a flash algorithm, and the addresses of its functions.
fn fill(algorithm: &mut RawFlashAlgorithm, elf: &[u8]) -> Result<(), String> {
    let file = object::File::parse(elf).map_err(|error| error.to_string())?;
    let text = file.section_by_name(".text").ok_or("it has no code")?;
    let function = |name: &str| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        // The lowest bit is the instruction set.
        symbol.map(|symbol| symbol.address() & !1).ok_or_else(|| format!("it has no function {name}"))
    };
    algorithm.instructions = text.data().map_err(|error| error.to_string())?.into();
    algorithm.instructions.resize(algorithm.instructions.len().next_multiple_of(4), 0);
    algorithm.pc_init = Some(function("Init")?);
    algorithm.pc_uninit = Some(function("UnInit")?);
    algorithm.pc_erase_sector = function("EraseSector")?;
    algorithm.pc_program_page = function("ProgramPage")?;
    algorithm.pc_verify = Some(function("Verify")?);
    algorithm.data_section_offset = algorithm.instructions.len() as u64;
    Ok(())
}

/// The memories of the board: what the chip and `board.toml` both have. A chip may address more flash than a board has.
fn memories<'a>(target: &'a Target, board: &'a Board) -> impl Iterator<Item = Memory> + 'a {
    target.memory_map.iter().flat_map(|region| {
        board.memory.values().filter_map(|stated| {
            let whole = region.address_range();
            let range = whole.start.max(stated.origin)..whole.end.min(stated.origin + stated.length);
            let flash = region.is_nvm();
            (range.start < range.end && (flash || region.is_ram())).then_some(Memory { range, flash })
        })
    })
}

/// A memory of a board.
struct Memory {
    range: Range<u64>,
    flash: bool,
}

/// Proves that all of an image goes into flash of the board, as far as its chip has it.
///
/// # Errors
/// [`Error::OutsideOfMemory`] names what does not.
pub fn check(target: &Target, board: &Board, image: &Image) -> Result<(), Error> {
    // Espressif's boot loader copies from its own place in flash into RAM what belongs there.
    let copied = board.boot == Some(Boot::EspIdf);
    for segment in &image.segments {
        let mut address = segment.address;
        while address < segment.end() {
            let mut fitting = memories(target, board).filter(|memory| memory.flash || copied);
            let Some(memory) = fitting.find(|memory| memory.range.contains(&address)) else {
                return Err(Error::OutsideOfMemory { chip: target.name.clone(), start: address, end: segment.end() });
            };
            address = memory.range.end;
        }
    }
    let (needed, length) = (image.len(), board.length("flash"));
    if needed > length {
        return Err(Error::FlashFull { board: board.id.clone(), needed, length });
    }
    Ok(())
}

/// A picture of the board's memory with the image in it, a line a section.
pub fn layout(target: &Target, board: &Board, image: &Image) -> String {
    let mut text = format!("{} on {} ({})\n", board.id, target.name, board.core);
    for Memory { range, flash } in memories(target, board) {
        let inside: Vec<_> = image.sections.iter().filter(|section| range.contains(&section.address)).collect();
        if inside.is_empty() {
            continue;
        }
        let kind = if flash { "flash" } else { "RAM" };
        let length = range.end - range.start;
        let used: u64 = inside.iter().map(|section| section.length).sum();
        text += &format!(
            "\n{kind}  {:#010x} to {:#010x}, {} KiB, {:.0} % used\n",
            range.start,
            range.end,
            length / 1024,
            100.0 * used as f64 / length as f64
        );
        text += &format!("  [{}]\n", bar(&range, inside.iter().map(|section| (section.address, section.length))));
        for section in inside {
            text += &format!("  {:#010x}  {:>9}  {}\n", section.address, section.length, section.name);
        }
    }
    text
}

/// Cells of a bar.
const CELLS: u64 = 64;

/// A bar of a memory: a cell in which something is, is full.
fn bar(range: &Range<u64>, parts: impl Iterator<Item = (u64, u64)>) -> String {
    let length = (range.end - range.start).max(1);
    let mut cells = vec!['·'; CELLS as usize];
    for (address, bytes) in parts {
        let first = (address - range.start) * CELLS / length;
        let end = ((address - range.start + bytes) * CELLS).div_ceil(length).min(CELLS);
        (first..end).for_each(|cell| cells[cell as usize] = '█');
    }
    cells.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Section, Segment};
    use probe_rs::config::MemoryRegion;

    fn image(address: u64, length: usize) -> Image {
        let segments = vec![Segment { address, bytes: vec![0; length] }];
        let sections = vec![Section { name: ".text".into(), address, length: length as u64 }];
        Image { segments, sections, rtt: None, texts: None, slot: None }
    }

    fn microbit() -> (Target, Board) {
        let root = crate::board::root();
        let board = Board::all(&root).unwrap().into_iter().find(|board| board.id == "microbit").unwrap();
        (find("nRF51822_xxAA").unwrap(), board)
    }

    #[test]
    fn an_image_fits_to_the_last_byte_and_not_beyond() {
        let (chip, mut board) = microbit();
        check(&chip, &board, &image(0, 0x4_0000)).unwrap();
        let error = check(&chip, &board, &image(0x3_FFF0, 0x11)).unwrap_err();
        assert!(matches!(error, Error::OutsideOfMemory { start: 0x4_0000, end: 0x4_0001, .. }), "{error}");
        // RAM is no flash.
        assert!(check(&chip, &board, &image(0x2000_0000, 4)).is_err());
        // A board may have less flash than its chip addresses, or state more.
        board.memory.get_mut("flash").unwrap().length = 0x1_0000;
        assert!(check(&chip, &board, &image(0xFFF0, 0x11)).is_err());
        board.memory.get_mut("flash").unwrap().length = 0x10_0000;
        assert!(check(&chip, &board, &image(0x3_FFF0, 0x11)).is_err());
    }

    #[test]
    fn what_espressifs_boot_loader_copies_may_lie_in_ram_and_takes_room_in_flash() {
        let root = crate::board::root();
        let (mut board, chip) = crate::board::described(&root, "esp32-c3", None).unwrap();
        let two = |first: u64, second: u64| Image {
            segments: [image(first, 0x100).segments, image(second, 0x100).segments].concat(),
            ..image(first, 0)
        };
        check(&chip, &board, &two(0x3C00_0020, 0x4038_0000)).unwrap();
        assert!(check(&chip, &board, &two(0x3C00_0020, 0x4000_0000)).is_err());
        board.memory.get_mut("flash").unwrap().length = 0x1FF;
        let error = check(&chip, &board, &two(0x3C00_0020, 0x4038_0000)).unwrap_err();
        assert!(matches!(error, Error::FlashFull { needed: 0x200, length: 0x1FF, .. }), "{error}");
    }

    #[test]
    fn the_picture_shows_where_the_image_is() {
        let (chip, board) = microbit();
        let picture = layout(&chip, &board, &image(0x2_0000, 0x1_0000));
        let bar = format!("[{}{}{}]", "·".repeat(32), "█".repeat(16), "·".repeat(16));
        assert!(picture.contains(&bar) && picture.contains("25 % used") && picture.contains(".text"), "{picture}");
        assert!(!picture.contains("RAM"), "{picture}");
    }

    #[test]
    fn an_unknown_chip_is_refused() {
        assert!(matches!(find("nRF99"), Err(Error::Chip { .. })));
        let error = described("nRF99", Path::new("/no such file"), None).unwrap_err().to_string();
        assert!(error.contains("/no such file"), "{error}");
    }

    #[test]
    fn the_descriptions_of_boards_are_those_of_their_memories() {
        let root = crate::board::root();
        let mut checked = 0;
        let boards = Board::all(&root).unwrap();
        for (board, way) in boards.iter().flat_map(|board| board.flash.iter().map(move |way| (board, way))) {
            let chip = match way.chip() {
                (name, Some(file)) => described(name, &root.join(&board.folder).join(file), None).unwrap(),
                (name, None) => find(name).unwrap(),
            };
            let board_flash = &board.memory["flash"];
            let whole = image(board_flash.origin, board_flash.length as usize);
            check(&chip, board, &whole).unwrap_or_else(|error| panic!("{}: {error}", board.id));
            let ram = &board.memory["ram"];
            let inside = |region: &MemoryRegion| {
                let range = region.address_range();
                region.is_ram() && range.start <= ram.origin && range.end > ram.origin
            };
            assert!(chip.memory_map.iter().any(inside), "{}: {:x?}", board.id, chip.memory_map);
            checked += 1;
        }
        assert!(checked > 2);
    }
}
