//! Layers of networks that read a text position by position: tables, norms, attention. As in [`layers`](crate::layers),
//! a layer holds Candle's weights and the name that they have in the checkpoint.
//!
//! A tensor is a whole sequence `[N, T, features]`, and positions count from 0. Every operation here is made of
//! Candle's differentiable ones, so that a network trains through it; Candle's fused kernels have no gradient.

use crate::array::Array;
use candle_core::{D, DType, Device, Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_nn::rotary_emb::rope_slow;

/// A table `[rows, features]`: row numbers to rows, or, the other way, a vector to its product with every row.
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Tensor,
    name: String,
}

/// A row divided by its root mean square, times a weight for each feature.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    candle: candle_nn::RmsNorm,
    name: String,
}

/// Causal attention over rotated queries and keys, `heads` of `head_len` features side by side. It has no weights.
#[derive(Debug, Clone)]
pub struct Attention {
    /// How many heads the queries have.
    pub heads: usize,
    /// How many the keys and the values have; neighbouring heads of queries share one.
    pub kv_heads: usize,
    /// Features of a head.
    pub head_len: usize,
    /// The most positions of a sequence.
    pub context: usize,
    cos: Tensor,
    sin: Tensor,
}

/// A table: `weight` `[rows, features]` under `vb`.
///
/// # Errors
/// If the checkpoint lacks the weight or has it in another shape.
pub fn embedding(rows: usize, features: usize, vb: VarBuilder) -> Result<Embedding> {
    // As wide as makes the products of a normalized vector with every row about 1.
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
    /// The rows that numbers name.
    ///
    /// # Errors
    /// If a number is past the table.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        x.embedding(self)
    }

    /// The products of vectors with every row: the table as the last matrix of the network that it begins.
    ///
    /// # Errors
    /// If a vector is of another length than a row.
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
    /// If the input's last dimension is another.
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
    /// Attention over sequences of up to `context` positions. Feature pair `i` of a head at position `p` is turned by
    /// `p * theta^(-2i / head_len)` (rotary position embedding, arXiv:2104.09864).
    ///
    /// # Errors
    /// If heads cannot be shared evenly, or a head's length is odd.
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
    /// If a shape is another, or the sequence is longer than the context.
    pub fn forward<A: Array>(&self, queries: &A, keys: &A, values: &A) -> Result<A> {
        queries.attention(keys, values, self)
    }

    /// Cosine and sine of every angle: two tables `[context, head_len / 2]`.
    pub fn angles(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }

    /// What the numbers under the root are divided by, inverted.
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_len as f64).sqrt()
    }

    /// The layer on Candle's tensors.
    pub(crate) fn whole(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let (n, length, features) = queries.dims3()?;
        let heads =
            |x: &Tensor, count: usize| x.reshape((n, length, count, self.head_len))?.transpose(1, 2)?.contiguous();
        // What is small is scaled and divided, not the scores, of which there are length * length for each head.
        let queries = rope_slow(&(heads(queries, self.heads)? * self.scale())?, &self.cos, &self.sin)?;
        let keys = rope_slow(&heads(keys, self.kv_heads)?, &self.cos, &self.sin)?;
        let (keys, values) = (self.shared(&keys)?, self.shared(&heads(values, self.kv_heads)?)?);
        let scores = queries.matmul(&keys.t()?)?.broadcast_add(&causal(length)?)?;
        // The greatest is taken off as a constant: it changes nothing, so it has no gradient.
        let weights = scores.broadcast_sub(&scores.detach().max_keepdim(D::Minus1)?)?.exp()?;
        let mixed = weights.matmul(&values)?.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        mixed.transpose(1, 2)?.reshape((n, length, features))
    }

    /// Every head of keys or values once for each head of queries that shares it.
    fn shared(&self, x: &Tensor) -> Result<Tensor> {
        let (n, count, length, features) = x.dims4()?;
        let times = self.heads / self.kv_heads;
        if times == 1 {
            return Ok(x.clone());
        }
        x.unsqueeze(2)?.broadcast_as((n, count, times, length, features))?.reshape((n, self.heads, length, features))
    }
}

/// 0 where a row may look, minus infinity after it: `[length, length]`.
fn causal(length: usize) -> Result<Tensor> {
    let value = |at: usize| if at % length > at / length { f32::NEG_INFINITY } else { 0.0 };
    Tensor::from_vec((0..length * length).map(value).collect(), (length, length), &Device::Cpu)
}

/// Rows of a table by numbers `[N, T]`.
pub(crate) fn rows(table: &Tensor, numbers: &Tensor) -> Result<Tensor> {
    let mut dims = numbers.dims().to_vec();
    dims.extend(table.dims().last());
    table.embedding(&numbers.to_dtype(DType::U32)?.flatten_all()?)?.reshape(dims)
}

/// Vectors `[N, T, features]` times the rows of a table.
pub(crate) fn products(table: &Tensor, x: &Tensor) -> Result<Tensor> {
    candle_core::Module::forward(&candle_nn::Linear::new(table.clone(), None), x)
}
