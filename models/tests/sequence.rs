//! A network that reads a sequence is written down as one step; its steps compute what Candle computes over the whole.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use tealight::OwnedSession;
use tealight_compiler::Options;
use tealight_compiler::builder::compile_kernel_graph;
use tealight_models::array::Array;
use tealight_models::charlm::compiled::{compiled, scores};
use tealight_models::charlm::{self, CharLm};
use tealight_models::layers::{Linear, linear, linear_no_bias};
use tealight_models::random::{Random, VarInit};
use tealight_models::sequence::{Attention, Embedding, RmsNorm, embedding, rms_norm};
use tealight_models::trace::{trace, trace_step};
use tealight_models::{Paths, export, weights};

const WORDS: usize = 20;
const CONTEXT: usize = 12;

/// One layer of every kind: two heads of keys serve four of queries, the table is the last matrix too.
struct TinyTransformer {
    table: Embedding,
    norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    attention: Attention,
    out: Linear,
    last: RmsNorm,
}

impl TinyTransformer {
    fn new() -> Self {
        let vb = VarBuilder::from_backend(Box::new(VarInit::new(5)), DType::F32, Device::Cpu);
        let build = || {
            anyhow::Ok(Self {
                table: embedding(WORDS, 32, vb.pp("table"))?,
                norm: rms_norm(32, 1e-5, vb.pp("norm"))?,
                query: linear_no_bias(32, 24, vb.pp("query"))?,
                key: linear_no_bias(32, 12, vb.pp("key"))?,
                value: linear(32, 12, vb.pp("value"))?,
                attention: Attention::new(4, 2, 6, CONTEXT, 100.0)?,
                out: linear(24, 32, vb.pp("out"))?,
                last: rms_norm(32, 1e-6, vb.pp("last"))?,
            })
        };
        build().unwrap()
    }

    fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let x = self.table.forward(x)?;
        let hidden = self.norm.forward(&x)?;
        let [query, key, value] = [&self.query, &self.key, &self.value].map(|layer| layer.forward(&hidden));
        let hidden = self.attention.forward(&query?, &key?, &value?)?;
        let x = x.add(&self.out.forward(&hidden)?.silu()?)?;
        self.table.products(&self.last.forward(&x)?)
    }
}

/// What the compiled network gives for `words`, `each` in a step, compared with Candle's over all of them.
fn compare(each: usize) {
    let model = TinyTransformer::new();
    let network = trace_step(each, |x| model.forward(x)).unwrap();
    let file = compile_kernel_graph(network, b"", &Options::default()).unwrap().bytes;
    let mut session = OwnedSession::from_bytes(&file).unwrap();
    let mut random = Random::new(each as u64);
    for _ in 0..5 {
        let words: Vec<u32> = (0..CONTEXT).map(|_| random.below(WORDS) as u32).collect();
        let whole = Tensor::from_slice(&words, (1, CONTEXT), &Device::Cpu).unwrap();
        let wanted = model.forward(&whole).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // A new session forgets the text before.
        session.reset();
        let mut found = Vec::new();
        for words in words.chunks(each) {
            let numbers: Vec<i32> = words.iter().map(|word| word.cast_signed()).collect();
            session.input(0).unwrap().copy_from(&numbers).unwrap();
            session.run();
            found.extend_from_slice(session.output(0).unwrap().as_slice::<f32>().unwrap());
        }
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            // Both sum the same products, in another order; scores are up to about 3.
            assert!((found - wanted).abs() < 1e-5, "{found} against {wanted}");
        }
    }
}

#[test]
fn steps_of_one_word_compute_what_candle_computes_over_the_text() {
    compare(1);
}

#[test]
fn steps_of_several_words_compute_it_too() {
    compare(4);
}

#[test]
fn tracing_reports_shapes_that_do_not_fit() {
    let model = TinyTransformer::new();
    let error = trace(&[1, 1], |x| model.forward(x)).unwrap_err().to_string();
    assert!(error.contains("table") && error.contains("trace_step"), "{error}");
    let error = trace_step(1, |x| model.attention.forward(&model.table.forward(x)?, x, x)).unwrap_err().to_string();
    assert!(error.contains("attention") && error.contains("24"), "{error}");
    assert!(Attention::new(3, 2, 6, 8, 1e4).unwrap_err().to_string().contains("3 heads"));
}

/// A text of the length of charlm's context.
fn sentence() -> Vec<u32> {
    let text = "Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse, and \
        nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the \
        world. It is a way I have of driving off";
    let numbers = charlm::data::numbers(text).unwrap();
    numbers[..charlm::CONTEXT].to_vec()
}

#[test]
fn charlm_step_by_step_computes_what_candle_computes_over_the_text() {
    let checkpoint = export::read(&Paths::new().file("charlm", "charlm.float.safetensors")).unwrap();
    let model = weights::load(&checkpoint, CharLm::load).unwrap();
    let text = sentence();
    let whole = Tensor::from_slice(&text, (1, text.len()), &Device::Cpu).unwrap();
    let wanted = model.forward(&whole).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap();
    let file = compiled(&checkpoint, None).unwrap();
    let found = scores(&mut OwnedSession::from_bytes(&file).unwrap(), &text).unwrap();
    let spread = wanted.iter().flatten().fold(0f32, |most, score| most.max(score.abs()));
    assert!(spread > 5.0, "scores of up to {spread} say nothing");
    let worst = found.iter().flatten().zip(wanted.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    // Four layers of sums in another order; scores are up to about 20.
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn charlms_files_are_compiled_from_its_weights() {
    let paths = Paths::new();
    let checkpoint = export::read(&paths.file("charlm", "charlm.float.safetensors")).unwrap();
    for (blocks, name) in charlm::FILES {
        let file = compiled(&checkpoint, Some(blocks)).unwrap();
        assert!(file == export::read(&paths.file("charlm", name)).unwrap(), "{name}");
    }
}
