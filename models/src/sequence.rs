//! Layers of networks that read a sequence position by position: embeddings, norms, attention. As in
//! [`layers`](crate::layers), a layer holds Candle's weights and their name in the checkpoint.
//!
//! A tensor is a whole sequence `[N, T, features]`, and positions count from 0. Every operation here consists of
//! differentiable operations of Candle; Candle's fused kernels have no gradient.

use crate::array::Array;
use candle_core::{D, DType, Device, Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_nn::rotary_emb::rope_slow;

/// A table `[rows, features]`: maps indices to rows, or a vector to its dot product with every row.
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Tensor,
    name: String,
}

/// Divides a row by its root mean square and multiplies by a weight for each feature.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    candle: candle_nn::RmsNorm,
    name: String,
}

/// Causal attention with rotary position embedding, `heads` of `head_len` features side by side. It has no weights.
#[derive(Debug, Clone)]
pub struct Attention {
    /// The number of heads of the queries.
    pub heads: usize,
    /// The number of heads of keys and values; consecutive heads of queries share one.
    pub kv_heads: usize,
    /// The number of features of a head.
    pub head_len: usize,
    /// The maximum number of positions in a sequence.
    pub context: usize,
    cos: Tensor,
    sin: Tensor,
}

/// A table: `weight` `[rows, features]` under `vb`.
///
/// # Errors
/// If the checkpoint lacks the weight or has it in another shape.
pub fn embedding(rows: usize, features: usize, vb: VarBuilder) -> Result<Embedding> {
    // The deviation at which products of a normalized vector with the rows are about 1.
    let init = candle_nn::Init::Randn { mean: 0.0, stdev: 1.0 / (features as f64).sqrt() };
    Ok(Embedding { table: vb.get_with_hints((rows, features), "weight", init)?, name: vb.prefix() })
}

/// A norm: `weight` `[features]` under `vb`; `epsilon` is added to the mean square.
///
/// # Errors
/// As [`embedding`].
pub fn rms_norm(features: usize, epsilon: f64, vb: VarBuilder) -> Result<RmsNorm> {
    let name = vb.prefix();
    Ok(RmsNorm { candle: candle_nn::rms_norm(features, epsilon, vb)?, name })
}

impl Embedding {
    /// Returns the rows with these indices.
    ///
    /// # Errors
    /// If an index is out of range.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        x.embedding(self)
    }

    /// Returns the dot products of vectors with every row: the embedding as the output matrix of the network.
    ///
    /// # Errors
    /// If a vector does not have the length of a row.
    pub fn products<A: Array>(&self, x: &A) -> Result<A> {
        x.products(self)
    }

    /// `[rows, features]`.
    pub fn table(&self) -> &Tensor {
        &self.table
    }

    /// Its name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl RmsNorm {
    /// Runs the layer.
    ///
    /// # Errors
    /// If the input has another last dimension.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        x.rms_norm(self)
    }

    /// candle-nn's layer.
    pub fn candle(&self) -> &candle_nn::RmsNorm {
        &self.candle
    }

    /// Its name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Attention {
    /// Creates attention over sequences of up to `context` positions. Feature pair `i` of a head at position `p` is
    /// rotated by `p * theta^(-2i / head_len)` (rotary position embedding, arXiv:2104.09864).
    ///
    /// # Errors
    /// If the heads cannot be divided evenly, or a head's length is odd.
    pub fn new(heads: usize, kv_heads: usize, head_len: usize, context: usize, theta: f64) -> Result<Self> {
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) || !head_len.is_multiple_of(2) {
            bail!(
                "attention: {heads} heads must be a multiple of {kv_heads} key heads, and their length {head_len} must be even"
            );
        }
        let angle = |at: usize| {
            let (position, pair) = (at / (head_len / 2), at % (head_len / 2));
            position as f64 * theta.powf(-2.0 * pair as f64 / head_len as f64)
        };
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = (0..context * head_len / 2).map(|at| of(angle(at)) as f32).collect();
            Tensor::from_vec(values, (context, head_len / 2), &Device::Cpu)
        };
        Ok(Self { heads, kv_heads, head_len, context, cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// Runs the layer on queries `[N, T, heads * head_len]`, keys and values `[N, T, kv_heads * head_len]`.
    ///
    /// # Errors
    /// If a shape differs, or the sequence is longer than the context.
    pub fn forward<A: Array>(&self, queries: &A, keys: &A, values: &A) -> Result<A> {
        queries.attention(keys, values, self)
    }

    /// Returns the cosine and sine of every angle: two tables `[context, head_len / 2]`.
    pub fn angles(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }

    /// Returns the scale of the scores, `1 / sqrt(head_len)`.
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_len as f64).sqrt()
    }

    /// Computes the layer on Candle's tensors.
    pub(crate) fn whole(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let (n, length, features) = queries.dims3()?;
        let heads =
            |x: &Tensor, count: usize| x.reshape((n, length, count, self.head_len))?.transpose(1, 2)?.contiguous();
        // Scales the queries and divides the sums, which are smaller than the scores (length * length for each head).
        let queries = rope_slow(&(heads(queries, self.heads)? * self.scale())?, &self.cos, &self.sin)?;
        let keys = rope_slow(&heads(keys, self.kv_heads)?, &self.cos, &self.sin)?;
        let (keys, values) = (self.shared(&keys)?, self.shared(&heads(values, self.kv_heads)?)?);
        let scores = queries.matmul(&keys.t()?)?.broadcast_add(&causal(length)?)?;
        // The maximum is subtracted as a constant: it does not change the result, so it has no gradient.
        let weights = scores.broadcast_sub(&scores.detach().max_keepdim(D::Minus1)?)?.exp()?;
        let mixed = weights.matmul(&values)?.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        mixed.transpose(1, 2)?.reshape((n, length, features))
    }

    /// Repeats every head of keys or values for each head of queries that shares it.
    fn shared(&self, x: &Tensor) -> Result<Tensor> {
        let (n, count, length, features) = x.dims4()?;
        let times = self.heads / self.kv_heads;
        if times == 1 {
            return Ok(x.clone());
        }
        x.unsqueeze(2)?.broadcast_as((n, count, times, length, features))?.reshape((n, self.heads, length, features))
    }
}

/// Returns the causal mask: 0 up to each row's position, minus infinity after it: `[length, length]`.
fn causal(length: usize) -> Result<Tensor> {
    let value = |at: usize| if at % length > at / length { f32::NEG_INFINITY } else { 0.0 };
    Tensor::from_vec((0..length * length).map(value).collect(), (length, length), &Device::Cpu)
}

/// Returns the rows of a table for indices `[N, T]`.
pub(crate) fn rows(table: &Tensor, numbers: &Tensor) -> Result<Tensor> {
    let mut dims = numbers.dims().to_vec();
    dims.extend(table.dims().last());
    table.embedding(&numbers.to_dtype(DType::U32)?.flatten_all()?)?.reshape(dims)
}

/// Returns the products of vectors `[N, T, features]` with the rows of a table.
pub(crate) fn products(table: &Tensor, x: &Tensor) -> Result<Tensor> {
    candle_core::Module::forward(&candle_nn::Linear::new(table.clone(), None), x)
}
