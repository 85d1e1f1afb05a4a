//! An ELF image, as a debugger needs it.

use crate::Error;
use object::read::elf::{ElfFile32, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, elf};
use std::ops::Range;
use std::path::Path;
use tealight_console::Texts;

/// Bytes that go into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where they go: the address at which they are loaded, which is that of the flash.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// The end of its addresses, exclusive.
    pub fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// A section of memory, for a picture of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its first address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// An image.
#[derive(Debug)]
pub struct Image {
    /// What goes into flash, by ascending addresses.
    pub segments: Vec<Segment>,
    /// The sections that take room in memory.
    pub sections: Vec<Section>,
    /// Where the control block of RTT is, if the firmware has one.
    pub rtt: Option<u64>,
    /// The texts of the log, if the firmware has one.
    pub texts: Option<Texts>,
    /// The addresses of the model slot, if the firmware takes its model from one (`tealight-slot`).
    pub slot: Option<Range<u64>>,
}

/// The section of the model slot, and the symbols of its bounds, which boards' linker scripts define.
const SLOT: [&str; 3] = [".model_slot", "_model_slot", "_model_slot_end"];

impl Image {
    /// Reads an image.
    ///
    /// # Errors
    /// [`Error::Image`] if it is no ELF file of a 32-bit board, or nothing of it is loaded.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error::Image { path: path.into(), reason };
        let file = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        Self::parse(&file).map_err(refused)
    }

    /// Takes an image apart.
    fn parse(file: &[u8]) -> Result<Self, String> {
        let elf = ElfFile32::<Endianness>::parse(file).map_err(|error| error.to_string())?;
        let endian = elf.endian();
        let mut segments = Vec::new();
        for header in elf.elf_program_headers() {
            let bytes = header.data(endian, file).map_err(|()| "a segment is outside of the file".to_string())?;
            if header.p_type(endian) == elf::PT_LOAD && !bytes.is_empty() {
                segments.push(Segment { address: header.p_paddr(endian).into(), bytes: bytes.into() });
            }
        }
        if segments.is_empty() {
            return Err("nothing of it is loaded into memory".into());
        }
        segments.sort_by_key(|segment| segment.address);
        let in_memory = elf.sections().filter(|section| {
            let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else { return false };
            sh_flags.contains(elf::SHF_ALLOC) && section.size() > 0
        });
        let sections = in_memory.map(|section| Section {
            name: section.name().unwrap_or("?").into(),
            address: section.address(),
            length: section.size(),
        });
        let symbol = |name: &str| {
            let found = elf.symbols().find(|symbol| symbol.name() == Ok(name) && !symbol.is_undefined());
            found.map(|symbol| symbol.address())
        };
        let [_, start, end] = SLOT;
        Ok(Self {
            segments,
            sections: sections.collect(),
            rtt: symbol("_SEGGER_RTT"),
            texts: Texts::of(file).ok(),
            slot: symbol(start).zip(symbol(end)).map(|(start, end)| start..end),
        })
    }

    /// Bytes that go into flash.
    pub fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes.len() as u64).sum()
    }

    /// What goes into flash but not into the model slot.
    pub fn firmware(&self) -> impl Iterator<Item = &Segment> {
        let in_slot = |segment: &Segment| self.slot.as_ref().is_some_and(|slot| slot.contains(&segment.address));
        self.segments.iter().filter(move |segment| !in_slot(segment))
    }

    /// Returns the addresses of the model slot, for contents of this many bytes.
    ///
    /// # Errors
    /// [`Error::NoSlotInImage`], or [`Error::SlotFull`].
    pub fn slot_for(&self, needed: u64) -> Result<Range<u64>, Error> {
        let slot = self.slot.clone().ok_or(Error::NoSlotInImage)?;
        let length = slot.end.saturating_sub(slot.start);
        if needed > length {
            return Err(Error::SlotFull { needed, length });
        }
        Ok(slot)
    }

    /// The image as it is in flash once other contents of this many bytes are in the model slot, for a picture of it.
    ///
    /// # Errors
    /// As for [`Image::slot_for`].
    pub fn with_slot(mut self, contents: u64) -> Result<Self, Error> {
        self.slot_for(contents)?;
        let [name, ..] = SLOT;
        self.sections.iter_mut().filter(|section| section.name == name).for_each(|section| section.length = contents);
        Ok(self)
    }

    /// Whether there are none; never of an image that was read.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_refused_with_its_name() {
        let missing = Image::read(Path::new("/no such file")).unwrap_err().to_string();
        assert!(missing.contains("/no such file"), "{missing}");
        assert!(Image::parse(b"not an ELF file").is_err());
    }
}
