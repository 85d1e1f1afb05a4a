//! A linked image as the flash of a chip contains it.

use anyhow::{Context as _, Result, bail};
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _};
use std::ops::Range;

/// The address of the flash, on both chips.
pub(crate) const FLASH: u32 = 0x1000_0000;
/// What erased flash reads as.
const ERASED: u8 = 0xFF;
/// Longer than the flash of any board here.
const LONGEST: u32 = 16 << 20;

/// The flash's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its bytes, from [`FLASH`] on.
    pub(crate) flash: Vec<u8>,
    /// The entry point that the linker set.
    pub(crate) entry: u32,
    /// Where it contains Thumb code, as ranges of `flash`; by the linker's mapping symbols, which also tell apart the
    /// constants between functions (ELF for the Arm Architecture, "Mapping symbols").
    pub(crate) thumb: Vec<Range<usize>>,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// It is no 32-bit ELF file, or stores something outside the flash.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let file: ElfFile<'_, FileHeader32<Endianness>> = ElfFile::parse(bytes).context("it is no 32-bit ELF file")?;
        let endian = file.endian();
        let (mut flash, mut moved) = (Vec::new(), Vec::new());
        for header in file.elf_program_headers().iter().filter(|header| header.p_type(endian) == PT_LOAD) {
            let Ok(data) = header.data(endian, bytes) else { bail!("a segment is cut off") };
            if data.is_empty() {
                continue;
            }
            let at = header.p_paddr(endian).checked_sub(FLASH).filter(|at| *at < LONGEST);
            let at = at.with_context(|| format!("it stores bytes at {:#010x}", header.p_paddr(endian)))? as usize;
            let end = at + data.len();
            if flash.len() < end {
                flash.resize(end, ERASED);
            }
            flash[at..end].copy_from_slice(data);
            moved.push((header.p_vaddr(endian), data.len(), at));
        }
        let place = |address: u32| {
            moved.iter().find_map(|&(from, length, at)| {
                let offset = address.checked_sub(from)? as usize;
                (offset < length).then_some(at + offset)
            })
        };
        let mut marks: Vec<(usize, bool)> = Vec::new();
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            let is = |kind: &str| name == kind || name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'));
            if let (true, Some(at)) = (is("$t") || is("$d"), place(symbol.address() as u32)) {
                marks.push((at, is("$t")));
            }
        }
        marks.sort_unstable();
        let ends = marks.iter().map(|mark| mark.0).skip(1).chain([flash.len()]);
        let thumb = marks.iter().zip(ends).filter(|((_, code), _)| *code).map(|((at, _), end)| *at..end).collect();
        Ok(Self { flash, entry: file.elf_header().e_entry(endian), thumb })
    }

    /// The word at an offset in the flash.
    pub(crate) fn word(&self, offset: usize) -> Result<u32> {
        let bytes = self.flash.get(offset..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u32::from_le_bytes(*bytes)).context("the image is too short")
    }
}
