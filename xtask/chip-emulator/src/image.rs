//! A linked image as the flash of a chip contains it.

use anyhow::{Context as _, Result, bail};
use object::Endianness;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile, FileHeader as _, ProgramHeader as _};

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
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// It is no 32-bit ELF file, or stores something outside the flash.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let file: ElfFile<'_, FileHeader32<Endianness>> = ElfFile::parse(bytes).context("it is no 32-bit ELF file")?;
        let endian = file.endian();
        let mut flash = Vec::new();
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
        }
        Ok(Self { flash, entry: file.elf_header().e_entry(endian) })
    }
}
