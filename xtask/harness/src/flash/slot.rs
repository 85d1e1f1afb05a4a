//! Firmware that takes its model from a slot in flash, and what is put into the slot.

use super::{FlashArgs, drive, run, uf2};
use crate::board::Board;
use crate::context::Context;
use crate::error::Usage;
use crate::firmware::{self, Level, Recipe};
use crate::fit;
use crate::model::{ModelFile, target_of};
use crate::on_board::stable_file;
use crate::progress::Progress;
use anyhow::{Context as _, Result, anyhow};
use std::path::PathBuf;
use tealight_board_spec::{ByUf2, ModelSlot, SlotOperators};
use tealight_format::{Model, OpCode, OpSet};

/// The board's model slot.
///
/// # Errors
/// It has none.
pub(super) fn of(board: &Board) -> Result<ModelSlot> {
    let slot = board
        .model_slot
        .with_context(|| Usage(format!("{} has no model slot: its board.toml has no `[model-slot]`", board.id)))?;
    Ok(slot)
}

/// The contents of the board's slot for a model and its inputs.
///
/// # Errors
/// The board has no slot, or the model does not fit it or needs a front end.
fn contents(board: &Board, model: &ModelFile, inputs: &[u8]) -> Result<Vec<u8>> {
    let slot = of(board)?;
    if !model.features().is_empty() {
        let takes = if model.listens { "takes sound" } else { "continues texts" };
        return Err(Usage(format!(
            "{} {takes}, for which the firmware needs more than the model: build it in, without a model slot",
            model.name
        ))
        .into());
    }
    fit::check_loaded(board, model)?;
    if let Some(operator) = missing(slot, model)? {
        return Err(Usage(format!(
            "{} needs the operator {operator}, which the firmware with a model slot of {} does not link; built into the \
             firmware, the model runs",
            model.name, board.id
        ))
        .into());
    }
    let contents = tealight_slot::contents(&model.bytes, inputs, slot.length);
    contents.with_context(|| format!("{} does not fit the model slot of {}", model.name, board.id))
}

/// Puts the contents of the board's slot for a model and its inputs where the path depends on them alone.
///
/// # Errors
/// As for [`contents`], or the file cannot be written.
pub(super) fn file(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8]) -> Result<PathBuf> {
    stable_file(context, &contents(board, model, inputs)?, "slot")
}

/// The first operator that the model needs and the firmware does not link.
fn missing(slot: ModelSlot, model: &ModelFile) -> Result<Option<&'static str>> {
    if slot.operators == SlotOperators::All {
        return Ok(None);
    }
    let parsed = Model::parse(&model.bytes).map_err(|error| anyhow!("{}: {error}", model.name))?;
    let missing = parsed.op_set().without(OpSet::INT8);
    Ok(OpCode::ALL.iter().find(|operator| missing.has(**operator)).map(|operator| operator.name()))
}

/// Builds firmware with a slot that holds the model and its inputs, and returns its image.
///
/// # Errors
/// As for [`contents`], or the firmware does not build.
pub(super) fn image(
    context: &Context,
    board: &Board,
    model: &ModelFile,
    inputs: &[u8],
    features: &[&str],
    log: Level,
) -> Result<Vec<u8>> {
    let file = file(context, board, model, inputs)?;
    let features = firmware::with_slot(board, features);
    let recipe = Recipe { board, name: &model.name, model: &file, embedded_input: None, features: &features, log };
    let progress = Progress::start(format!("building firmware with a model slot for {}", board.id));
    let image = firmware::build(context, recipe)?;
    progress.done("");
    Ok(image)
}

/// A model and its inputs for the board's slot.
pub(super) struct Update {
    /// The model.
    pub(super) model: ModelFile,
    /// The file with the slot's contents.
    pub(super) file: PathBuf,
}

/// What `--model-only` puts into the slot.
///
/// # Errors
/// As for [`contents`], or there is no such model.
pub(super) fn update(context: &Context, board: &Board, args: &FlashArgs) -> Result<Update> {
    let (model, inputs) = run::model_and_inputs_for(context, target_of(board), args.model.as_deref(), &args.input)?;
    let file = file(context, board, &model, &inputs)?;
    Ok(Update { model, file })
}

/// Writes the slot's contents alone to the drive of the board's boot loader.
///
/// # Errors
/// As for [`contents`], or the drive does not take the file.
pub(super) fn to_drive(context: &Context, board: &Board, by: &ByUf2, args: &FlashArgs) -> Result<()> {
    let slot = of(board)?;
    let (model, inputs) = run::model_and_inputs_for(context, target_of(board), args.model.as_deref(), &args.input)?;
    let contents = contents(board, &model, &inputs)?;
    let file = uf2::file(&[(slot.origin, &contents)], &super::flash_range(board), by.family)?;
    drive::write(context, board, by, args, &format!("{}-{}-model.uf2", board.id, model.name), || Ok(file))?;
    println!("it takes effect in firmware with a model slot, as `--loadable` builds it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::{ProbeArgs, flash};

    fn board(id: &str) -> Board {
        Board::all(&crate::context::root()).unwrap().into_iter().find(|board| board.id == id).unwrap()
    }

    fn model(name: &str) -> ModelFile {
        let file = format!("models/{name}/{name}.safetensors");
        ModelFile::open(&crate::context::root().join(file), &[]).unwrap()
    }

    #[test]
    fn a_slot_holds_the_model_and_its_inputs_on_every_board_that_has_one() {
        let (digits, mut checked) = (model("digits"), 0);
        for board in Board::all(&crate::context::root()).unwrap() {
            if board.model_slot.is_none() {
                let error = contents(&board, &digits, &[]).unwrap_err();
                assert!(error.is::<Usage>() && error.to_string().contains("[model-slot]"), "{error}");
                continue;
            }
            let slot = contents(&board, &digits, &[1, 2, 3]).unwrap();
            let found = tealight_slot::read(&slot).unwrap();
            assert!(found.model == digits.bytes && found.inputs == [1, 2, 3], "{}", board.id);
            checked += 1;
        }
        assert!(checked >= 8, "{checked}");
    }

    #[test]
    fn a_model_that_needs_more_than_its_file_or_is_too_large_is_refused() {
        let sound = contents(&board("pico"), &model("keyword"), &[]).unwrap_err();
        assert!(sound.is::<Usage>() && sound.to_string().contains("takes sound"), "{sound}");
        let many = vec![0; 0x2_0000];
        let error = contents(&board("microbit"), &model("digits"), &many).unwrap_err();
        assert!(format!("{error:#}").contains("does not fit the model slot of microbit"), "{error:#}");
    }

    #[test]
    fn a_board_without_a_slot_is_flashed_neither_with_one_nor_in_it() {
        let context = Context::new().unwrap();
        for (id, part) in [("esp32-c3", "has no model slot"), ("linux-aarch64", "the model is a file")] {
            for (loadable, model_only) in [(true, false), (false, true)] {
                let by = ProbeArgs { board: id.into(), ..ProbeArgs::default() };
                let error =
                    flash(&context, &FlashArgs { by, loadable, model_only, ..FlashArgs::default() }).unwrap_err();
                assert!(error.is::<Usage>() && error.to_string().contains(part), "{error}");
            }
        }
    }
}
