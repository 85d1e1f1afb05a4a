//! A character at a time: a small causal transformer that continues a text.

pub mod compiled;
pub mod data;
mod entry;
pub mod training;

pub use entry::Entry;

use crate::array::Array;
use crate::layers::{Linear, linear_no_bias};
use crate::sequence::{Attention, Embedding, RmsNorm, embedding, rms_norm};
use candle_core::Result;
use candle_nn::VarBuilder;
use tealight_compiler::BlockType;

/// The types of blocks that the weights are compiled to, and the files.
pub const FILES: [(BlockType, &str); 2] =
    [(BlockType::Q8_0, "charlm.safetensors"), (BlockType::Q4_0, "charlm.q4_0.safetensors")];

/// The most characters of a text.
pub const CONTEXT: usize = 256;
/// Numbers that stand for a character inside the network; like every length here, a whole number of blocks of 32.
pub const WIDTH: usize = 96;
/// Layers of attention and matrices.
const LAYERS: usize = 4;
/// Heads of attention.
const HEADS: usize = 3;
/// Numbers between the two matrices of a layer.
const HIDDEN: usize = 128;
/// Added to a mean square.
const EPSILON: f64 = 1e-5;
/// How fast the rotation by position slows from one pair of features to the next.
const THETA: f64 = 10_000.0;

/// The network: as Llama's, small. Input `[N, T]`, numbers of characters; output `[N, T, characters]`, a number for
/// each character that might come next.
#[derive(Debug, Clone)]
pub struct CharLm {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

/// Attention and a gated pair of matrices, each beside the path that they add to.
#[derive(Debug, Clone)]
struct Layer {
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    attention: Attention,
    out: Linear,
    norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn load(vb: VarBuilder) -> Result<Self> {
        let square = |name: &str| linear_no_bias(WIDTH, WIDTH, vb.pp(name));
        Ok(Self {
            attention_norm: rms_norm(WIDTH, EPSILON, vb.pp("attention_norm"))?,
            query: square("query")?,
            key: square("key")?,
            value: square("value")?,
            attention: Attention::new(HEADS, HEADS, WIDTH / HEADS, CONTEXT, THETA)?,
            out: square("out")?,
            norm: rms_norm(WIDTH, EPSILON, vb.pp("norm"))?,
            gate: linear_no_bias(WIDTH, HIDDEN, vb.pp("gate"))?,
            up: linear_no_bias(WIDTH, HIDDEN, vb.pp("up"))?,
            down: linear_no_bias(HIDDEN, WIDTH, vb.pp("down"))?,
        })
    }

    fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let hidden = self.attention_norm.forward(x)?;
        let [query, key, value] = [&self.query, &self.key, &self.value].map(|layer| layer.forward(&hidden));
        let x = x.add(&self.out.forward(&self.attention.forward(&query?, &key?, &value?)?)?)?;
        let hidden = self.norm.forward(&x)?;
        let gated = self.gate.forward(&hidden)?.silu()?.mul(&self.up.forward(&hidden)?)?;
        x.add(&self.down.forward(&gated)?)
    }
}

impl CharLm {
    /// The network with the weights that `vb` gives.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn load(vb: VarBuilder) -> Result<Self> {
        let layers = (0..LAYERS).map(|index| Layer::load(vb.pp(format!("layers.{index}"))));
        Ok(Self {
            embedding: embedding(data::CHARACTERS.chars().count(), WIDTH, vb.pp("embedding"))?,
            layers: layers.collect::<Result<_>>()?,
            norm: rms_norm(WIDTH, EPSILON, vb.pp("norm"))?,
        })
    }

    /// A number for each character that might come next, after each character; their softmax is a probability.
    ///
    /// # Errors
    /// If there are more than [`CONTEXT`] characters, or a number stands for none.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let mut x = self.embedding.forward(x)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.embedding.products(&self.norm.forward(&x)?)
    }
}
