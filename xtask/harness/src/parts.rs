//! What each part of an image takes in flash, by the names of its symbols.

use crate::table::{Table, table};
use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};
use serde::Serialize;
use std::collections::BTreeMap;
use tealight_cli::grouped;

/// A part of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The model file.
    Model,
    /// Kernels, and the conversion of a plan's operators to their parameters.
    Kernels,
    /// The session, and reading of the plan.
    Session,
    /// The front end of an audio model, or the tokens of a language model.
    FrontEnd,
    /// The board, the app, and its report.
    App,
    /// Encoding of the log.
    Log,
    /// Copying and filling of memory, and arithmetic that the core lacks.
    Builtins,
    /// Tables of interrupts, start-up code, HALs, constants without a name, and gaps.
    Rest,
}

impl Part {
    /// All parts.
    const ALL: [Self; 8] =
        [Self::Model, Self::Kernels, Self::Session, Self::FrontEnd, Self::App, Self::Log, Self::Builtins, Self::Rest];

    /// The name in a table.
    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Kernels => "kernels",
            Self::Session => "session and plan",
            Self::FrontEnd => "front end",
            Self::App => "board and app",
            Self::Log => "log",
            Self::Builtins => "memory functions and arithmetic",
            Self::Rest => "vectors, start-up, constants",
        }
    }

    /// The part that a demangled symbol belongs to.
    fn of(symbol: &str) -> Self {
        // `<tealight::ops::T as Trait>::f` starts with the wrapping of a trait's implementation.
        let bare = symbol.trim_start_matches(['<', '&']);
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| bare.starts_with(prefix));
        if bare.contains("::MODEL") {
            Self::Model
        } else if starts(&["tealight_kernels::", "tealight::ops::"]) {
            Self::Kernels
        } else if starts(&["tealight::", "tealight_format::", "tealight_types::"]) {
            Self::Session
        } else if starts(&["tealight_audio::", "tealight_text::"]) {
            Self::FrontEnd
        } else if starts(&["tealight_board::log", "defmt::", "_defmt", "__defmt", "rtt_target::", "defmt_rtt::"]) {
            Self::Log
        } else if starts(&["compiler_builtins::", "libm::", "mem"]) || is_runtime_call(bare) {
            Self::Builtins
        } else if bare.contains("tealight_") || bare == "main" {
            Self::App
        } else {
            Self::Rest
        }
    }
}

/// Functions that compilers call by name: `__aeabi_memcpy4`, `__udivsi3`.
fn is_runtime_call(symbol: &str) -> bool {
    symbol.starts_with("__aeabi_")
        || symbol.strip_prefix("__").is_some_and(|name| {
            let ends = ["si3", "di3", "ti3", "sf3", "df3", "di4", "si4", "sf2", "df2", "sisf", "sidf", "fsi", "fdi"];
            ends.iter().any(|end| name.ends_with(end))
        })
}

/// The bytes of each part of `image` in flash; their sum is that of [`sizes`](crate::firmware::sizes).
///
/// # Errors
/// The image is no ELF file.
pub fn parts(image: &[u8], flash: u64) -> Result<BTreeMap<Part, u64>> {
    let file = object::File::parse(image).context("the image is not an ELF file")?;
    let loaded: Vec<_> = file
        .sections()
        .filter(|section| {
            matches!(section.kind(), SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString)
        })
        .map(|section| section.index())
        .collect();
    // Two names of one place count once: the longest is the symbol, the others are inside it or the same.
    let mut places: BTreeMap<u64, (u64, Part)> = BTreeMap::new();
    for symbol in file.symbols() {
        let inside = symbol.section_index().is_some_and(|index| loaded.contains(&index));
        let (Ok(name), true, true) = (symbol.name(), inside, symbol.size() > 0) else { continue };
        let part = Part::of(&format!("{:#}", rustc_demangle::demangle(name)));
        // The lowest bit of a Thumb function's address says that it is one.
        let place = places.entry(symbol.address() & !1).or_insert((0, part));
        if symbol.size() > place.0 {
            *place = (symbol.size(), part);
        }
    }
    let mut parts: BTreeMap<Part, u64> = Part::ALL.into_iter().map(|part| (part, 0)).collect();
    let (mut end, mut named) = (0, 0);
    for (address, (size, part)) in places {
        let counted = (address + size).saturating_sub(end.max(address));
        end = end.max(address + size);
        named += counted;
        *parts.entry(part).or_default() += counted;
    }
    *parts.entry(Part::Rest).or_default() += flash.saturating_sub(named);
    Ok(parts)
}

/// The parts that take anything.
pub fn parts_table(parts: &BTreeMap<Part, u64>) -> Table {
    let mut table = table(&["part of the flash"], &["bytes"], &[]);
    for (part, &bytes) in parts.iter().filter(|(_, bytes)| **bytes > 0) {
        table.row([part.name().into(), grouped(bytes)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_belongs_to_the_part_that_its_path_names() {
        for (symbol, part) in [
            ("mps2_an386::tealight_main::MODEL::BYTES", Part::Model),
            ("tealight_kernels::arch::arm_dsp::multiply", Part::Kernels),
            ("<tealight::ops::conv2d::Layer as Run>::run", Part::Kernels),
            ("tealight::session::Session<O>::start", Part::Session),
            ("tealight_format::value::Value::read", Part::Session),
            ("tealight_board::log::frames::write", Part::Log),
            ("_defmt_acquire", Part::Log),
            ("tealight_board::app::serve", Part::App),
            ("__aeabi_memcpy4", Part::Builtins),
            ("__udivsi3", Part::Builtins),
            ("memcpy", Part::Builtins),
            ("__INTERRUPTS", Part::Rest),
        ] {
            assert_eq!(Part::of(symbol), part, "{symbol}");
        }
    }

    #[test]
    fn what_is_not_an_image_is_refused() {
        assert!(parts(b"hello", 0).is_err());
    }
}
