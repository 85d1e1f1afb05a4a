//! The chip as probe-rs knows it, and the proof that an image fits it.

use crate::Error;
use crate::error::chain;
use crate::image::Image;
use probe_rs::Target;
use probe_rs::config::{MemoryRegion, Registry};
use std::ops::Range;
use std::path::Path;
use tealight_board_spec::Board;

/// Looks a chip up: in probe-rs's database, and in the description of it in `file` if that is given.
///
/// # Errors
/// [`Error::Chip`].
pub fn find(chip: &str, file: Option<&Path>) -> Result<Target, Error> {
    let refused = |reason: String| Error::Chip { chip: chip.into(), reason };
    let mut registry = Registry::from_builtin_families();
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| refused(format!("{}: {error}", file.display())))?;
        registry
            .add_target_family_from_yaml(&text)
            .map_err(|error| refused(format!("{}: {}", file.display(), chain(&error))))?;
    }
    registry.get_target_by_name(chip).map_err(|error| refused(chain(&error)))
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

    fn image(address: u64, length: usize) -> Image {
        let segments = vec![Segment { address, bytes: vec![0; length] }];
        let sections = vec![Section { name: ".text".into(), address, length: length as u64 }];
        Image { segments, sections, rtt: None, texts: None }
    }

    fn microbit() -> (Target, Board) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let board = Board::all(&root).unwrap().into_iter().find(|board| board.id == "microbit").unwrap();
        (find("nRF51822_xxAA", None).unwrap(), board)
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
        assert!(matches!(find("nRF99", None), Err(Error::Chip { .. })));
        let error = find("nRF99", Some(Path::new("/no such file"))).unwrap_err().to_string();
        assert!(error.contains("/no such file"), "{error}");
    }
}
