//! A language model in a GGUF file, run by Candle's own `quantized_llama`, as the reference for Tealight.
//!
//! Building Candle takes minutes, so this crate is not a default member of the workspace.

use anyhow::{Context as _, Result};
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use std::io::{Read, Seek};
use tealight_candle::MappedSession;

/// A model that reads tokens.
pub struct Candle {
    model: ModelWeights,
    seen: usize,
}

impl Candle {
    /// Reads a GGUF file.
    ///
    /// # Errors
    /// If Candle cannot read it.
    pub fn load(mut file: impl Read + Seek) -> Result<Self> {
        let content = Content::read(&mut file).context("Candle cannot read the GGUF file")?;
        let model =
            ModelWeights::from_gguf(content, &mut file, &Device::Cpu).context("Candle cannot load the model")?;
        Ok(Self { model, seen: 0 })
    }

    /// Reads `tokens`, all at once; returns the scores of the token after the last.
    ///
    /// # Errors
    /// Errors of Candle.
    pub fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let scores = self.model.forward(&input, self.seen)?.squeeze(0)?.to_vec1()?;
        self.seen += tokens.len();
        Ok(scores)
    }
}

/// Reads one token with Tealight; returns the scores of the token after it.
///
/// # Errors
/// If the model does not take a token.
pub fn read(session: &mut MappedSession, token: u32) -> Result<Vec<f32>> {
    let mut input = session.input(0).context("the model has no input")?;
    input.copy_from(&[i32::try_from(token)?]).context("the model takes no token")?;
    session.run();
    let scores = session.output(0).and_then(|output| output.as_slice()).context("the model has no f32 scores")?;
    Ok(scores.to_vec())
}

/// Returns the token with the highest score; of equals, the first.
pub fn argmax(scores: &[f32]) -> u32 {
    tealight::argmax(scores.iter().copied()).map_or(0, |(token, _)| token as u32)
}
