//! The memory of boards, to check whether a model fits: Tealight's own boards, whose data the program carries, and
//! those of `board.toml` files.

use crate::error::{Error, Result};
use crate::prediction::footprint::{Footprint, Footprints};
use crate::prediction::{Predictor, cycles_per_instruction};
use crate::slices::Slices;
use serde::Serialize;
use std::path::Path;
use tealight::Model;
use tealight_board_spec::{BOARDS, SpecError, Summary};

/// Whether a model fits a board. All sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Fit {
    /// Short name of the board.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its processor core.
    pub core: String,
    /// Flash that is needed: the model file and, where it is predicted, the runtime.
    pub flash_needed: u64,
    /// Flash of the runtime with start-up and a small app, predicted; `None` if the table has no such core, or not
    /// everything that the model needs.
    pub runtime_flash: Option<u64>,
    /// Flash that the board has.
    pub flash: u64,
    /// RAM needed: the arena, and what the board keeps for the stack.
    pub ram_needed: u64,
    /// RAM that the board has.
    pub ram: u64,
    /// Bytes that the board keeps for the stack.
    pub stack: u64,
    /// The deepest stack of an inference, predicted; `None` as above.
    pub stack_needed: Option<u64>,
    /// Whether both flash and RAM are sufficient.
    pub fits: bool,
    /// Instructions of an inference, predicted; `None` if the table has no such core or operator.
    pub instructions: Option<u64>,
    /// Milliseconds of an inference, estimated from the instructions; `None` if the board has no clock.
    pub milliseconds: Option<f64>,
    /// Instructions of the longest call of `poll`, predicted; `None` as above, and if none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_instructions: Option<u64>,
}

/// The tables that a model's figures on a board are predicted from.
#[derive(Clone, Debug)]
pub(crate) struct Predictions {
    predictor: Predictor,
    footprints: Footprints,
}

impl Predictions {
    /// The tables that the program carries.
    pub(crate) fn carried() -> Self {
        Self { predictor: Predictor::carried(), footprints: Footprints::carried() }
    }
}

/// Checks whether `model` fits `board`, and predicts its instructions there, and those of the longest of `slices`.
pub(crate) fn fit(board: &Summary, model: &Model<'_>, predictions: &Predictions, slices: Option<&Slices>) -> Fit {
    let Predictions { predictor, footprints } = predictions;
    let footprint = footprints.of_model(model, &board.core);
    let instructions = predictor.instructions(model, &board.core);
    let milliseconds = instructions.and_then(|count| milliseconds(count, board));
    let slice_instructions = slices.and_then(|slices| slices.instructions(model, predictor, &board.core));
    Fit {
        instructions,
        milliseconds,
        slice_instructions,
        ..memory_fit(board, model.bytes().len() as u64, model.arena_len() as u64, footprint)
    }
}

/// Checks whether a file and an arena of these lengths, and what else is predicted, fit `board`.
fn memory_fit(board: &Summary, file_len: u64, arena_len: u64, footprint: Option<Footprint>) -> Fit {
    let Summary { id, name, core, clock: _, stack, flash, ram } = board.clone();
    let ram_needed = arena_len.saturating_add(stack);
    let (runtime_flash, stack_needed) = (footprint.map(|found| found.runtime), footprint.map(|found| found.stack));
    let flash_needed = file_len.saturating_add(runtime_flash.unwrap_or(0));
    let fits = flash_needed <= flash && ram_needed <= ram;
    let (instructions, milliseconds, slice_instructions) = (None, None, None);
    Fit {
        id,
        name,
        core,
        flash_needed,
        runtime_flash,
        flash,
        ram_needed,
        ram,
        stack,
        stack_needed,
        fits,
        instructions,
        milliseconds,
        slice_instructions,
    }
}

/// Returns the time of so many instructions at the board's clock; `None` if the board has no clock or the core is not
/// known.
pub(crate) fn milliseconds(instructions: u64, board: &Summary) -> Option<f64> {
    let cycles = instructions as f64 * cycles_per_instruction(&board.core)?;
    Some((cycles * 1e6 / board.clock? as f64).round() / 1e3)
}

/// Returns the boards that `named` means: paths of `board.toml` files, or identifiers of the boards that [`all`] finds
/// from `start`.
///
/// # Errors
/// A file cannot be read or lacks an entry, or there is no such board.
pub(crate) fn named(named: &[String], start: &Path) -> Result<Vec<Summary>> {
    let find = |name: &String| {
        let path = Path::new(name);
        if path.extension().is_some() || path.components().count() > 1 {
            return read(path);
        }
        let boards = all(start)?;
        let known: Vec<_> = boards.iter().map(|board| board.id.clone()).collect();
        boards.into_iter().find(|board| board.id == *name).ok_or_else(|| {
            Error::new(format!("there is no board `{name}`"))
                .help(format!("give the path of a board.toml, or one of: {}", known.join(", ")))
        })
    };
    named.iter().map(find).collect()
}

/// Reads a `board.toml`.
///
/// # Errors
/// The file cannot be read, or lacks a required entry.
pub(crate) fn read(path: &Path) -> Result<Summary> {
    Summary::read(path).map_err(|error| {
        let failed = Error::new(format!("cannot read the board `{}`", path.display()));
        match error {
            SpecError::Read { source, .. } => failed.cause(source).help("give the path of a board.toml"),
            SpecError::In { source, .. } => match *source {
                SpecError::Region(region) => failed
                    .cause(format!("there is no [memory.{region}]"))
                    .help(format!("add [memory.{region}] with origin and length")),
                error => failed
                    .cause(error)
                    .help("a board.toml has id, name, core, stack, [memory.flash] and [memory.ram] with length"),
            },
            error => failed.cause(error),
        }
    })
}

/// Returns the boards of the nearest folder, from `start` upward, that has any, then those that the program carries and
/// that the folder does not contain.
///
/// # Errors
/// A `board.toml` of that folder cannot be read, or lacks a required entry.
pub(crate) fn all(start: &Path) -> Result<Vec<Summary>> {
    let files = start.ancestors().map(tealight_board_spec::files).find(|files| !files.is_empty()).unwrap_or_default();
    let mut boards = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let carried = BOARDS.iter().filter(|carried| boards.iter().all(|board| board.id != carried.id));
    let carried: Vec<_> = carried.map(Summary::from).collect();
    boards.extend(carried);
    Ok(boards)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "id = 'small'\nname = 'A small board'\ncore = 'Cortex-M0+'\ntarget = 'x'\nstack = 4096\n\
                         [memory.flash]\norigin = 0\nlength = 0x1_0000\n[memory.ram]\norigin = 1\nlength = 16384\n";

    #[test]
    fn a_model_fits_up_to_the_last_byte() {
        let board = Summary::parse(SMALL).unwrap();
        assert!(memory_fit(&board, 0x1_0000, 16384 - 4096, None).fits);
        assert!(!memory_fit(&board, 0x1_0001, 0, None).fits);
        assert!(!memory_fit(&board, 0, 16384 - 4096 + 1, None).fits);
        let fits = |runtime| memory_fit(&board, 0x8000, 0, Some(Footprint { runtime, stack: 0 })).fits;
        assert!(fits(0x8000) && !fits(0x8001));
    }

    #[test]
    fn time_is_cycles_at_the_clock_of_the_board() {
        let board = Summary { clock: Some(16_000_000), core: "Cortex-M0".into(), ..Summary::parse(SMALL).unwrap() };
        let cycles = 16_000.0 * cycles_per_instruction("Cortex-M0").unwrap();
        assert_eq!(milliseconds(16_000, &board), Some((cycles / 16.0).round() / 1e3));
        assert_eq!(milliseconds(16_000, &Summary { clock: None, ..board }), None);
    }

    #[test]
    fn a_board_is_named_by_its_identifier_or_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("board.toml");
        std::fs::write(&file, SMALL).unwrap();
        let names = ["pico".to_string(), file.display().to_string()];
        let boards = named(&names, folder.path()).unwrap();
        assert_eq!([&*boards[0].id, &*boards[1].id], ["pico", "small"]);
        let error = named(&["toaster".into()], folder.path()).unwrap_err();
        assert!(format!("{error}").contains("toaster"));
    }

    #[test]
    fn finds_boards_from_a_subfolder_and_lists_them_before_the_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        let board = |path: &str, text: &str| {
            let folder = folder.path().join(path);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("board.toml"), text).unwrap();
        };
        board("boards/small", SMALL);
        board("boards/hardware/pico", &SMALL.replace("'small'", "'pico'"));
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let boards = all(&below).unwrap();
        assert_eq!([&*boards[0].id, &*boards[1].id], ["small", "pico"]);
        assert_eq!(boards.len(), BOARDS.len() + 1);
        assert_eq!(boards.iter().find(|board| board.id == "pico").unwrap().ram, 16384);
    }
}
