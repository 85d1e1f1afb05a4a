//! The creation and the measurement of the model's files.

use super::compiled::{self, compiled};
use super::data::{self, Data};
use super::{CONTEXT, CharLm, FILES, training};
use crate::export;
use crate::{Figures, PartFigures, Paths, weights};
use anyhow::{Result, bail};
use tealight_compiler::BlockType;
use tealight_compiler::graph::Graph;

/// The entry of the language model.
#[derive(Debug)]
pub struct Entry;

/// The name of its folder and of its files.
const NAME: &str = "charlm";
/// The number of held-out pieces to measure, of [`CONTEXT`] characters each.
const PIECES: usize = 100;
/// The prompt of the golden continuation.
const PROMPT: &str = "The white whale ";
/// The maximum number of bits per character in float.
const MAX_BITS: f64 = 2.2;
/// The maximum number of bits that Q8_0 adds.
const MAX_LOSS: f64 = 0.01;
/// The maximum size of the compiled file in bytes.
const MAX_BYTES: u64 = 400_000;

/// Prints the bits per character of each compiled type, measured on `pieces`.
fn table(checkpoint: &[u8], data: &Data) -> Result<()> {
    let pieces = training::pieces(&data.held_out, PIECES)?;
    let candle = training::bits(&weights::load(checkpoint, CharLm::load)?, &pieces)?;
    eprintln!("  bits per character over {} held-out ones: {candle:.4} by Candle in f32", PIECES * CONTEXT);
    for (name, blocks) in [("f32", None), ("Q8_0", Some(BlockType::Q8_0)), ("Q4_0", Some(BlockType::Q4_0))] {
        let file = compiled(checkpoint, blocks)?;
        eprintln!("  {name:>5}: {:.4}, {}", compiled::bits(&file, &pieces)?, export::sizes(&file)?);
    }
    Ok(())
}

impl crate::Entry for Entry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()> {
        let data = data::load(&paths.cache)?;
        let float = paths.file(NAME, "charlm.float.safetensors");
        if !keep_weights {
            export::write(&float, &weights::save_f16(&training::train(&data)?)?)?;
        }
        let checkpoint = export::read(&float)?;
        for (blocks, name) in FILES {
            export::write(&paths.file(NAME, name), &compiled(&checkpoint, Some(blocks))?)?;
        }
        let continued = compiled::continued(&export::read(&paths.file(NAME, FILES[0].1))?, PROMPT)?;
        eprintln!("{}", continued.text);
        let json = serde_json::to_string_pretty(&continued)?;
        export::write(&paths.file(NAME, "continuation.json"), json.as_bytes())?;
        table(&checkpoint, &data)
    }

    fn network(&self, checkpoint: &[u8]) -> Result<Graph> {
        compiled::network(checkpoint)
    }

    fn evaluate(&self, paths: &Paths) -> Result<Figures> {
        let data = data::load(&paths.cache)?;
        let pieces = training::pieces(&data.held_out, PIECES)?;
        let model = weights::load(&export::read(&paths.file(NAME, "charlm.float.safetensors"))?, CharLm::load)?;
        let file = export::read(&paths.file(NAME, FILES[0].1))?;
        let float = training::bits(&model, &pieces)?;
        let small = PartFigures {
            name: "in Q4_0".into(),
            float,
            quantized: compiled::bits(&export::read(&paths.file(NAME, FILES[1].1))?, &pieces)?,
            samples: PIECES * CONTEXT,
        };
        let figures = Figures {
            name: NAME.into(),
            metric: "bits per character".into(),
            float,
            quantized: compiled::bits(&file, &pieces)?,
            samples: PIECES * CONTEXT,
            bytes: file.len() as u64,
            recordings: None,
            parts: vec![small],
        };
        if figures.float > MAX_BITS || figures.quantized - figures.float > MAX_LOSS || figures.bytes > MAX_BYTES {
            bail!(
                "{figures}; required: at most {MAX_BITS} bits, at most {MAX_LOSS} more by quantization, \
                 at most {MAX_BYTES} bytes"
            );
        }
        Ok(figures)
    }

    fn inputs(&self, paths: &Paths, count: usize) -> Result<Vec<u8>> {
        if count > CONTEXT {
            bail!("a text has at most {CONTEXT} characters, not {count}");
        }
        let data = data::load(&paths.cache)?;
        Ok(data.held_out.iter().take(count).flat_map(|number| number.to_le_bytes()).collect())
    }
}
