//! A small decoder, step by step: rotary embeddings, grouped attention over a cache, gated layers, weights in blocks.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use support::{Rng, bits};
use tealight_candle::{Budget, EngineChoice, Mapped};
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::{F32, I32};
use tealight_compiler::graph::TensorId;
use tealight_format::Operator;
use tealight_format::ops::{
    AttentionF32, BinaryF32, BlockType, FullyConnectedBlock, GatherBlock, Positions, RmsNormF32, RopeF32, UnaryF32,
    UnaryFunction,
};
use tealight_kernels::float::rope_tables;

const ALL: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];
const TOKENS: u32 = 90;
const WIDTH: u32 = 256;
const HIDDEN: u32 = 512;
const HEADS: u32 = 8;
const KV_HEADS: u32 = 2;
const DEPTH: u32 = WIDTH / HEADS;
const CONTEXT: u32 = 16;

/// The maximum difference of scores, relative to the maximum score, in most steps: their last bits.
const USUALLY: f32 = 2e-6;

/// The maximum difference in any step. Every product quantizes its activations to 8 bits. When a difference in a last
/// bit changes one of these roundings, many values after it are rounded differently, and the scores differ like those
/// of two quantizations. The cache keeps these differences for later steps.
const TOLERANCE: f32 = 0.05;

struct Decoder {
    b: Builder,
    rng: Rng,
    block: BlockType,
}

impl Decoder {
    fn matrix(&mut self, name: &str, rows: u32, columns: u32) -> TensorId {
        let scale = (3.0 / columns as f32).sqrt();
        let values: Vec<f32> = self.rng.f32s((rows * columns) as usize).iter().map(|x| x * scale).collect();
        self.b.blocks(name, self.block, [rows, columns], &values).unwrap()
    }

    fn product(&mut self, name: &str, x: TensorId, matrix: TensorId, rows: u32) -> TensorId {
        let op = FullyConnectedBlock { block: self.block, activation: ALL, together: false };
        self.b.op(name, Operator::FullyConnectedBlock(op), [Some(x), Some(matrix), None], F32, &[1, rows])
    }

    fn linear(&mut self, name: &str, x: TensorId, rows: u32, columns: u32) -> TensorId {
        let matrix = self.matrix(&format!("{name}.weight"), rows, columns);
        self.product(name, x, matrix, rows)
    }

    fn norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let weight = self.b.floats(&format!("{name}.weight"), &[WIDTH], &[1.0; WIDTH as usize]);
        self.b.op(name, Operator::RmsNormF32(RmsNormF32 { epsilon: 1e-5 }), [x, weight], F32, &[1, WIDTH])
    }

    fn layer(&mut self, name: &str, x: TensorId, [position, cos, sin]: [TensorId; 3]) -> TensorId {
        let of = |part: &str| format!("{name}.{part}");
        let y = self.norm(&of("norm"), x);
        let turned = |decoder: &mut Self, part: &str, heads: u32| {
            let x = decoder.linear(&of(part), y, heads * DEPTH, WIDTH);
            let x = decoder.b.view(x, &[heads, DEPTH]).unwrap();
            let rope = Operator::RopeF32(RopeF32 { heads: heads as i32, interleaved: false });
            decoder.b.op(&of(&format!("{part}.rope")), rope, [x, cos, sin, position], F32, &[heads, DEPTH])
        };
        let (q, k) = (turned(self, "q", HEADS), turned(self, "k", KV_HEADS));
        let v = self.linear(&of("v"), y, KV_HEADS * DEPTH, WIDTH);
        let cache = self.b.state(&of("cache"), F32, &[2, CONTEXT, KV_HEADS, DEPTH]);
        let scale = 1.0 / (DEPTH as f32).sqrt();
        let attention = AttentionF32 { heads: HEADS as i32, kv_heads: KV_HEADS as i32, scale };
        let attended = self.b.op(
            &of("attention"),
            Operator::AttentionF32(attention),
            [q, k, v, position, cache],
            F32,
            &[1, WIDTH],
        );
        let attended = self.linear(&of("out"), attended, WIDTH, WIDTH);
        let add = Operator::AddF32(BinaryF32 { activation: ALL });
        let x = self.b.op(&of("add"), add, [x, attended], F32, &[1, WIDTH]);
        let y = self.norm(&of("norm2"), x);
        let (gate, up) = (self.linear(&of("gate"), y, HIDDEN, WIDTH), self.linear(&of("up"), y, HIDDEN, WIDTH));
        let silu = UnaryF32 { function: UnaryFunction::Silu };
        let gate = self.b.op(&of("silu"), Operator::UnaryF32(silu), [gate], F32, &[1, HIDDEN]);
        let mul = Operator::MulF32(BinaryF32 { activation: ALL });
        let inner = self.b.op(&of("mul"), mul, [gate, up], F32, &[1, HIDDEN]);
        let down = self.linear(&of("down"), inner, WIDTH, HIDDEN);
        self.b.op(&of("add2"), add, [x, down], F32, &[1, WIDTH])
    }
}

fn decoder(block: BlockType) -> Mapped {
    let mut decoder = Decoder { b: Builder::new(), rng: Rng(1), block };
    let token = decoder.b.input("token", I32, &[1]);
    let attended = decoder.b.state("positions", I32, &[1]);
    let positions = Operator::Positions(Positions { capacity: CONTEXT as i32 });
    let position = decoder.b.op("position", positions, [attended], I32, &[1]);
    let points = (CONTEXT * DEPTH / 2) as usize;
    let (mut cos, mut sin) = (vec![0.0; points], vec![0.0; points]);
    rope_tables(10_000.0, DEPTH as usize, &mut cos, &mut sin);
    let [cos, sin] =
        [("cos", cos), ("sin", sin)].map(|(name, table)| decoder.b.floats(name, &[CONTEXT, DEPTH / 2], &table));
    let embedding = decoder.matrix("embedding", TOKENS, WIDTH);
    let gather = Operator::GatherBlock(GatherBlock { block });
    let mut x = decoder.b.op("embedded", gather, [token, embedding], F32, &[1, WIDTH]);
    for layer in 0..2 {
        x = decoder.layer(&format!("layer{layer}"), x, [position, cos, sin]);
    }
    let x = decoder.norm("norm", x);
    // The embedding is also the output matrix.
    let scores = decoder.product("scores", x, embedding, TOKENS);
    decoder.b.output(scores);
    let compiled = compile_kernel_graph(decoder.b.finish(), b"", &Options::default()).unwrap();
    Mapped::from_bytes(&compiled.bytes).unwrap()
}

/// Returns the scores after each of some tokens.
fn scores(model: &Mapped, choice: EngineChoice, mut budget: impl FnMut() -> Budget) -> Vec<Vec<f32>> {
    let mut session = model.session(choice).unwrap();
    let steps = 0..CONTEXT as i32 + 2; // two beyond the context
    let step = |token| {
        session.input(0).unwrap().copy_from(&[token * 37 % TOKENS as i32]).unwrap();
        while session.poll(budget()).is_pending() {}
        session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
    };
    steps.map(step).collect()
}

#[test]
fn both_engines_compute_the_same_next_token_scores() {
    let (mut steps, mut alike) = (0, 0);
    for &block in BlockType::ALL {
        let model = decoder(block);
        let ours = scores(&model, EngineChoice::Tealight, Budget::unlimited);
        let theirs = scores(&model, EngineChoice::Candle, Budget::unlimited);
        assert_ne!(bits(&ours[0]), bits(&ours[CONTEXT as usize - 1]), "the test must be able to fail");
        for (step, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let highest = ours.iter().fold(0f32, |most, x| most.max(x.abs()));
            let off = ours.iter().zip(theirs).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / highest;
            assert!(off <= TOLERANCE, "{block:?}, step {step}: off by {off} of the highest score");
            steps += 1;
            alike += u32::from(off <= USUALLY);
        }
    }
    assert!(alike * 2 > steps, "only {alike} of {steps} steps are alike");
}

#[test]
fn slicing_a_step_changes_no_bit() {
    let model = decoder(BlockType::Q4K);
    let whole = scores(&model, EngineChoice::Candle, Budget::unlimited);
    let mut rng = Rng(5);
    let cut = scores(&model, EngineChoice::Candle, || Budget::macs(rng.below(30_000)));
    let bits_of = |steps: &[Vec<f32>]| steps.iter().map(|scores| bits(scores)).collect::<Vec<_>>();
    assert_eq!(bits_of(&whole), bits_of(&cut));
}
