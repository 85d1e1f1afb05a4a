//! What a chip's boot loader looks for before it starts an image.

use super::image::Image;
use crate::board::{Board, Boot};

/// What is wrong with it, on a chip that looks for anything.
pub(super) fn check(board: &Board, image: &Image) -> Vec<String> {
    let first = board.memory.get("flash").map_or(0, |flash| flash.origin);
    let wrong = match board.boot {
        None => return Vec::new(),
        Some(Boot::Rp2040) => second_stage(image.stored_from(first)),
        Some(Boot::Rp2350) => image_definition(&leading(image, first, SEARCHED), board.target.starts_with("riscv")),
        Some(Boot::EspIdf) => app_descriptor(image.stored_from(first + HEADERS)),
    };
    wrong.err().into_iter().collect()
}

/// The RP2040's second stage: 252 bytes and their checksum (RP2040 datasheet, 2.8.1.3.1).
fn second_stage(flash: Option<&[u8]>) -> Result<(), String> {
    let Some((stage, _)) = flash.and_then(<[u8]>::split_first_chunk::<256>) else {
        return Err("there are no 256 bytes of a second boot stage at the beginning of the flash".into());
    };
    let (code, checksum) = stage.split_at(252);
    let (found, expected) = (word(checksum, 0).unwrap_or(0), crc32(code));
    if found == expected {
        Ok(())
    } else {
        Err(format!("the second boot stage has the checksum {found:#010x}, and the boot ROM expects {expected:#010x}"))
    }
}

/// The CRC that the boot ROM computes: the usual polynomial, most significant bit first, begun with ones and not
/// inverted.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| (crc << 1) ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 })
    })
}

// Blocks and their items: RP2350 datasheet, 5.9.
const SEARCHED: u64 = 4096;
const BLOCK_START: u32 = 0xFFFF_DED3;
const BLOCK_END: u32 = 0xAB12_3579;
const ITEM_IMAGE_TYPE: u32 = 0x42;
const ITEM_LAST: u32 = 0xFF;
const TWO_BYTES_OF_SIZE: u32 = 0x80;
/// In an image type: an executable (bits 0 to 3), for which cores (8 to 10), for the RP2350 (12 to 14).
const TYPE_MASK: u32 = 0x770F;
const TYPE_ARM: u32 = 0x1001;
const TYPE_RISCV: u32 = 0x1101;

/// The RP2350's image definition, the first block in the first 4 KiB: an executable for these cores, in a loop of its
/// own.
fn image_definition(flash: &[u8], riscv: bool) -> Result<(), String> {
    let words: Vec<u32> = flash.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let Some(start) = words.iter().position(|&word| word == BLOCK_START) else {
        return Err("there is no image definition in the first 4 KiB of the flash".into());
    };
    let cut = || format!("the image definition at byte {} of the flash does not end", 4 * start);
    let (mut at, mut image_type) = (start + 1, None);
    loop {
        let &item = words.get(at).ok_or_else(cut)?;
        let (code, size) = (item & 0xFF, item >> 8);
        if code == ITEM_LAST {
            let items = at - start - 1;
            if (size & 0xFFFF) as usize != items {
                return Err(format!(
                    "the image definition says that it has {} words of items, and has {items}",
                    size & 0xFFFF
                ));
            }
            break;
        }
        if code == ITEM_IMAGE_TYPE {
            image_type = Some(item >> 16);
        }
        let size = if code & TWO_BYTES_OF_SIZE != 0 { size & 0xFFFF } else { size & 0xFF };
        at += size.max(1) as usize;
    }
    let (&link, &end) = words.get(at + 1).zip(words.get(at + 2)).ok_or_else(cut)?;
    if end != BLOCK_END {
        return Err(cut());
    }
    if link != 0 {
        return Err(format!("the image definition leads to another block {link:#x} bytes on, and there should be one"));
    }
    let wanted = if riscv { TYPE_RISCV } else { TYPE_ARM };
    match image_type {
        Some(found) if found & TYPE_MASK == wanted => Ok(()),
        Some(found) => Err(format!("the image definition is of type {found:#06x}, no executable for these cores")),
        None => Err("the image definition does not say what the image is".into()),
    }
}

/// Bytes of the headers of image and segment, before the first segment's bytes (ESP-IDF, "App Image Format").
const HEADERS: u64 = 24 + 8;
const APP_DESCRIPTOR: u32 = 0xABCD_5432;

/// Espressif's app descriptor, first of what is in flash.
fn app_descriptor(flash: Option<&[u8]>) -> Result<(), String> {
    match flash.and_then(|bytes| word(bytes, 0)) {
        Some(APP_DESCRIPTOR) => Ok(()),
        _ => Err("the flash does not begin with an app descriptor".into()),
    }
}

/// What is stored in the first `length` bytes from `address` on; zeros where nothing is.
fn leading(image: &Image, address: u64, length: u64) -> Vec<u8> {
    let byte = |offset| image.stored_from(address + offset).and_then(|bytes| bytes.first().copied()).unwrap_or(0);
    (0..length).map(byte).collect()
}

/// The little-endian word at an offset.
fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
