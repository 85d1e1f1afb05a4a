//! The layout of an ELF image.

use anyhow::{Context as _, Result, bail};
use object::elf::{PT_LOAD, SHF_ALLOC, SHF_EXECINSTR};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};
use std::collections::BTreeMap;
use std::ops::Range;

/// A linked image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// The entry point that the linker set.
    pub(super) entry: u64,
    /// What has an address.
    pub(super) sections: Vec<Section>,
    /// Addresses of those symbols that the checks ask for.
    pub(super) symbols: BTreeMap<String, u64>,
}

/// A piece of the image that has an address when it runs.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    /// Where it is when it runs.
    pub(super) address: u64,
    pub(super) size: u64,
    /// Whether it holds code.
    pub(super) code: bool,
    /// What is stored of it and at which address; nothing of what begins as zeros, or not at all.
    pub(super) stored: Option<Stored>,
}

/// What is stored of a section.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
}

impl Section {
    /// Its addresses.
    pub(super) fn range(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.size)
    }

    /// Whether it is room for the stack.
    pub(super) fn is_stack(&self) -> bool {
        self.name == ".stack"
    }
}

impl Image {
    /// Reads an ELF file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let file = File::parse(bytes).context("the image is not an ELF file")?;
        let segments = match &file {
            File::Elf32(elf) => segments(elf),
            File::Elf64(elf) => segments(elf),
            _ => bail!("the image is not an ELF file"),
        };
        let mut sections = Vec::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if !sh_flags.contains(SHF_ALLOC) || section.size() == 0 {
                continue;
            }
            let stored = if section.kind() == SectionKind::UninitializedData {
                None
            } else {
                let address = segments.iter().find_map(|segment| segment.stored_at(section.address()));
                let address = address.with_context(|| format!("no segment stores {:?}", section.name()))?;
                Some(Stored { address, bytes: section.data()?.to_vec() })
            };
            sections.push(Section {
                name: section.name()?.into(),
                address: section.address(),
                size: section.size(),
                code: sh_flags.contains(SHF_EXECINSTR),
                stored,
            });
        }
        let symbol = |symbol: object::Symbol<'_, '_>| {
            let name = symbol.name().ok().filter(|name| name.starts_with("_stack_"))?;
            Some((name.to_string(), symbol.address()))
        };
        Ok(Self { entry: file.entry(), sections, symbols: file.symbols().filter_map(symbol).collect() })
    }

    /// The memory kept for the stack, from its lowest address on.
    pub(super) fn stack(&self) -> Option<Range<u64>> {
        Some(*self.symbols.get("_stack_end")?..*self.symbols.get("_stack_start")?)
    }

    /// Bytes that are stored.
    pub(super) fn stored(&self) -> u64 {
        self.sections.iter().filter_map(|section| Some(section.stored.as_ref()?.bytes.len() as u64)).sum()
    }

    /// What is stored from an address on, up to its section's end.
    pub(super) fn stored_from(&self, address: u64) -> Option<&[u8]> {
        self.sections.iter().find_map(|section| {
            let stored = section.stored.as_ref()?;
            let offset = usize::try_from(address.checked_sub(stored.address)?).ok()?;
            stored.bytes.get(offset..).filter(|rest| !rest.is_empty())
        })
    }

    /// The section of code that an address lies in.
    pub(super) fn code_at(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|section| section.code && section.range().contains(&address))
    }
}

/// A segment that a loader would copy.
struct Segment {
    address: u64,
    size: u64,
    stored_at: u64,
}

impl Segment {
    /// Where what runs at `address` is stored, if this segment has it.
    fn stored_at(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.address).filter(|&offset| offset < self.size)?;
        self.stored_at.checked_add(offset)
    }
}

fn segments<Elf: FileHeader>(file: &ElfFile<'_, Elf>) -> Vec<Segment> {
    let endian = file.endian();
    let loaded = file.elf_program_headers().iter().filter(|header| header.p_type(endian) == PT_LOAD);
    let segment = |header: &Elf::ProgramHeader| Segment {
        address: header.p_vaddr(endian).into(),
        size: header.p_filesz(endian).into(),
        stored_at: header.p_paddr(endian).into(),
    };
    loaded.map(segment).collect()
}
