//! A character-level language model: a small causal transformer that continues a text.

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

/// The block types for the weights, and the files.
pub const FILES: [(BlockType, &str); 2] =
    [(BlockType::Q8_0, "charlm.safetensors"), (BlockType::Q4_0, "charlm.q4_0.safetensors")];

/// The maximum number of characters of a text.
pub const CONTEXT: usize = 256;
/// The size of a character's embedding; like every size here, a multiple of the block length 32.
pub const WIDTH: usize = 96;
/// The number of transformer layers.
const LAYERS: usize = 4;
/// The number of attention heads.
const HEADS: usize = 3;
/// The hidden size of the feed-forward network.
const HIDDEN: usize = 128;
/// The epsilon of the norms.
const EPSILON: f64 = 1e-5;
/// The base of the rotary position embedding.
const THETA: f64 = 10_000.0;

/// The network: a small Llama. Input `[N, T]`, character indices; output `[N, T, characters]`, a score for each
/// possible next character.
#[derive(Debug, Clone)]
pub struct CharLm {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

/// Attention and a gated feed-forward network, each with a residual connection.
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
    /// Loads the network with the weights of `vb`.
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

    /// Returns a score for each possible next character after each character; their softmax is a probability.
    ///
    /// # Errors
    /// If there are more than [`CONTEXT`] characters, or an index has no character.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let mut x = self.embedding.forward(x)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.embedding.products(&self.norm.forward(&x)?)
    }
}
