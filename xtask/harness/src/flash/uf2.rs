//! UF2 files (<https://github.com/microsoft/uf2>): an image in blocks of 512 bytes, each with 256 bytes of flash and
//! their address, as the boot loaders of RP2040 and RP2350 take them.
//!
//! Two errata of these boot loaders shape a file:
//!
//! - RP2040-E14: a sector of which not all pages come is erased at the wrong time, except the last one. So all pages of
//!   the sectors before it are in the file, those that the image leaves free with zeros.
//! - RP2350-E10: on a chip with a partition table, a file begun at once goes wrong; one block of the family "absolute"
//!   before the others puts that right. It has the address, the contents and the wrong number of blocks that the
//!   erratum states, and a mark by which other readers ignore it. Its address is the end of 16 MiB: smaller flash may repeat
//!   there, so its last 256 bytes may be erased and written. If the image has them, its own block follows.

use anyhow::{Context as _, Result, bail};
use object::read::elf::{ElfFile32, ProgramHeader as _};
use object::{Endianness, elf};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tealight_board_spec::Uf2Family;

const MAGIC_START: [u32; 2] = [0x0A32_4655, 0x9E5D_5157];
const MAGIC_END: u32 = 0x0AB1_6F30;
/// Bytes of a block.
const BLOCK: usize = 512;
/// Where the payload of a block is.
const PAYLOAD_AT: usize = 32;
/// Bytes of a page of flash, which a block contains.
pub(super) const PAGE: usize = 256;
/// Bytes that are erased together.
const SECTOR: u64 = 4096;

// Flags of a block.
const FAMILY_IS_STATED: u32 = 0x2000;
const EXTENSIONS_FOLLOW: u32 = 0x8000;

/// The family whose blocks are written where they state, whatever the partitions (RP2350 datasheet, 5.5.3).
const ABSOLUTE: u32 = 0xE48B_FF57;
/// The address of the block for RP2350-E10.
const ABSOLUTE_ADDRESS: u32 = 0x10FF_FF00;
/// The extension that marks a block as one for RP2350-E10 alone.
const IGNORED: u32 = 0x9957_E304;

/// A family's number (RP2040 datasheet, 2.8.4.2; RP2350 datasheet, 5.5.3).
fn number(family: Uf2Family) -> u32 {
    match family {
        Uf2Family::Rp2040 => 0xE48B_FF56,
        Uf2Family::Rp2350ArmS => 0xE48B_FF59,
        Uf2Family::Rp2350Riscv => 0xE48B_FF5A,
    }
}

/// What the chip's boot loader states as `Board-ID` in the file `INFO_UF2.TXT` of its drive.
pub(super) fn board_id(family: Uf2Family) -> &'static str {
    match family {
        Uf2Family::Rp2040 => "RPI-RP2",
        Uf2Family::Rp2350ArmS | Uf2Family::Rp2350Riscv => "RP2350",
    }
}

/// Bytes of flash, and the address of the first.
pub(super) type Segment<'a> = (u64, &'a [u8]);

/// What is loaded of an ELF image.
///
/// # Errors
/// It is none.
pub(super) fn segments(image: &[u8]) -> Result<Vec<Segment<'_>>> {
    let elf = ElfFile32::<Endianness>::parse(image).context("the image is no ELF file of a 32-bit board")?;
    let mut segments = Vec::new();
    for header in elf.elf_program_headers() {
        let bytes = header.data(elf.endian(), image).ok().context("a segment is outside of the image's file")?;
        if header.p_type(elf.endian()) == elf::PT_LOAD && !bytes.is_empty() {
            segments.push((header.p_paddr(elf.endian()).into(), bytes));
        }
    }
    Ok(segments)
}

/// Makes the UF2 file of segments, which must lie in `flash`.
///
/// # Errors
/// Some of them lie elsewhere, or there are none.
pub(super) fn file(segments: &[Segment<'_>], flash: &Range<u64>, family: Uf2Family) -> Result<Vec<u8>> {
    let pages = pages(segments, flash)?;
    let count = pages.len() as u32;
    let mut file = Vec::with_capacity(BLOCK * (pages.len() + 1));
    if family != Uf2Family::Rp2040 {
        let mut first = block(ABSOLUTE, ABSOLUTE_ADDRESS, 0, 2, &[0xEF; PAGE]);
        put(&mut first, 8, FAMILY_IS_STATED | EXTENSIONS_FOLLOW);
        put(&mut first, PAYLOAD_AT + PAGE, IGNORED);
        file.extend(first);
    }
    for (index, (address, page)) in (0..).zip(&pages) {
        file.extend(block(number(family), *address, index, count, page));
    }
    Ok(file)
}

/// The pages of flash that a UF2 file needs of segments, by their addresses.
fn pages(segments: &[Segment<'_>], flash: &Range<u64>) -> Result<BTreeMap<u32, [u8; PAGE]>> {
    let mut pages = BTreeMap::new();
    for &(start, bytes) in segments {
        let end = start + bytes.len() as u64;
        if start < flash.start || end > flash.end {
            bail!("the image's bytes from {start:#010x} to {end:#010x} are not in the flash of the board");
        }
        for (address, byte) in (start..).zip(bytes) {
            let offset = (address % PAGE as u64) as usize;
            pages.entry((address - offset as u64) as u32).or_insert([0; PAGE])[offset] = *byte;
        }
    }
    let Some(last) = pages.last_key_value().map(|(address, _)| u64::from(*address)) else {
        bail!("nothing of the image is loaded into flash");
    };
    let sectors: BTreeSet<u64> = pages.keys().map(|&address| u64::from(address) / SECTOR * SECTOR).collect();
    for page in sectors.into_iter().flat_map(|sector| (sector..sector + SECTOR).step_by(PAGE)) {
        if page < last {
            pages.entry(page as u32).or_insert([0; PAGE]);
        }
    }
    Ok(pages)
}

/// A block of a family.
fn block(family: u32, address: u32, index: u32, count: u32, page: &[u8; PAGE]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let head = [MAGIC_START[0], MAGIC_START[1], FAMILY_IS_STATED, address, PAGE as u32, index, count, family];
    for (place, word) in head.into_iter().enumerate() {
        put(&mut block, 4 * place, word);
    }
    block[PAYLOAD_AT..PAYLOAD_AT + PAGE].copy_from_slice(page);
    put(&mut block, BLOCK - 4, MAGIC_END);
    block
}

/// Writes a little-endian word.
fn put(block: &mut [u8; BLOCK], at: usize, word: u32) {
    block[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const FLASH: Range<u64> = 0x1000_0000..0x1020_0000;

    /// An ELF file with these segments: their addresses in memory, and their bytes.
    fn elf(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut file = b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
        let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
        half(&mut file, 2); // an executable
        half(&mut file, 40); // for Arm
        for value in [1, 0, 52, 0, 0x0500_0000] {
            word(&mut file, value); // version, entry, the table of segments, no sections, flags
        }
        for value in [52, 32, segments.len() as u16, 0, 0, 0] {
            half(&mut file, value); // the sizes of this header and of a segment's, the segments, no sections
        }
        let mut offset = (52 + 32 * segments.len()) as u32;
        for (address, bytes) in segments {
            let length = bytes.len() as u32;
            // Loaded, where in the file, where it runs (elsewhere, as variables do), where it is stored.
            for value in [1, offset, 0x2000_0000, *address, length, length, 5, 1] {
                word(&mut file, value);
            }
            offset += length;
        }
        segments.iter().for_each(|(_, bytes)| file.extend(*bytes));
        file
    }

    fn words(block: &[u8]) -> Vec<u32> {
        block.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    #[test]
    fn another_reader_of_uf2_finds_the_image_and_its_family() {
        let bytes: Vec<u8> = (0..1000_u32).map(|place| (place % 251) as u8).collect();
        for (family, number) in [
            (Uf2Family::Rp2040, 0xE48B_FF56_u32),
            (Uf2Family::Rp2350ArmS, 0xE48B_FF59),
            (Uf2Family::Rp2350Riscv, 0xE48B_FF5A),
        ] {
            let image = elf(&[(0x1000_0000, &bytes[..300]), (0x1000_012C, &bytes[300..])]);
            let uf2 = file(&segments(&image).unwrap(), &FLASH, family).unwrap();
            let (found, families) = uf2_decode::convert_from_uf2(&uf2).map_err(|error| format!("{error:?}")).unwrap();
            assert_eq!(families[&number], 0x1000_0000);
            let before = if family == Uf2Family::Rp2040 { 0 } else { PAGE };
            assert_eq!(families.len(), 1 + before / PAGE);
            assert_eq!(found[before..][..1000], bytes);
            assert!(found[before + 1000..].iter().all(|&byte| byte == 0) && found.len() == before + 1024);
        }
    }

    #[test]
    fn blocks_are_numbered_and_pages_that_an_image_leaves_free_are_in_the_file_except_after_its_last() {
        // 16 pages are a sector. The image is in the 3rd page of one, and in the first of one four sectors on.
        let uf2 = file(&[(0x1000_0210, &[1]), (0x1000_4000, &[2])], &FLASH, Uf2Family::Rp2040).unwrap();
        let (blocks, []) = uf2.as_chunks::<BLOCK>() else { panic!("{} bytes", uf2.len()) };
        assert_eq!(blocks.len(), 16 + 1);
        for (index, block) in blocks.iter().enumerate() {
            let words = words(block);
            let address = if index < 16 { 0x1000_0000 + 256 * index as u32 } else { 0x1000_4000 };
            assert_eq!(words[..8], [0x0A32_4655, 0x9E5D_5157, 0x2000, address, 256, index as u32, 17, 0xE48B_FF56]);
            assert_eq!(words[127], 0x0AB1_6F30);
        }
        assert_eq!((blocks[2][32 + 0x10], blocks[16][32]), (1, 2));
    }

    #[test]
    fn a_file_for_an_rp2350_begins_with_the_block_of_its_erratum() {
        let uf2 = file(&[(0x1000_0000, &[7; 256])], &FLASH, Uf2Family::Rp2350Riscv).unwrap();
        let first = words(&uf2[..BLOCK]);
        assert_eq!(first[..8], [0x0A32_4655, 0x9E5D_5157, 0xA000, 0x10FF_FF00, 256, 0, 2, 0xE48B_FF57]);
        assert!(first[8..72].iter().all(|&word| word == 0xEFEF_EFEF));
        assert_eq!((first[72], first[127]), (0x9957_E304, 0x0AB1_6F30));
        // It does not count among the image's.
        assert_eq!(words(&uf2[BLOCK..])[5..8], [0, 1, 0xE48B_FF5A]);
    }

    #[test]
    fn what_is_not_in_flash_or_no_image_is_refused() {
        let refusal = |segments: &[Segment<'_>]| file(segments, &FLASH, Uf2Family::Rp2040).unwrap_err().to_string();
        let ram = refusal(&[(0x1000_0000, &[1; 16]), (0x2000_0000, &[1; 16])]);
        assert!(ram.contains("0x20000000 to 0x20000010"), "{ram}");
        assert!(refusal(&[(0x101F_FFFF, &[1; 2])]).contains("0x101fffff to 0x10200001"));
        assert!(refusal(&[]).contains("nothing"));
        assert!(segments(b"no image").unwrap_err().to_string().contains("no ELF"));
    }
}
