//! GGUF files: a tiny `llama` is compiled and run, and faulty files are refused.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use tealight::{Budget, Model, ModelError, OpenError, OwnedSession, Plan};
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_compiler::{CompileError, Options};
use tealight_format::ValueFault;
use tealight_kernels::block::{self, BlockType};
use tealight_testing::gguf::{
    DEPTH, EPSILON, F32, File, HEADS, KV_HEADS, LAYERS, Llama, ROPE_BASE, Store, TOKENS, TRAINED, WIDTH,
};
use tealight_testing::rng::Rng;

const Q4_1: Store<'static> = (3, &|values| blocks(BlockType::Q4_1, values));
const Q8_0: Store<'static> = (8, &|values| blocks(BlockType::Q8_0, values));
const F16: Store<'static> =
    (1, &|values| values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect());

fn blocks(block: BlockType, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; block.row_bytes(values.len())];
    block::quantize(block, values, &mut bytes);
    bytes
}

fn compile(file: &File, context: Option<u32>, batch: Option<u32>) -> Result<Vec<u8>, CompileError> {
    compile_gguf(&file.bytes(), &GgufOptions { context, batch }, &Options::default()).map(|compiled| compiled.bytes)
}

/// Returns the scores after each of `tokens`.
fn scores(file: &[u8], tokens: &[usize]) -> Vec<Vec<f32>> {
    let mut session = OwnedSession::from_bytes(file).unwrap();
    let mut scores = Vec::new();
    for &token in tokens {
        session.input(0).unwrap().copy_from(&[token as i32]).unwrap();
        session.run();
        scores.push(session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec());
    }
    scores
}

/// Computes the same network by its definition, in f64: the scores after the last of `tokens`.
fn textbook(weights: &BTreeMap<String, Vec<f32>>, tokens: &[usize]) -> Vec<f64> {
    let of = |name: String| -> Vec<f64> { weights[&format!("{name}.weight")].iter().map(|&w| f64::from(w)).collect() };
    let product = |matrix: &[f64], x: &[f64]| -> Vec<f64> {
        matrix.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    };
    let norm = |x: &[f64], weight: &[f64]| -> Vec<f64> {
        let square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        x.iter().zip(weight).map(|(x, w)| x / (square + f64::from(EPSILON)).sqrt() * w).collect()
    };
    // Neighbouring elements are one complex number, rotated by an angle that grows with the position.
    let rope = |x: &mut [f64], position: usize| {
        for head in x.chunks_mut(DEPTH) {
            for (i, pair) in head.chunks_mut(2).enumerate() {
                let angle = position as f64 * f64::from(ROPE_BASE).powf(-2.0 * i as f64 / DEPTH as f64);
                let (a, b) = (pair[0], pair[1]);
                (pair[0], pair[1]) = (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos());
            }
        }
    };
    let embedding = of("token_embd".into());
    let mut xs: Vec<Vec<f64>> = tokens.iter().map(|&token| embedding[token * WIDTH..][..WIDTH].to_vec()).collect();
    for layer in 0..LAYERS {
        let of = |name: &str| of(format!("blk.{layer}.{name}"));
        let ys: Vec<_> = xs.iter().map(|x| norm(x, &of("attn_norm"))).collect();
        let turned = |name: &str| -> Vec<Vec<f64>> {
            let rows = ys.iter().map(|y| product(&of(name), y)).enumerate();
            rows.map(|(position, mut row)| {
                rope(&mut row, position);
                row
            })
            .collect()
        };
        let (queries, keys) = (turned("attn_q"), turned("attn_k"));
        let values: Vec<_> = ys.iter().map(|y| product(&of("attn_v"), y)).collect();
        for (position, x) in xs.iter_mut().enumerate() {
            let mut seen = Vec::new();
            for head in 0..HEADS {
                let at = head / (HEADS / KV_HEADS) * DEPTH;
                let query = &queries[position][head * DEPTH..][..DEPTH];
                let weight = |t: usize| {
                    let dot: f64 = query.iter().zip(&keys[t][at..]).map(|(q, k)| q * k).sum();
                    (dot / (DEPTH as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = (0..=position).map(weight).collect();
                let sum: f64 = weights.iter().sum();
                seen.extend((0..DEPTH).map(|i| {
                    weights.iter().zip(&values).map(|(weight, value)| weight / sum * value[at + i]).sum::<f64>()
                }));
            }
            for (x, y) in x.iter_mut().zip(product(&of("attn_output"), &seen)) {
                *x += y;
            }
            let y = norm(x, &of("ffn_norm"));
            let (gate, up) = (product(&of("ffn_gate"), &y), product(&of("ffn_up"), &y));
            let inner: Vec<f64> = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            for (x, y) in x.iter_mut().zip(product(&of("ffn_down"), &inner)) {
                *x += y;
            }
        }
    }
    let last = norm(xs.last().unwrap(), &of("output_norm".into()));
    let head = if weights.contains_key("output.weight") { of("output".into()) } else { embedding };
    product(&head, &last)
}

#[test]
fn the_scores_match_a_textbook_implementation() {
    for (seed, head) in [(1, false), (2, true)] {
        let llama = Llama::new(seed, F32, F32, head);
        let file = compile(&llama.file, None, None).unwrap();
        let mut random = Rng(seed + 100);
        let tokens: Vec<usize> = (0..20).map(|_| random.index(TOKENS.len())).collect();
        for (count, scores) in (1..).zip(scores(&file, &tokens)) {
            let expected = textbook(&llama.weights, &tokens[..count]);
            let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            for (got, expected) in scores.iter().zip(&expected) {
                // Sums of some hundred products in f32, through two layers.
                let difference = (f64::from(*got) - expected).abs();
                assert!(difference <= 2e-5 * largest, "seed {seed}, {count} tokens: {got} instead of {expected}");
            }
        }
    }
}

/// Returns the f32 values of a stored tensor.
fn restored(kind: u32, bytes: &[u8]) -> Vec<f32> {
    let blocks = |block: BlockType| {
        let mut values = vec![0.0; block.row_len(bytes.len())];
        block::dequantize(block, bytes, &mut values);
        values
    };
    match kind {
        0 => bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect(),
        1 => bytes.as_chunks().0.iter().map(|word| half::f16::from_le_bytes(*word).to_f32()).collect(),
        3 => blocks(BlockType::Q4_1),
        _ => blocks(BlockType::Q8_0),
    }
}

#[test]
fn f16_and_block_weights_compute_the_network_that_they_store() {
    // A product with blocks also quantizes the activations to 8 bits, and one rounding here changes others later.
    for (name, matrices, embedding, tolerance) in
        [("f16", F16, F16, 2e-5), ("q8_0", Q8_0, Q8_0, 0.05), ("q4_1", Q4_1, Q8_0, 0.05)]
    {
        let mut llama = Llama::new(3, matrices, embedding, false);
        for tensor in &llama.file.tensors {
            llama.weights.insert(tensor.name.clone(), restored(tensor.kind, &tensor.bytes));
        }
        let file = compile(&llama.file, None, None).unwrap();
        let tokens = [4, 9, 14, 3, 0, 7];
        let expected = textbook(&llama.weights, &tokens);
        let got = scores(&file, &tokens).pop().unwrap();
        let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let worst = got.iter().zip(&expected).map(|(got, x)| (f64::from(*got) - x).abs()).fold(0.0, f64::max);
        assert!(worst <= tolerance * largest, "{name}: {worst} of {largest}");
    }
}

#[test]
fn weights_keep_their_bytes_and_their_names() {
    let llama = Llama::new(4, Q4_1, Q8_0, true);
    let bytes = compile(&llama.file, None, None).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for tensor in &llama.file.tensors {
        let found = file.tensor(&tensor.name).unwrap();
        // A tensor is padded to a multiple of 16 bytes.
        assert!(found.data().starts_with(&tensor.bytes), "{}", tensor.name);
    }
    // Tied weights: the embedding is stored once.
    let llama = Llama::new(4, Q4_1, Q8_0, false);
    let bytes = compile(&llama.file, None, None).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(
        file.names().iter().filter(|name| name.starts_with("token_embd") || name.starts_with("output.")).count(),
        1
    );
}

#[test]
fn the_context_is_as_requested_up_to_that_of_training() {
    let llama = Llama::new(5, F32, F32, false);
    let state = |context| {
        let bytes = compile(&llama.file, context, None).unwrap();
        Model::parse(&bytes).unwrap().state_len()
    };
    let cache = LAYERS * 2 * KV_HEADS * DEPTH * 4;
    assert_eq!(state(Some(10)), 10 * cache + 16);
    assert_eq!(state(None), TRAINED as usize * cache + 16);
    let error = compile(&llama.file, Some(TRAINED + 1), None).unwrap_err().to_string();
    assert!(error.contains("49 positions") && error.contains("at most 48"), "{error}");

    let mut long = llama.file;
    long.u32("llama.context_length", 5000);
    let bytes = compile(&long, None, None).unwrap();
    assert_eq!(Model::parse(&bytes).unwrap().state_len(), 1024 * cache + 16);
}

#[test]
fn both_versions_and_other_alignments_are_read() {
    let llama = Llama::new(6, Q8_0, Q8_0, false);
    let expected = scores(&compile(&llama.file, None, None).unwrap(), &[2, 3]);
    for (version, alignment) in [(2, 32), (3, 64), (2, 8)] {
        let file = File { version, alignment, ..llama.file.clone() };
        assert_eq!(scores(&compile(&file, None, None).unwrap(), &[2, 3]), expected);
    }
}

#[test]
fn reports_what_cannot_be_compiled() {
    type Change = fn(&mut File);
    let changes: [(&str, Change); 24] = [
        ("`general.architecture` is `mamba`; accepted: `llama`", |f| f.text("general.architecture", "mamba")),
        ("GGUF version 16777216", |f| f.version = 1u32.swap_bytes()),
        ("`llama.block_count` is missing", |f| f.metadata.retain(|(key, _, _)| key != "llama.block_count")),
        ("`llama.embedding_length` is missing or not an unsigned", |f| f.text("llama.embedding_length", "64")),
        ("`llama.block_count` is missing or not at least 1", |f| f.u32("llama.block_count", 0)),
        ("`llama.feed_forward_length` is missing or not below 65536", |f| f.u32("llama.feed_forward_length", 1 << 20)),
        ("`llama.attention.head_count`", |f| f.u32("llama.attention.head_count", 5)),
        ("`llama.rope.dimension_count` is 8; accepted: 16", |f| f.u32("llama.rope.dimension_count", 8)),
        ("`llama.expert_count` is 8; accepted: 0", |f| f.u32("llama.expert_count", 8)),
        ("`llama.rope.scaling.type` is `yarn`", |f| f.text("llama.rope.scaling.type", "yarn")),
        ("`blk.1.ffn_up.weight` is missing", |f| f.tensors.retain(|tensor| tensor.name != "blk.1.ffn_up.weight")),
        ("`blk.0.attn_q.bias` is not known", |f| {
            let mut bias = f.tensor("output_norm.weight").clone();
            bias.name = "blk.0.attn_q.bias".into();
            f.tensors.push(bias);
        }),
        ("`blk.0.attn_k.weight` is [64, 32]; by the metadata it should be [32, 64]", |f| {
            f.tensor("blk.0.attn_k.weight").shape = vec![64, 32];
        }),
        ("`output_norm.weight` is Q8_0; accepted: F32, F16", |f| {
            f.tensor("output_norm.weight").kind = 8;
            f.tensor("output_norm.weight").bytes.truncate(68);
        }),
        ("`token_embd.weight` is BF16; accepted: F32, F16, Q4_0", |f| f.tensor("token_embd.weight").kind = 30),
        ("`token_embd.weight` is one of the IQ types (code 19)", |f| f.tensor("token_embd.weight").kind = 19),
        ("`token_embd.weight` have 64 elements, not whole blocks of 256", |f| f.tensor("token_embd.weight").kind = 12),
        ("`blk.0.ffn_up.weight` occurs twice", |f| {
            let twice = f.tensor("blk.0.ffn_up.weight").clone();
            f.tensors.push(twice);
        }),
        ("the key `general.architecture` occurs twice", |f| f.metadata.push(f.metadata[0].clone())),
        ("`general.alignment` is missing or not a power of two", |f| f.u32("general.alignment", 24)),
        ("`tokenizer.ggml.model` is `llama`; accepted: `gpt2`", |f| f.text("tokenizer.ggml.model", "llama")),
        ("`tokenizer.ggml.merges` is missing or not pairs of tokens that join to a token (merge 1 is \"h x\")", |f| {
            f.texts("tokenizer.ggml.merges", &["h e", "h x"]);
        }),
        ("the list of tokens that end a text names the token 99", |f| f.u32("tokenizer.ggml.eos_token_id", 99)),
        ("a bool is neither 0 nor 1", |f| f.entry("x", 7, vec![2])),
    ];
    for (what, change) in changes {
        let mut file = Llama::new(7, F32, F32, false).file;
        change(&mut file);
        let error = compile(&file, None, None).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
    // The tokenizer and the embedding must have the same vocabulary size.
    let mut file = Llama::new(7, F32, F32, false).file;
    file.texts("tokenizer.ggml.tokens", &TOKENS[..17]);
    file.integers("tokenizer.ggml.token_type", &[1; 17]);
    let error = compile(&file, None, None).unwrap_err().to_string();
    assert!(error.contains("`token_embd.weight` is [18, 64]; by the metadata it should be [17, 64]"), "{error}");
    for bytes in [&b""[..], b"GGU", b"TFL3GGUF"] {
        let error = compile_gguf(bytes, &GgufOptions::default(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("not a GGUF file"), "{error}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let file = Llama::new(8, Q4_1, Q8_0, false).bytes();
    let tokens = file.windows(12).position(|window| window == b"output_norm.").unwrap();
    // Every length up to the end of the table of contents, and some in the tensors.
    for len in (0..tokens + 60).chain((tokens + 60..file.len()).step_by(997)) {
        assert!(compile_gguf(&file[..len], &GgufOptions::default(), &Options::default()).is_err(), "{len} bytes");
    }
}

#[test]
fn no_input_bytes_cause_a_panic() {
    let file = Llama::new(9, Q4_1, Q8_0, true).bytes();
    let contents = file.windows(12).position(|window| window == b"output_norm.").unwrap() + 100;
    let mut random = Rng(10);
    let mut refused = 0;
    for _ in 0..150 {
        let mut bytes = file.clone();
        for _ in 0..1 + random.index(4) {
            let at = random.index(contents);
            if random.index(3) == 0 {
                // Lengths and counts are 64-bit words, and their extremes are where arithmetic goes wrong.
                const WORDS: [u64; 6] = [0, 1, u64::MAX, 1 << 63, 1 << 32, u32::MAX as u64];
                bytes[at..at + 8].copy_from_slice(&WORDS[random.index(6)].to_le_bytes());
            } else {
                bytes[at] = random.index(256) as u8;
            }
        }
        refused += usize::from(compile_gguf(&bytes, &GgufOptions::default(), &Options::default()).is_err());
    }
    assert!(refused > 30, "{refused}");
}

/// Returns the scores after the last of `tokens` and after each token of `further`. The session reads all but the last
/// of `tokens` in batches of `batch`, and the others one by one.
fn scores_in_batches(
    session: &mut OwnedSession,
    batch: usize,
    tokens: &[i32],
    further: &[i32],
    budget: Budget,
) -> Vec<Vec<u32>> {
    session.reset();
    let (last, before) = tokens.split_last().unwrap();
    assert!(session.select(Plan::Batch));
    for part in before.chunks(batch) {
        // Whatever stands in the place of tokens that are not there must not matter.
        let mut filled = vec![-77; batch];
        filled[..part.len()].copy_from_slice(part);
        session.input(0).unwrap().copy_from(&filled).unwrap();
        session.input(1).unwrap().copy_from(&[part.len() as i32]).unwrap();
        while session.poll(budget).is_pending() {
            assert!(!session.select(Plan::First), "not within an inference");
        }
    }
    assert!(session.select(Plan::First));
    let read = |&token: &i32| {
        session.input(0).unwrap().copy_from(&[token]).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<f32>().unwrap().iter().map(|score| score.to_bits()).collect()
    };
    [last].into_iter().chain(further).map(read).collect()
}

#[test]
fn a_prompt_that_is_read_in_batches_leaves_the_scores_of_one_read_token_by_token() {
    const CONTEXT: usize = 11;
    for (seed, stores) in [(41, (F32, F32)), (42, (Q4_1, Q8_0)), (43, (Q8_0, Q4_1)), (44, (F16, F16))] {
        let llama = Llama::new(seed, stores.0, stores.1, seed % 2 == 0);
        let mut random = Rng(seed + 100);
        // Two more than the context: what lies behind it is dropped alike.
        let tokens: Vec<i32> = (0..CONTEXT + 2).map(|_| random.index(TOKENS.len()) as i32).collect();
        let places: Vec<usize> = tokens.iter().map(|&token| token as usize).collect();
        let one_by_one = compile(&llama.file, Some(CONTEXT as u32), Some(1)).unwrap();
        assert!(Model::parse(&one_by_one).unwrap().batch().unwrap().is_none());
        let expected: Vec<Vec<u32>> = scores(&one_by_one, &places)
            .iter()
            .map(|scores| scores.iter().map(|score| score.to_bits()).collect())
            .collect();
        for batch in [2, 3, 4, CONTEXT] {
            let file = compile(&llama.file, Some(CONTEXT as u32), Some(batch as u32)).unwrap();
            let mut session = OwnedSession::from_bytes(&file).unwrap().with_batch().unwrap();
            for len in 1..=tokens.len() {
                let (prompt, further) = tokens.split_at(len);
                for budget in [Budget::unlimited(), Budget::macs(700)] {
                    let found = scores_in_batches(&mut session, batch, prompt, further, budget);
                    assert!(found == expected[len - 1..], "seed {seed}, {len} tokens in batches of {batch}");
                }
            }
        }
    }
}

#[test]
fn a_plan_for_batches_takes_memory_for_its_activations_only_and_no_weights() {
    let llama = Llama::new(51, Q4_1, Q8_0, false);
    let sizes = |batch| {
        let file = compile(&llama.file, Some(32), Some(batch)).unwrap();
        let model = Model::parse(&file).unwrap();
        let second =
            model.batch().unwrap().map(|second| (second.arena_len(), second.state_len(), second.output_count()));
        (file.len(), model.arena_len(), model.state_len(), second)
    };
    let (single, arena, state, none) = sizes(1);
    assert_eq!(none, None);
    let (both, same_arena, same_state, second) = sizes(4);
    assert_eq!((same_arena, same_state), (arena, state));
    let (second_arena, second_state, outputs) = second.unwrap();
    assert_eq!((second_state, outputs), (state, 0));
    // Of four tokens.
    assert!(second_arena > arena && second_arena - state <= 4 * (arena - state), "{second_arena} and {arena} bytes");
    let plan = both - single;
    assert!(plan < 30_000, "{plan} bytes");
}

#[test]
fn a_batch_has_at_most_as_many_tokens_as_the_context() {
    let llama = Llama::new(52, F32, F32, false);
    for batch in [0, 9, u32::MAX] {
        let error = compile(&llama.file, Some(8), Some(batch)).unwrap_err().to_string();
        assert!(error.contains("can have from 1 to 8"), "{error}");
    }
    let file = compile(&llama.file, Some(8), None).unwrap();
    let batch = Model::parse(&file).unwrap().batch().unwrap().unwrap();
    assert_eq!(batch.input_value(0).unwrap().shape.dims(), [8]);
}

/// Where the bytes of the plan for batches are in a file.
fn batch_plan(file: &[u8]) -> std::ops::Range<usize> {
    let starts: Vec<usize> =
        (0..file.len() - 8).step_by(16).filter(|&at| file[at..].starts_with(b"TEALIGHT")).collect();
    let [_, second] = starts[..] else { panic!("{} plans", starts.len()) };
    let model = Model::parse(file).unwrap();
    let index = model.constant_names().position(|name| name == "plan.batch").unwrap();
    second..second + model.value(index).len as usize
}

#[test]
fn a_damaged_plan_for_batches_is_refused_or_runs_within_its_memory() {
    let llama = Llama::new(53, Q4_1, Q8_0, false);
    let mut file = compile(&llama.file, Some(8), Some(4)).unwrap();
    let (place, mut random) = (batch_plan(&file), Rng(54));
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..4000 {
        let (at, old) = (place.start + random.index(place.len()), file.clone());
        file[at] = match random.index(3) {
            0 => file[at] ^ (1 << random.index(8)),
            1 => file[at].wrapping_add(1),
            _ => random.index(256) as u8,
        };
        // It is no part of what the first plan needs.
        let model = Model::parse(&file).unwrap();
        match model.batch() {
            Err(_) => refused += 1,
            // Larger ones are possible, and take their time.
            Ok(Some(batch)) if batch.arena_len() < 1 << 20 && batch.cost() < 100_000_000 => {
                let mut session = OwnedSession::from_bytes(&file).unwrap().with_batch().unwrap();
                assert!(session.select(Plan::Batch));
                session.run();
                accepted += 1;
            }
            Ok(_) => {}
        }
        file = old;
    }
    assert!(refused > 2000 && accepted > 20, "{refused} refused, {accepted} accepted");
}

#[test]
fn a_plan_for_batches_with_another_state_is_refused() {
    let llama = Llama::new(55, F32, F32, false);
    let mut file = compile(&llama.file, Some(8), Some(4)).unwrap();
    let place = batch_plan(&file);
    let batch = Model::parse(&file).unwrap().batch().unwrap().unwrap();
    let counter = batch.constant_count() + batch.input_count();
    assert!(batch.value(counter).is_state());
    // The zero point of the counter: valid in itself, but not that of the first plan.
    file[place.start + 64 + 64 * counter + 40] = 1;
    let error = Model::parse(&file).unwrap().batch().unwrap_err();
    assert_eq!(error, ModelError::Value { value: counter as u16, fault: ValueFault::State });
    assert!(matches!(
        OwnedSession::from_bytes(&file).unwrap().with_batch(),
        Err(OpenError::Model(ModelError::Value { .. }))
    ));
}
