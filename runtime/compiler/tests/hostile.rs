//! Whatever the bytes, compiling ends with a result.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use tealight_compiler::quantize::{Quantize, QuantizeError, Ranges, compile_float, compile_weights};
use tealight_compiler::{BlockType, CompileError, Options, compile_tflite, import_tflite};

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n
    }
}

/// The small models of the operator goldens, and `relu.tflite` beside this file.
fn models() -> Vec<Vec<u8>> {
    let mut models = vec![std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relu.tflite")).unwrap()];
    let folder = std::env::var("TEALIGHT_GOLDENS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ops").to_string());
    let mut paths: Vec<_> = std::fs::read_dir(Path::new(&folder))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "safetensors")) {
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut found: Vec<_> = file.tensors().into_iter().filter(|(name, _)| name.ends_with("/model")).collect();
        found.sort_by_key(|(name, _)| name.clone());
        models.extend(found.into_iter().step_by(7).map(|(_, tensor)| tensor.data().to_vec()));
    }
    models
}

/// A copy with a few bytes or words changed.
fn damaged(model: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = model.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        if random.below(3) == 0 && at + 4 <= bytes.len() {
            // Fields are aligned words, and their extremes are where arithmetic goes wrong.
            const WORDS: [i32; 8] = [0, 1, -1, 2, i32::MIN, i32::MAX, 1 << 16, 1 << 24];
            let at = at & !3;
            bytes[at..at + 4].copy_from_slice(&WORDS[random.below(8)].to_le_bytes());
            continue;
        }
        bytes[at] = match random.below(4) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ (1 << random.below(8)),
            _ => random.below(256) as u8,
        };
    }
    bytes
}

#[test]
fn damaged_models_give_a_result_not_a_panic() {
    let rounds: usize = std::env::var("TEALIGHT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    let seed: u64 = std::env::var("TEALIGHT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut random = Random(seed);
    let (mut taken, mut refused) = (0usize, 0usize);
    for model in models() {
        for _ in 0..rounds {
            let bytes = damaged(&model, &mut random);
            match compile_tflite(&bytes, &Options::default()) {
                Ok(_) => taken += 1,
                Err(CompileError::Internal(what)) => panic!("{what}"),
                Err(_) => refused += 1,
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0);
}

#[test]
fn damaged_float_models_give_a_result_not_a_panic() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/float.safetensors");
    let file = std::fs::read(path).unwrap();
    let model = safetensors::SafeTensors::deserialize(&file).unwrap().tensor("network/model").unwrap().data().to_vec();
    let mut random = Random(11);
    let quantize = Quantize { ranges: Some(Ranges::Mse), bias_correction: Some(true), ..Quantize::default() };
    let (mut taken, mut refused) = (0usize, 0usize);
    for _ in 0..80 {
        let bytes = damaged(&model, &mut random);
        // Larger ones are only read: running them takes long.
        let read = import_tflite(&bytes).ok();
        let read = read.filter(|network| network.tensors.iter().all(|tensor| tensor.elements() < 10_000));
        let Some(network) = read else {
            refused += 1;
            continue;
        };
        let size = network.inputs.iter().map(|&id| network.tensors[id].elements()).sum::<usize>();
        let samples: Vec<Vec<f32>> =
            (0..3).map(|_| (0..size).map(|_| random.below(2000) as f32 / 1000.0 - 1.0).collect()).collect();
        let int8 = compile_float(&network, &samples, &quantize, b"", &Options::default());
        let streams = [samples];
        let options = Options { quantize: Some(BlockType::Q8_0), f16: true, ..Options::default() };
        let stored = compile_weights(&network, &streams, Some(20.0), b"", &options);
        for result in [int8, stored] {
            match result {
                Ok(_) => taken += 1,
                Err(QuantizeError::Compile(CompileError::Internal(what))) => panic!("{what}"),
                Err(_) => refused += 1,
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0);
}

#[test]
fn cut_off_models_are_refused() {
    for model in models().iter().take(20) {
        for len in (0..model.len()).step_by(13) {
            let result = compile_tflite(&model[..len], &Options::default());
            // What is cut off may be padding or bytes of a weight that nothing checks.
            assert!(!matches!(result, Err(CompileError::Internal(_))), "{result:?}");
        }
        assert!(compile_tflite(&model[..model.len() / 2], &Options::default()).is_err());
    }
}

#[test]
fn other_files_are_named_as_such() {
    for bytes in [&b""[..], b"TFL3", b"PK\x03\x04 a zip file"] {
        assert!(matches!(compile_tflite(bytes, &Options::default()), Err(CompileError::NotTflite(_))));
    }
}
