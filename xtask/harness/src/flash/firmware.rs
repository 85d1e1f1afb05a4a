//! What is flashed: an image that is built around a model, or an image that is there.

use super::{Build, FlashArgs, answers, built, image};
use crate::board::Board;
use crate::context::Context;
use crate::files;
use crate::model::{ModelFile, target_of};
use crate::run;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// What is flashed.
pub(super) enum Firmware {
    /// It is built around a model, whose inputs follow one another.
    Model { model: ModelFile, inputs: Vec<u8>, how: Build },
    /// An ELF file.
    Image { name: String, bytes: Vec<u8> },
}

impl Firmware {
    /// What the arguments ask for. Nothing is built yet.
    ///
    /// # Errors
    /// There is no such image, model or input.
    pub(super) fn of(context: &Context, board: &Board, args: &FlashArgs) -> Result<Self> {
        if let Some(file) = &args.image {
            return Ok(Self::Image { name: stem(file), bytes: files::read(file)? });
        }
        let (model, inputs) = run::model_and_inputs_for(context, target_of(board), args.model.as_deref(), &args.input)?;
        Ok(Self::Model { model, inputs, how: args.into() })
    }

    /// The name of a file that is made of the image, without its end.
    pub(super) fn name(&self, board: &Board) -> String {
        match self {
            Self::Model { model, .. } => format!("{}-{}", board.id, model.name),
            Self::Image { name, .. } => name.clone(),
        }
    }

    /// The file of the image, built if it must be.
    ///
    /// # Errors
    /// It does not build, or the file cannot be written.
    pub(super) fn image(&self, context: &Context, board: &Board) -> Result<PathBuf> {
        match self {
            Self::Model { model, inputs, how } => image(context, board, model, inputs, *how),
            Self::Image { bytes, .. } => built(context, board, bytes),
        }
    }

    /// The answers in the firmware's report; none where the model is not known.
    ///
    /// # Errors
    /// The report is damaged.
    pub(super) fn answers(&self, console: &str) -> Result<String> {
        match self {
            Self::Model { model, .. } => answers(model, console),
            Self::Image { .. } => Ok(String::new()),
        }
    }
}

/// A file's name without its end.
fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_there_is_taken_as_it_is_and_one_that_is_not_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my firmware.elf");
        let args = FlashArgs { image: Some(file.clone()), ..FlashArgs::default() };
        let pico = crate::board::find(&crate::context::root(), "pico").unwrap();
        let context = Context::at(folder.path().into()).unwrap();
        assert!(format!("{:#}", Firmware::of(&context, &pico, &args).err().unwrap()).contains("my firmware.elf"));
        std::fs::write(&file, b"an image").unwrap();
        let firmware = Firmware::of(&context, &pico, &args).unwrap();
        assert_eq!(firmware.name(&pico), "my firmware");
        let file = firmware.image(&context, &pico).unwrap();
        assert!(file.starts_with(folder.path()) && file.ends_with("built/pico.elf"), "{}", file.display());
        assert_eq!(std::fs::read(file).unwrap(), b"an image");
        assert_eq!(firmware.answers("tealight output=[1, 2]\n").unwrap(), "");
    }
}
