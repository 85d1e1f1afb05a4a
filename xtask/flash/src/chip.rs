//! The chip in probe-rs's database, and the proof that an image fits it.

use crate::Error;
use crate::error::chain;
use crate::image::Image;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use probe_rs::Target;
use probe_rs::config::{MemoryRegion, Registry};
use probe_rs_target::{ChipFamily, RawFlashAlgorithm};
use std::ops::Range;
use std::path::Path;
use tealight_board_spec::Board;

/// Looks a chip up in probe-rs's database.
///
/// # Errors
/// [`Error::Chip`].
pub fn find(chip: &str) -> Result<Target, Error> {
    let registry = Registry::from_builtin_families();
    registry.get_target_by_name(chip).map_err(|error| refused(chip, chain(&error)))
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
    registry.add_target_family(family).map_err(|error| in_file(file, chain(&error)))?;
    registry.get_target_by_name(chip).map_err(|error| in_file(file, chain(&error)))
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

/// Proves that all of an image goes into flash of the chip.
///
/// # Errors
/// [`Error::OutsideOfMemory`] names what does not.
pub fn check(target: &Target, image: &Image) -> Result<(), Error> {
    for segment in &image.segments {
        let mut address = segment.address;
        while address < segment.end() {
            let region = flash(target).find(|range| range.contains(&address));
            let Some(range) = region else {
                return Err(Error::OutsideOfMemory { chip: target.name.clone(), start: address, end: segment.end() });
            };
            address = range.end;
        }
    }
    Ok(())
}

/// The flash of the chip.
fn flash(target: &Target) -> impl Iterator<Item = Range<u64>> {
    target.memory_map.iter().filter_map(MemoryRegion::as_nvm_region).map(|region| region.range.clone())
}

/// A picture of the chip's memory with the image in it, a line a section.
pub fn layout(target: &Target, board: &Board, image: &Image) -> String {
    let mut text = format!("{} on {} ({})\n", board.id, target.name, board.core);
    for region in &target.memory_map {
        let range = region.address_range();
        let inside: Vec<_> = image.sections.iter().filter(|section| range.contains(&section.address)).collect();
        if inside.is_empty() {
            continue;
        }
        let kind = if region.is_nvm() { "flash" } else { "RAM" };
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
    use tealight_board_spec::Flash;

    fn image(address: u64, length: usize) -> Image {
        let segments = vec![Segment { address, bytes: vec![0; length] }];
        let sections = vec![Section { name: ".text".into(), address, length: length as u64 }];
        Image { segments, sections, rtt: None, texts: None }
    }

    fn microbit() -> (Target, Board) {
        let root = crate::board::root();
        let board = Board::all(&root).unwrap().into_iter().find(|board| board.id == "microbit").unwrap();
        (find("nRF51822_xxAA").unwrap(), board)
    }

    #[test]
    fn an_image_fits_to_the_last_byte_and_not_beyond() {
        let (chip, _) = microbit();
        check(&chip, &image(0, 0x4_0000)).unwrap();
        let error = check(&chip, &image(0x3_FFF0, 0x11)).unwrap_err();
        assert!(matches!(error, Error::OutsideOfMemory { start: 0x4_0000, end: 0x4_0001, .. }), "{error}");
        // RAM is no flash.
        assert!(check(&chip, &image(0x2000_0000, 4)).is_err());
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
        for board in Board::all(&root).unwrap() {
            let Some(Flash::Probe(by)) = &board.flash else { continue };
            let chip = match &by.description {
                Some(file) => described(&by.chip, &root.join(&board.folder).join(file), None).unwrap(),
                None => find(&by.chip).unwrap(),
            };
            let board_flash = &board.memory["flash"];
            let whole = image(board_flash.origin, board_flash.length as usize);
            check(&chip, &whole).unwrap_or_else(|error| panic!("{}: {error}", board.id));
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
