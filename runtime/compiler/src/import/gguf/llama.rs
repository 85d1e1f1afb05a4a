//! The architecture `llama`: a graph that takes one token and returns the scores of the next, and one that takes several
//! tokens of a prompt and only stores their keys and values.
//!
//! Each layer adds two results to the tokens' vectors: grouped-query attention over all positions so far, whose keys
//! and values are kept in the model's state, and a gated feed-forward network (SwiGLU). The input of both is
//! normalized. (Touvron and others, "Llama 2", 2023.) GGUF stores the rows of queries and keys in an order in which
//! RoPE rotates pairs of neighbouring elements.

use super::GgufOptions;
use super::reader::{Gguf, TensorInfo};
use super::types::GgmlType;
use crate::diag::{CompileError, GgufError, Result};
use crate::ir::builder::Builder;
use crate::ir::bytes::Source;
use crate::ir::graph::ElementType::{F16, F32, I32, U8};
use crate::ir::graph::{Graph, TensorId};
use crate::limit::Limit;
use std::collections::HashSet;
use tealight_format::Operator;
use tealight_format::ops::{
    AttentionF32, BinaryF32, BlockType, FullyConnectedBlock, FullyConnectedF32, GatherBlock, GatherF32, Positions,
    RmsNormF32, RopeF32, UnaryF32, UnaryFunction,
};
use tealight_kernels::float::rope_tables;

/// The number of positions that the model keeps, unless the options set it.
const CONTEXT: u32 = 1024;

/// The number of tokens that the model reads at a time, unless the options set it.
const BATCH: u32 = 16;

/// The maximum of it: with this bound, products of it and two sizes fit in the counts that are checked later.
const MAX_BATCH: u32 = 1 << 12;

/// Base of the RoPE frequencies where the file does not state it.
const ROPE_BASE: f32 = 10_000.0;

/// The range of an operator without a fused activation.
const ALL: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// The sizes that the metadata state.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    layers: u32,
    /// Elements of a token's vector.
    width: u32,
    /// Elements between the two products of a feed-forward network.
    hidden: u32,
    heads: u32,
    kv_heads: u32,
    /// Elements of a head.
    depth: u32,
    epsilon: f32,
    rope_base: f32,
    /// Positions that the model was trained for.
    trained: u32,
}

/// Builds the graphs of `file`, whose tokenizer has `vocabulary` tokens: of one token, and of several.
///
/// `source` is the file that it was read from; `limit` counts what is allocated beside the bytes of the file.
pub(super) fn import<'a>(
    file: &'a Gguf<'a>,
    source: Source<'a>,
    vocabulary: u32,
    options: &GgufOptions,
    limit: &'a Limit,
) -> Result<(Graph, Option<Graph>)> {
    let sizes = Sizes::read(file)?;
    let context = sizes.context(options)?;
    let batch = sizes.batch(context, options)?;
    let mut import = Import { file, source, limit, sizes, context, tokens: 1, b: Builder::new(), read: HashSet::new() };
    import.model(vocabulary)?;
    let graph = std::mem::replace(&mut import.b, Builder::new()).finish();
    let unread = file.tensors().iter().find(|tensor| !import.read.contains(tensor.name));
    if let Some(tensor) = unread {
        let accepted = "token_embd, blk.N.{attn_norm, attn_q, attn_k, attn_v, attn_output, ffn_norm, ffn_gate, ffn_up, \
                        ffn_down}, output_norm, output, each `.weight`";
        return Err(GgufError::UnknownTensor { tensor: tensor.name.into(), accepted: accepted.into() }.into());
    }
    if batch == 1 {
        return Ok((graph, None));
    }
    import.tokens = batch;
    import.model(vocabulary)?;
    Ok((graph, Some(import.b.finish())))
}

impl Sizes {
    fn read(file: &Gguf<'_>) -> Result<Self> {
        // With this bound, products of two sizes fit in 32 bits.
        const MAX: u32 = 1 << 16;
        const EPSILON: &str = "llama.attention.layer_norm_rms_epsilon";
        let size = |key: &str| -> Result<Option<u32>> {
            let key = format!("llama.{key}");
            match file.u32(&key)? {
                Some(0) => Err(GgufError::Key { key, wanted: "at least 1".into() }.into()),
                Some(n) if n >= MAX && !key.ends_with("context_length") => {
                    Err(GgufError::Key { key, wanted: format!("below {MAX}") }.into())
                }
                found => Ok(found),
            }
        };
        let must = |key: &str| {
            size(key)?.ok_or_else(|| {
                let wanted = "an unsigned 32-bit integer".to_string();
                CompileError::from(GgufError::Key { key: format!("llama.{key}"), wanted })
            })
        };
        let heads = must("attention.head_count")?;
        let width = must("embedding_length")?;
        let sizes = Self {
            layers: must("block_count")?,
            width,
            hidden: must("feed_forward_length")?,
            heads,
            kv_heads: size("attention.head_count_kv")?.unwrap_or(heads),
            depth: width / heads,
            epsilon: file
                .f32(EPSILON, 0.0..=1.0)?
                .ok_or_else(|| GgufError::Key { key: EPSILON.into(), wanted: "a number from 0 to 1".into() })?,
            rope_base: file.f32("llama.rope.freq_base", 1.0..=1e12)?.unwrap_or(ROPE_BASE),
            trained: must("context_length")?,
        };
        if !width.is_multiple_of(heads) || !heads.is_multiple_of(sizes.kv_heads) || !sizes.depth.is_multiple_of(2) {
            let wanted = format!("fit for vectors of {width} elements: {heads} heads, {} of keys", sizes.kv_heads);
            return Err(GgufError::Key { key: "llama.attention.head_count".into(), wanted }.into());
        }
        for (key, found, low, high) in [
            ("llama.attention.layer_norm_rms_epsilon", sizes.epsilon, 0.0, 1.0),
            ("llama.rope.freq_base", sizes.rope_base, 1.0, 1e12),
        ] {
            if !(low..=high).contains(&found) {
                let wanted = format!("from {low} to {high}, and is {found}");
                return Err(GgufError::Key { key: key.into(), wanted }.into());
            }
        }
        // Variants of the architecture that would be computed wrongly.
        for (key, accepted) in [
            ("llama.rope.dimension_count", sizes.depth),
            ("llama.attention.key_length", sizes.depth),
            ("llama.attention.value_length", sizes.depth),
            ("llama.expert_count", 0),
        ] {
            if let Some(found) = file.u32(key)?.filter(|&found| found != accepted) {
                let (found, accepted) = (found.to_string(), accepted.to_string());
                return Err(GgufError::Unsupported { key: key.into(), found, accepted }.into());
            }
        }
        const SCALING: &str = "llama.rope.scaling.type";
        let scaling = file.string(SCALING)?;
        if let Some(found) = scaling.filter(|&found| found != "none") {
            let found = format!("`{found}`");
            return Err(GgufError::Unsupported { key: SCALING.into(), found, accepted: "`none`".into() }.into());
        }
        // Without a type, a factor means linear scaling of the positions.
        for key in ["llama.rope.scaling.factor", "llama.rope.scale_linear"] {
            let factor = file.f32(key, f32::MIN..=f32::MAX)?;
            if let Some(found) = factor.filter(|&factor| scaling.is_none() && factor != 0.0 && factor != 1.0) {
                let (found, accepted) = (found.to_string(), "0, 1".to_string());
                return Err(GgufError::Unsupported { key: key.into(), found, accepted }.into());
            }
        }
        Ok(sizes)
    }

    /// Returns how many positions the model keeps: as many as the options ask for, or [`CONTEXT`].
    ///
    /// # Errors
    /// The model was trained for fewer, or their keys and values exceed the maximum size of one state tensor, or of all
    /// together.
    fn context(&self, options: &GgufOptions) -> Result<u32> {
        // Maximum bytes of a tensor, and of the whole arena.
        const MAX_CACHE: [u64; 2] = [(1 << 28) - 1, u32::MAX as u64];
        let context = match options.context {
            None => CONTEXT.min(self.trained),
            Some(context) if (1..=self.trained).contains(&context) => context,
            Some(context) => return Err(GgufError::Context { context, max: self.trained }.into()),
        };
        // Keys and values of all heads, in f32.
        let each = 2 * 4 * u64::from(self.kv_heads) * u64::from(self.depth);
        let max = (MAX_CACHE[0] / each).min(MAX_CACHE[1] / (each * u64::from(self.layers)));
        if u64::from(context) > max {
            let bytes = u64::from(context) * each;
            // Fits: less than the context, which has 32 bits.
            return Err(GgufError::Cache { context, bytes, layers: self.layers, max: max as u32 }.into());
        }
        Ok(context)
    }

    /// Returns how many tokens the model reads at a time: as many as the options ask for, or [`BATCH`].
    ///
    /// # Errors
    /// They are more than its positions, or too many.
    fn batch(&self, context: u32, options: &GgufOptions) -> Result<u32> {
        let max = context.min(MAX_BATCH);
        match options.batch {
            None => Ok(BATCH.min(max)),
            Some(batch) if (1..=max).contains(&batch) => Ok(batch),
            Some(batch) => Err(GgufError::Batch { batch, max }.into()),
        }
    }
}

/// A graph under construction.
struct Import<'a> {
    file: &'a Gguf<'a>,
    source: Source<'a>,
    limit: &'a Limit,
    sizes: Sizes,
    context: u32,
    /// The number of tokens that it reads.
    tokens: u32,
    b: Builder,
    /// Names of the tensors that were read.
    read: HashSet<&'a str>,
}

/// A constant matrix, and how it is stored.
#[derive(Clone, Copy)]
struct Matrix {
    id: TensorId,
    rows: u32,
    /// Its block type, if it is stored in blocks.
    block: Option<BlockType>,
}

impl<'a> Import<'a> {
    fn model(&mut self, vocabulary: u32) -> Result<()> {
        let Sizes { layers, width, depth, rope_base, .. } = self.sizes;
        let embedding = self.matrix("token_embd.weight", vocabulary, width)?;
        let tokens = self.tokens;
        let token = self.b.input(if self.is_batch() { "tokens" } else { "token" }, I32, &[tokens]);
        // How many of them there are.
        let count = self.is_batch().then(|| self.b.input("count", I32, &[1]));
        let counter = self.b.state("positions", I32, &[1]);
        let positions = Operator::Positions(Positions { capacity: self.context as i32 });
        let inputs: Vec<TensorId> = [counter].into_iter().chain(count).collect();
        let position = self.b.op("position", positions, inputs, I32, &[tokens]);
        let points = self.context as usize * (depth as usize / 2);
        let what = || format!("the rope tables for {} positions of {depth} elements", self.context);
        self.limit.make(2 * 4 * points as u64, what)?;
        let (mut cos, mut sin) = (vec![0.0; points], vec![0.0; points]);
        rope_tables(rope_base, depth as usize, &mut cos, &mut sin);
        let cos = self.b.floats("rope.cos", &[self.context, depth / 2], &cos);
        let sin = self.b.floats("rope.sin", &[self.context, depth / 2], &sin);
        let at = Position { position, cos, sin };

        let gather = match embedding.block {
            Some(block) => Operator::GatherBlock(GatherBlock { block }),
            None => Operator::GatherF32(GatherF32),
        };
        let mut x = self.b.op("token_embd", gather, [token, embedding.id], F32, &[tokens, width]);
        for layer in 0..layers {
            x = self.layer(&format!("blk.{layer}"), x, at)?;
        }
        if self.is_batch() {
            // All that remains of the tokens is in the state. What else the last layer computes, nothing reads.
            return Ok(());
        }
        let x = self.norm("output_norm", x)?;
        let head = match self.file.tensor("output.weight") {
            Some(_) => self.matrix("output.weight", vocabulary, width)?,
            // Tied weights: the embedding is also the output matrix.
            None => embedding,
        };
        let scores = self.product("scores", x, head);
        self.b.output(scores);
        Ok(())
    }

    /// Whether the graph reads several tokens.
    fn is_batch(&self) -> bool {
        self.tokens > 1
    }

    fn layer(&mut self, name: &str, x: TensorId, at: Position) -> Result<TensorId> {
        let Sizes { width, hidden, heads, kv_heads, depth, .. } = self.sizes;
        let of = |part: &str| format!("{name}.{part}");

        let y = self.norm(&of("attn_norm"), x)?;
        let queries = self.linear(&of("attn_q"), y, heads * depth, width)?;
        let keys = self.linear(&of("attn_k"), y, kv_heads * depth, width)?;
        let values = self.linear(&of("attn_v"), y, kv_heads * depth, width)?;
        let queries = self.rope(&of("rope_q"), queries, heads, at)?;
        let keys = self.rope(&of("rope_k"), keys, kv_heads, at)?;
        let cache = self.b.state(&of("cache"), F32, &[2, self.context, kv_heads, depth]);
        let attention =
            AttentionF32 { heads: heads as i32, kv_heads: kv_heads as i32, scale: 1.0 / (depth as f32).sqrt() };
        let inputs = [queries, keys, values, at.position, cache];
        let attended =
            self.b.op(&of("attn"), Operator::AttentionF32(attention), inputs, F32, &[self.tokens, heads * depth]);
        let attended = self.linear(&of("attn_output"), attended, width, heads * depth)?;
        let x = self.add(&of("attn_add"), x, attended);

        let y = self.norm(&of("ffn_norm"), x)?;
        let gate = self.linear(&of("ffn_gate"), y, hidden, width)?;
        let up = self.linear(&of("ffn_up"), y, hidden, width)?;
        let silu = UnaryF32 { function: UnaryFunction::Silu };
        let gate = self.b.op(&of("ffn_silu"), Operator::UnaryF32(silu), [gate], F32, &[self.tokens, hidden]);
        let product = Operator::MulF32(BinaryF32 { activation: ALL });
        let inner = self.b.op(&of("ffn_mul"), product, [gate, up], F32, &[self.tokens, hidden]);
        let down = self.linear(&of("ffn_down"), inner, width, hidden)?;
        Ok(self.add(&of("ffn_add"), x, down))
    }

    fn add(&mut self, name: &str, x: TensorId, y: TensorId) -> TensorId {
        let add = Operator::AddF32(BinaryF32 { activation: ALL });
        self.b.op(name, add, [x, y], F32, &[self.tokens, self.sizes.width])
    }

    /// Adds the norm whose weights are `NAME.weight`.
    fn norm(&mut self, name: &str, x: TensorId) -> Result<TensorId> {
        let width = self.sizes.width;
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        let bytes = match weight.dtype {
            GgmlType::F32 => self.source.bytes(weight.bytes),
            GgmlType::F16 => {
                let what = || format!("`{}` and what was widened before it", weight.name);
                self.limit.make(2 * weight.bytes.len() as u64, what)?;
                from_f16(weight.bytes).into()
            }
            GgmlType::Block(_) => return Err(wrong_type(weight, "F32, F16")),
        };
        let weight = self.b.constant(weight.name, F32, &[width], bytes);
        let norm = Operator::RmsNormF32(RmsNormF32 { epsilon: self.sizes.epsilon });
        Ok(self.b.op(name, norm, [x, weight], F32, &[self.tokens, width]))
    }

    /// Adds the product with the matrix `NAME.weight`.
    fn linear(&mut self, name: &str, x: TensorId, rows: u32, columns: u32) -> Result<TensorId> {
        let matrix = self.matrix(&format!("{name}.weight"), rows, columns)?;
        Ok(self.product(name, x, matrix))
    }

    fn product(&mut self, name: &str, x: TensorId, matrix: Matrix) -> TensorId {
        let product = match matrix.block {
            Some(block) => {
                let together = self.is_batch();
                Operator::FullyConnectedBlock(FullyConnectedBlock { block, activation: ALL, together })
            }
            None => Operator::FullyConnectedF32(FullyConnectedF32 { activation: ALL }),
        };
        self.b.op(name, product, [Some(x), Some(matrix.id), None], F32, &[self.tokens, matrix.rows])
    }

    fn rope(&mut self, name: &str, x: TensorId, heads: u32, at: Position) -> Result<TensorId> {
        let shape = [self.tokens * heads, self.sizes.depth];
        let x = self.b.view(x, &shape)?;
        let rope = RopeF32 { heads: heads as i32, interleaved: true };
        Ok(self.b.op(name, Operator::RopeF32(rope), [x, at.cos, at.sin, at.position], F32, &shape))
    }

    /// Returns the tensor `name` as a constant that shares the bytes of the file.
    fn matrix(&mut self, name: &str, rows: u32, columns: u32) -> Result<Matrix> {
        let tensor = self.tensor(name, &[rows, columns])?;
        let bytes = self.source.bytes(tensor.bytes);
        let (id, block) = match tensor.dtype {
            GgmlType::F32 => (self.b.constant(name, F32, &[rows, columns], bytes), None),
            GgmlType::F16 => (self.b.constant(name, F16, &[rows, columns], bytes), None),
            GgmlType::Block(block) => {
                // Rows are whole blocks: the reader has checked it.
                let row_bytes = columns / block.elements() * block.bytes();
                (self.b.constant(name, U8, &[rows, row_bytes], bytes), Some(block))
            }
        };
        Ok(Matrix { id, rows, block })
    }

    fn tensor(&mut self, name: &str, shape: &[u32]) -> Result<&'a TensorInfo<'a>> {
        let Some(tensor) = self.file.tensor(name) else {
            return Err(GgufError::MissingTensor { tensor: name.into() }.into());
        };
        if tensor.shape != shape {
            let (found, expected) = (tensor.shape.clone(), shape.to_vec());
            return Err(GgufError::Shape { tensor: name.into(), found, expected }.into());
        }
        self.read.insert(tensor.name);
        Ok(tensor)
    }
}

/// The position of a token, for RoPE and attention.
#[derive(Clone, Copy)]
struct Position {
    position: TensorId,
    cos: TensorId,
    sin: TensorId,
}

fn wrong_type(tensor: &TensorInfo<'_>, accepted: &str) -> CompileError {
    let (name, found) = (tensor.name.into(), tensor.dtype.to_string());
    GgufError::Type { tensor: name, found, accepted: accepted.into() }.into()
}

/// Half precision widened to single, which is exact.
fn from_f16(bytes: &[u8]) -> Vec<u8> {
    let (halves, _) = bytes.as_chunks::<2>();
    halves.iter().flat_map(|&half| half::f16::from_le_bytes(half).to_f32().to_le_bytes()).collect()
}
