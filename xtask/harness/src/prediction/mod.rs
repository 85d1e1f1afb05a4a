//! Fits the table from which `tealight inspect` predicts instructions: counts of generated layers on a board of each kind
//! of core, and factors of each operator's terms that meet them best.
//!
//! Only generated layers go into the fit, so every network that is measured tests the table.

mod fit;
pub mod footprint;
mod generate;

pub use generate::{Generated, generate};

use crate::board::Board;
use crate::context::Context;
use crate::layers::{Layers, Measured, measure};
use anyhow::Result;
use std::collections::BTreeMap;
use tealight_cli::prediction::{Core, Terms, key, terms};
use tealight_format::Model;

/// The number of an operator's terms with a factor, at most.
const MOST_TERMS: usize = 40;

/// Counts the generated layers on `board` and fits the factors of its core.
///
/// # Errors
/// The firmware cannot be built or fails.
pub fn fit(context: &Context, board: &Board, generated: &[Generated]) -> Result<Core> {
    let models: Vec<_> =
        generated.iter().map(|one| Measured { id: &one.id, file: &one.file, input: &one.input }).collect();
    let counted = measure(context, board, &models)?;
    let files: BTreeMap<&str, &Generated> = generated.iter().map(|one| (one.id.as_str(), one)).collect();
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for Layers { model: id, layers, .. } in &counted {
        let Some(generated) = files.get(id.as_str()) else { continue };
        let model = Model::parse(&generated.file).map_err(|error| anyhow::anyhow!("{id}: {error}"))?;
        for (index, layer) in layers.iter().enumerate() {
            let op = model.op(index);
            let sample = Sample { terms: terms(&model, &op), instructions: layer.instructions as f64 };
            samples.entry(key(&model, &op)).or_default().push(sample);
        }
    }
    let operators = samples.into_iter().map(|(key, samples)| (key, fit::factors(&samples, MOST_TERMS))).collect();
    Ok(Core { cores: vec![board.core.clone()], operators })
}

/// A layer's terms and its count.
pub(crate) struct Sample {
    pub(crate) terms: Terms,
    pub(crate) instructions: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_models_are_valid_and_have_every_kind_of_layer() {
        let mut keys = std::collections::BTreeSet::new();
        for generated in generate() {
            let model = Model::parse(&generated.file).unwrap();
            keys.extend((0..model.op_count()).map(|index| key(&model, &model.op(index))));
        }
        for expected in ["Conv2d", "Conv2dF32 f16", "DepthwiseConv2d", "FullyConnected", "AvgPool2d", "Softmax"] {
            assert!(keys.contains(expected), "no {expected} among {keys:?}");
        }
    }
}
