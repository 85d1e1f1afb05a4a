//! A small Llama-style language model with random weights, as a graph for tests.

use crate::rng::Rng;
use tealight_compiler::BlockType;
use tealight_compiler::builder::Builder;
use tealight_compiler::graph::ElementType::{F32, I32, U8};
use tealight_compiler::graph::{Graph, TensorId};
use tealight_format::Operator;
use tealight_format::ops::{
    AttentionF32, BinaryF32, FullyConnectedBlock, FullyConnectedF32, GatherBlock, GatherF32, Positions, RmsNormF32,
    RopeF32, UnaryF32, UnaryFunction,
};
use tealight_kernels::float::{UNBOUNDED, rope_tables};

/// Sizes of a model.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub vocabulary: u32,
    pub layers: u32,
    pub heads: u32,
    pub kv_heads: u32,
    /// Elements of a head.
    pub depth: u32,
    /// Width of the feed-forward layers.
    pub hidden: u32,
    /// Positions that the caches hold.
    pub capacity: u32,
}

pub const BASE: f32 = 10_000.0;
pub const EPSILON: f32 = 1e-5;

impl Sizes {
    pub const SMALL: Self =
        Self { vocabulary: 40, layers: 2, heads: 4, kv_heads: 2, depth: 16, hidden: 96, capacity: 12 };

    pub const fn width(&self) -> u32 {
        self.heads * self.depth
    }

    /// Name and shape of each weight, by the names of Llama's checkpoints. Embeddings are tied.
    pub fn weights(&self) -> Vec<(String, Vec<u32>)> {
        let (width, kv_width) = (self.width(), self.kv_heads * self.depth);
        let mut weights = vec![("embed_tokens".to_string(), vec![self.vocabulary, width])];
        for layer in 0..self.layers {
            for (name, shape) in [
                ("input_layernorm", vec![width]),
                ("q_proj", vec![width, width]),
                ("k_proj", vec![kv_width, width]),
                ("v_proj", vec![kv_width, width]),
                ("o_proj", vec![width, width]),
                ("post_attention_layernorm", vec![width]),
                ("gate_proj", vec![self.hidden, width]),
                ("up_proj", vec![self.hidden, width]),
                ("down_proj", vec![width, self.hidden]),
            ] {
                weights.push((format!("layers.{layer}.{name}"), shape));
            }
        }
        weights.push(("norm".to_string(), vec![width]));
        weights
    }
}

/// Returns random weights: norms about 1, and matrices that keep the magnitude of activations. The same for the same
/// sizes.
pub fn random_weights(sizes: &Sizes) -> Vec<(String, Vec<u32>, Vec<f32>)> {
    let mut rng = Rng(1);
    let mut unit = || rng.unit();
    let fill = |(name, shape): (String, Vec<u32>)| {
        let len = shape.iter().product::<u32>();
        let values = match shape[..] {
            [_, columns] => (0..len).map(|_| unit() * (3.0 / columns as f32).sqrt()).collect(),
            _ => (0..len).map(|_| 1.0 + 0.3 * unit()).collect(),
        };
        (name, shape, values)
    };
    sizes.weights().into_iter().map(fill).collect()
}

/// How matrices are stored.
#[derive(Clone, Copy)]
pub enum Stored<'a> {
    /// In f32.
    Floats(&'a [(String, Vec<u32>, Vec<f32>)]),
    /// In blocks of this type.
    Blocks(BlockType, &'a [(String, Vec<u32>, Vec<f32>)]),
    /// In blocks of this type, with meaningless bytes: for a model of which only the size matters.
    Sized(BlockType),
}

struct Writer<'a> {
    b: Builder,
    sizes: Sizes,
    stored: Stored<'a>,
    positions: TensorId,
    tables: [TensorId; 2],
    count: u32,
}

/// Returns a model that reads `count` tokens per inference and outputs the scores of the token after each.
pub fn graph(sizes: Sizes, stored: Stored<'_>, count: u32) -> Graph {
    let mut b = Builder::new();
    let tokens = b.input("tokens", I32, &[count]);
    let seen = b.state("seen", I32, &[1]);
    let capacity = sizes.capacity as i32;
    let positions = b.op("positions", Operator::Positions(Positions { capacity }), [seen], I32, &[count]);
    let table = [sizes.capacity, sizes.depth / 2];
    let (mut cos, mut sin) = (vec![0.0; (table[0] * table[1]) as usize], vec![0.0; (table[0] * table[1]) as usize]);
    rope_tables(BASE, sizes.depth as usize, &mut cos, &mut sin);
    let tables = [b.floats("cos", &table, &cos), b.floats("sin", &table, &sin)];
    let mut writer = Writer { b, sizes, stored, positions, tables, count };

    let embedding = writer.matrix("embed_tokens");
    let gather = match stored {
        Stored::Floats(_) => Operator::GatherF32(GatherF32),
        Stored::Blocks(block, _) | Stored::Sized(block) => Operator::GatherBlock(GatherBlock { block }),
    };
    let shape = [count, sizes.width()];
    let mut x = writer.b.op("embedded", gather, [tokens, embedding], F32, &shape);
    for layer in 0..sizes.layers {
        x = writer.layer(layer, x);
    }
    let x = writer.norm("norm", x);
    let logits = writer.product_with("logits", x, embedding, sizes.vocabulary);
    writer.b.output(logits);
    writer.b.finish()
}

impl Writer<'_> {
    fn layer(&mut self, layer: u32, x: TensorId) -> TensorId {
        let Sizes { heads, kv_heads, depth, capacity, .. } = self.sizes;
        let name = |part: &str| format!("layers.{layer}.{part}");
        let normed = self.norm(&name("input_layernorm"), x);
        let queries = self.product(&name("q_proj"), normed);
        let keys = self.product(&name("k_proj"), normed);
        let values = self.product(&name("v_proj"), normed);
        let queries = self.rope(&name("q"), queries, heads);
        let keys = self.rope(&name("k"), keys, kv_heads);
        let cache = self.b.state(&name("cache"), F32, &[2, capacity, kv_heads, depth]);
        let attention = Operator::AttentionF32(AttentionF32 {
            heads: heads as i32,
            kv_heads: kv_heads as i32,
            scale: 1.0 / (depth as f32).sqrt(),
        });
        let inputs = [queries, keys, values, self.positions, cache];
        let y = self.b.op(&name("attention"), attention, inputs, F32, &[self.count, heads * depth]);
        let y = self.product(&name("o_proj"), y);
        let x = self.elementwise(&name("x"), Operator::AddF32, x, y);

        let normed = self.norm(&name("post_attention_layernorm"), x);
        let gate = self.product(&name("gate_proj"), normed);
        let up = self.product(&name("up_proj"), normed);
        let silu = Operator::UnaryF32(UnaryF32 { function: UnaryFunction::Silu });
        let shape = self.b.tensor(gate).shape.clone();
        let gate = self.b.op(&name("silu"), silu, [gate], F32, &shape);
        let y = self.elementwise(&name("gated"), Operator::MulF32, gate, up);
        let y = self.product(&name("down_proj"), y);
        self.elementwise(&name("y"), Operator::AddF32, x, y)
    }

    fn norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let values = match self.stored {
            Stored::Floats(weights) | Stored::Blocks(_, weights) => {
                weights.iter().find(|weight| weight.0 == name).unwrap().2.clone()
            }
            Stored::Sized(_) => vec![1.0; self.sizes.width() as usize],
        };
        let weight = self.b.floats(name, &[self.sizes.width()], &values);
        let shape = self.b.tensor(x).shape.clone();
        let operator = Operator::RmsNormF32(RmsNormF32 { epsilon: EPSILON });
        self.b.op(name, operator, [x, weight], F32, &shape)
    }

    fn rope(&mut self, name: &str, x: TensorId, heads: u32) -> TensorId {
        let shape = [self.count, heads, self.sizes.depth];
        let x = self.b.view(x, &shape).unwrap();
        let operator = Operator::RopeF32(RopeF32 { heads: heads as i32, interleaved: false });
        self.b.op(name, operator, [x, self.tables[0], self.tables[1], self.positions], F32, &shape)
    }

    fn matrix(&mut self, name: &str) -> TensorId {
        let shape = self.sizes.weights().into_iter().find(|weight| weight.0 == name).unwrap().1;
        let values = |weights: &'_ [(String, Vec<u32>, Vec<f32>)]| {
            weights.iter().find(|weight| weight.0 == name).unwrap().2.clone()
        };
        match self.stored {
            Stored::Floats(weights) => self.b.floats(name, &shape, &values(weights)),
            Stored::Blocks(block, weights) => {
                self.b.blocks(name, block, [shape[0], shape[1]], &values(weights)).unwrap()
            }
            Stored::Sized(block) => {
                let row_bytes = shape[1] / block.elements() * block.bytes();
                // Different for each matrix, since equal constants are stored once.
                let bytes: Vec<u8> = name.bytes().cycle().take(shape[0] as usize * row_bytes as usize).collect();
                self.b.constant(name, U8, &[shape[0], row_bytes], bytes)
            }
        }
    }

    fn product(&mut self, name: &str, x: TensorId) -> TensorId {
        let weights = self.matrix(name);
        let units = self.b.tensor(weights).shape[0];
        self.product_with(name, x, weights, units)
    }

    fn product_with(&mut self, name: &str, x: TensorId, weights: TensorId, units: u32) -> TensorId {
        let activation = UNBOUNDED;
        let operator = match self.stored {
            Stored::Floats(_) => Operator::FullyConnectedF32(FullyConnectedF32 { activation }),
            Stored::Blocks(block, _) | Stored::Sized(block) => {
                Operator::FullyConnectedBlock(FullyConnectedBlock { block, activation, together: false })
            }
        };
        self.b.op(name, operator, [Some(x), Some(weights), None], F32, &[self.count, units])
    }

    fn elementwise(&mut self, name: &str, of: fn(BinaryF32) -> Operator, a: TensorId, b: TensorId) -> TensorId {
        let shape = self.b.tensor(a).shape.clone();
        self.b.op(name, of(BinaryF32 { activation: UNBOUNDED }), [a, b], F32, &shape)
    }
}
