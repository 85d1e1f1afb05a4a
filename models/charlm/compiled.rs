//! Compiles the network from the checkpoint, and runs it character by character.

use super::{CharLm, data};
use crate::export::sha256;
use crate::{trace, weights};
use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use tealight::OwnedSession;
use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::graph::Graph;
use tealight_compiler::{BlockType, Options, Vocabulary, WeightType};

/// `continuation.json`: a text that a compiled file continued.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Continuation {
    /// SHA-256 of the model file.
    pub model: String,
    /// The prompt.
    pub prompt: String,
    /// The whole text.
    pub text: String,
    /// SHA-256 of the scores after every character.
    pub scores: String,
}

/// Returns the network of a checkpoint: the step that reads one character.
///
/// # Errors
/// If the checkpoint belongs to another network.
pub fn network(checkpoint: &[u8]) -> Result<Graph> {
    let model = weights::load(checkpoint, CharLm::load)?;
    Ok(trace::trace_step(1, |x| model.forward(x))?)
}

/// Compiles the weights of a checkpoint, stored in blocks of this type; `None` for f32.
///
/// # Errors
/// If the checkpoint belongs to another network.
pub fn compiled(checkpoint: &[u8], blocks: Option<BlockType>) -> Result<Vec<u8>> {
    let network = network(checkpoint)?;
    let vocabulary = Some(Vocabulary::Chars(data::CHARACTERS.chars().collect()));
    let name = Some("charlm".to_string());
    // The table is used at both ends of the network and is 2 % of it: storing it in four bits loses more than it saves.
    let layers = match blocks {
        Some(BlockType::Q4_0) => vec![("embedding".to_string(), WeightType::Blocks(BlockType::Q8_0))],
        _ => Vec::new(),
    };
    let options = Options { name, vocabulary, quantize: blocks, layers, ..Options::default() };
    Ok(compile_kernel_graph(network, checkpoint, &options)?.bytes)
}

/// Returns the scores of the next character after each of `numbers`, from the beginning of a text.
///
/// # Errors
/// If the file is not a model of character indices.
pub fn scores(session: &mut OwnedSession, numbers: &[u32]) -> Result<Vec<Vec<f32>>> {
    session.reset();
    let mut score = |&number: &u32| {
        session.input(0).context("the model has no input")?.copy_from(&[number.cast_signed()])?;
        session.run();
        let scores = session.output(0).and_then(|output| output.as_slice()).context("the model has no f32 scores")?;
        anyhow::Ok(scores.to_vec())
    };
    numbers.iter().map(&mut score).collect()
}

/// Returns the mean number of bits that each next character of `pieces` costs the compiled network, like
/// [`training::bits`](super::training::bits) for the float weights.
///
/// # Errors
/// As for [`scores`].
pub fn bits(file: &[u8], pieces: &[&[u32]]) -> Result<f64> {
    let mut session = OwnedSession::from_bytes(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
    let (mut sum, mut count) = (0.0, 0);
    for piece in pieces {
        let Some((_, context)) = piece.split_last() else { continue };
        for (scores, &next) in scores(&mut session, context)?.iter().zip(&piece[1..]) {
            sum += surprise(scores, next as usize);
            count += 1;
        }
    }
    Ok(sum / f64::from(count) / std::f64::consts::LN_2)
}

/// Returns the negative log-likelihood of `next` for `scores`.
fn surprise(scores: &[f32], next: usize) -> f64 {
    let max = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = scores.iter().map(|&score| (f64::from(score) - max).exp()).sum();
    sum.ln() + max - scores.get(next).map_or(f64::NEG_INFINITY, |&score| f64::from(score))
}

/// Returns a text continued by the network with the most likely character each time, until the context is full, and the
/// SHA-256 of all scores.
///
/// # Errors
/// As for [`scores`]; or if the text has a character that the network does not have.
pub fn continued(file: &[u8], prompt: &str) -> Result<Continuation> {
    let mut session = OwnedSession::from_bytes(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
    let mut text: Vec<u32> = data::numbers(prompt)?;
    let mut bytes = Vec::new();
    for at in 0..super::CONTEXT {
        session.input(0).context("the model has no input")?.copy_from(&[text[at].cast_signed()])?;
        session.run();
        let output = session.output(0).context("the model has no output")?;
        bytes.extend_from_slice(output.as_bytes());
        if at + 1 == text.len() {
            let (best, _) = output.argmax().context("no score of the model is a number")?;
            text.push(best as u32);
        }
    }
    Ok(Continuation { model: sha256(file), prompt: prompt.into(), text: data::text(&text), scores: sha256(&bytes) })
}

#[cfg(test)]
mod tests {
    use super::surprise;

    #[test]
    fn equal_scores_cost_as_many_bits_as_there_are_characters() {
        let bits = |scores: &[f32], next| surprise(scores, next) / std::f64::consts::LN_2;
        assert!((bits(&[7.0; 8], 3) - 3.0).abs() < 1e-12);
        assert!(bits(&[0.0, 60.0], 1) < 1e-9);
        assert!(bits(&[0.0, 1.0], 0) > bits(&[0.0, 1.0], 1));
    }
}
