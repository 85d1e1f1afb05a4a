//! Transformers compared with Candle in f32: a Llama-style language model, token by token, and the operators that it
//! does not have.
//!
//! Candle's matrix products and sums add in another order than Tealight's, and its `exp` and `erf` are other
//! implementations. The two therefore agree except for rounding: each element must be within `TOLERANCE * (1 + |x|)`.
//! Here all elements are of the order of 1, and differ by a few units of 2^-23; the observed maximum is 1e-6.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{ops, rotary_emb};
use std::collections::HashMap;
use tealight::OwnedSession;
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::F32;
use tealight_compiler::graph::Graph;
use tealight_format::Operator;
use tealight_format::ops::{BatchMatMulF32, LayerNormF32, SoftmaxF32, UnaryF32, UnaryFunction};
use tealight_testing::llama::{BASE, EPSILON, Sizes, Stored, graph, random_weights};

const TOLERANCE: f32 = 1e-5;

fn assert_near(ours: &[f32], candle: &[f32], what: &str) {
    assert_eq!(ours.len(), candle.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(candle).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * (1.0 + b.abs()), "{what}, element {i}: {a}, Candle says {b}");
    }
}

/// Compiles the graph and returns its first output after each of the inferences, whose inputs are bytes.
fn run(graph: Graph, inferences: &[Vec<Vec<u8>>]) -> Vec<Vec<f32>> {
    let file = compile_kernel_graph(graph, b"", &Options::default()).unwrap().bytes;
    let mut session = OwnedSession::from_bytes(&file).unwrap();
    let mut outputs = Vec::new();
    for inputs in inferences {
        for (i, input) in inputs.iter().enumerate() {
            session.input(i).unwrap().copy_from_bytes(input.as_slice()).unwrap();
        }
        session.run();
        outputs.push(session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec());
    }
    outputs
}

/// The model in Candle, with caches as growing tensors.
struct Llama {
    sizes: Sizes,
    weights: HashMap<String, Tensor>,
    caches: Vec<Option<[Tensor; 2]>>,
}

impl Llama {
    fn new(sizes: Sizes, weights: &[(String, Vec<u32>, Vec<f32>)]) -> Result<Self> {
        let tensor = |(name, shape, values): &(String, Vec<u32>, Vec<f32>)| {
            let shape: Vec<usize> = shape.iter().map(|&dim| dim as usize).collect();
            Ok((name.clone(), Tensor::from_slice(values, shape, &Device::Cpu)?))
        };
        let weights = weights.iter().map(tensor).collect::<Result<_>>()?;
        Ok(Self { sizes, weights, caches: vec![None; sizes.layers as usize] })
    }

    fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        ops::rms_norm(x, &self.weights[name], EPSILON)
    }

    fn product(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weights[name].t()?)
    }

    /// Rotates `[1, width]` to `position`: `[1, heads, 1, depth]`.
    fn turned(&self, x: &Tensor, position: usize) -> Result<Tensor> {
        let depth = self.sizes.depth as usize;
        let frequencies: Vec<f32> = (0..depth / 2).map(|i| 1.0 / BASE.powf(2.0 * i as f32 / depth as f32)).collect();
        let angles = (Tensor::new(frequencies, &Device::Cpu)? * position as f64)?.unsqueeze(0)?;
        rotary_emb::rope(&self.heads(x)?, &angles.cos()?, &angles.sin()?)
    }

    fn heads(&self, x: &Tensor) -> Result<Tensor> {
        x.reshape((1, 1, (), self.sizes.depth as usize))?.transpose(1, 2)?.contiguous()
    }

    /// Returns the scores of the token after `token`.
    fn step(&mut self, token: u32, position: usize) -> Result<Vec<f32>> {
        let group = (self.sizes.heads / self.sizes.kv_heads) as usize;
        let scale = 1.0 / f64::from(self.sizes.depth).sqrt();
        let mut x = self.weights["embed_tokens"].index_select(&Tensor::new(&[token], &Device::Cpu)?, 0)?;
        for layer in 0..self.sizes.layers as usize {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let normed = self.norm(&name("input_layernorm"), &x)?;
            let q = self.turned(&self.product(&name("q_proj"), &normed)?, position)?;
            let k = self.turned(&self.product(&name("k_proj"), &normed)?, position)?;
            let v = self.heads(&self.product(&name("v_proj"), &normed)?)?;
            let [k, v] = match &self.caches[layer] {
                None => [k, v],
                Some([keys, values]) => [Tensor::cat(&[keys, &k], 2)?, Tensor::cat(&[values, &v], 2)?],
            };
            self.caches[layer] = Some([k.clone(), v.clone()]);
            // Each head of keys and values serves a group of consecutive query heads.
            let repeat = |x: &Tensor| -> Result<Tensor> {
                let (b, heads, t, depth) = x.dims4()?;
                x.unsqueeze(2)?.expand((b, heads, group, t, depth))?.reshape((b, heads * group, t, depth))
            };
            let scores = (q.matmul(&repeat(&k)?.t()?)? * scale)?;
            let y = ops::softmax_last_dim(&scores)?.matmul(&repeat(&v)?)?;
            let y = y.transpose(1, 2)?.reshape((1, ()))?;
            x = (x + self.product(&name("o_proj"), &y)?)?;
            let normed = self.norm(&name("post_attention_layernorm"), &x)?;
            let gate = self.product(&name("gate_proj"), &normed)?.silu()?;
            let y = (gate * self.product(&name("up_proj"), &normed)?)?;
            x = (x + self.product(&name("down_proj"), &y)?)?;
        }
        let x = self.norm("norm", &x)?;
        self.product("embed_tokens", &x)?.flatten_all()?.to_vec1()
    }
}

#[test]
fn a_language_model_matches_candles_scores_after_each_token() {
    let weights = random_weights(&Sizes::SMALL);
    let tokens = [7u32, 7, 31, 0, 12, 39, 5, 7, 22, 18, 3, 31];
    let mut candle = Llama::new(Sizes::SMALL, &weights).unwrap();
    let expected: Vec<Vec<f32>> =
        tokens.iter().enumerate().map(|(position, &token)| candle.step(token, position).unwrap()).collect();
    assert!(expected[0].iter().zip(&expected[7]).any(|(a, b)| (a - b).abs() > 0.05), "what came before must matter");

    for count in [1, 4] {
        let inferences: Vec<Vec<Vec<u8>>> = tokens
            .chunks(count)
            .map(|tokens| vec![tokens.iter().flat_map(|token| token.to_le_bytes()).collect()])
            .collect();
        let ours = run(graph(Sizes::SMALL, Stored::Floats(&weights), count as u32), &inferences).concat();
        assert_near(&ours, &expected.concat(), &format!("{count} tokens an inference"));
    }
}

fn values(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(len)
    .collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|real| real.to_le_bytes()).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn layer_norm_and_gelu_match_candle() {
    let (x, weight, bias) = (values(1, 5 * 48), values(2, 48), values(3, 48));
    let normed = |of: Option<UnaryFunction>| {
        let mut b = Builder::new();
        let input = b.input("x", F32, &[5, 48]);
        let (w, c) = (b.floats("weight", &[48], &weight), b.floats("bias", &[48], &bias));
        let operator = Operator::LayerNormF32(LayerNormF32 { epsilon: EPSILON });
        let mut y = b.op("y", operator, [input, w, c], F32, &[5, 48]);
        if let Some(function) = of {
            let operator = Operator::UnaryF32(UnaryF32 { function });
            y = b.op("z", operator, [y], F32, &[5, 48]);
        }
        b.output(y);
        run(b.finish(), &[vec![bytes(&x)]]).concat()
    };
    let y = ops::layer_norm(&tensor(&x, &[5, 48]), &tensor(&weight, &[48]), &tensor(&bias, &[48]), EPSILON).unwrap();
    let flat = |y: Result<Tensor>| y.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_near(&normed(None), &flat(Ok(y.clone())), "LayerNorm");
    assert_near(&normed(Some(UnaryFunction::Gelu)), &flat(y.gelu_erf()), "Gelu");
    assert_near(&normed(Some(UnaryFunction::GeluTanh)), &flat(y.gelu()), "GeluTanh");
}

#[test]
fn attention_matches_candle() {
    // An encoder's attention: no cache, and every position sees every other.
    let (heads, positions, depth) = (3u32, 7u32, 16u32);
    let shape = [heads, positions, depth];
    let all = shape.map(|dim| dim as usize);
    let [q, k, v] = [4, 5, 6].map(|seed| values(seed, all.iter().product()));
    let mut b = Builder::new();
    let [a, c, d] = ["q", "k", "v"].map(|name| b.input(name, F32, &shape));
    let product = |transpose_b| Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a: false, transpose_b });
    let square = [heads, positions, positions];
    let scores = b.op("scores", product(true), [a, c], F32, &square);
    let softmax = Operator::SoftmaxF32(SoftmaxF32 { beta: 0.25 });
    let weights = b.op("weights", softmax, [scores], F32, &square);
    let y = b.op("y", product(false), [weights, d], F32, &shape);
    b.output(y);
    let ours = run(b.finish(), &[vec![bytes(&q), bytes(&k), bytes(&v)]]).concat();

    let [q, k, v] = [q, k, v].map(|x| tensor(&x, &all));
    let attention = || -> Result<Vec<f32>> {
        let scores = (q.matmul(&k.transpose(1, 2)?)? * 0.25)?;
        let y = ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
        assert_eq!(y.dtype(), DType::F32);
        y.flatten_all()?.to_vec1()
    };
    assert_near(&ours, &attention().unwrap(), "attention");
}
