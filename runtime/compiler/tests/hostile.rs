//! Compiling ends with a result, whatever the bytes are.
#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use std::path::Path;
use tealight_compiler::quantize::{Activations, Quantize, QuantizeError, Ranges, compile_float, compile_weights};
use tealight_compiler::{BlockType, CompileError, Options, compile_tflite, import_tflite};
use tealight_testing::rng::Rng;

/// The small models of the operator goldens, and `relu.tflite` beside this file.
fn models() -> Vec<Vec<u8>> {
    let mut models = vec![std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relu.tflite")).unwrap()];
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ops"));
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "safetensors")) {
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut found: Vec<_> = file.tensors().into_iter().filter(|(name, _)| name.ends_with("/model")).collect();
        found.sort_by_key(|(name, _)| name.clone());
        models.extend(found.into_iter().step_by(7).map(|(_, tensor)| tensor.data().to_vec()));
    }
    assert!(models.len() > 100, "only {} models", models.len());
    models
}

/// A copy with a few bytes or words changed.
fn damaged(model: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = model.to_vec();
    for _ in 0..1 + random.index(4) {
        let at = random.index(bytes.len());
        if random.index(3) == 0 && at + 4 <= bytes.len() {
            // Fields are aligned words, and their extremes are where arithmetic goes wrong.
            const WORDS: [i32; 8] = [0, 1, -1, 2, i32::MIN, i32::MAX, 1 << 16, 1 << 24];
            let at = at & !3;
            bytes[at..at + 4].copy_from_slice(&WORDS[random.index(8)].to_le_bytes());
            continue;
        }
        bytes[at] = match random.index(4) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ (1 << random.index(8)),
            _ => random.index(256) as u8,
        };
    }
    bytes
}

#[test]
fn damaged_models_do_not_panic() {
    let rounds: usize = std::env::var("TEALIGHT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    let seed: u64 = std::env::var("TEALIGHT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut random = Rng(seed);
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
fn damaged_float_models_do_not_panic() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/float.safetensors");
    let file = std::fs::read(path).unwrap();
    let model = safetensors::SafeTensors::deserialize(&file).unwrap().tensor("network/model").unwrap().data().to_vec();
    let mut random = Rng(11);
    let quantize = Quantize { ranges: Some(Ranges::Mse), bias_correction: Some(true), ..Quantize::default() };
    let (mut taken, mut refused) = (0usize, 0usize);
    for _ in 0..80 {
        let bytes = damaged(&model, &mut random);
        // Larger networks are only read, because running them takes long.
        let read = import_tflite(&bytes).ok();
        let read = read.filter(|network| network.tensors.iter().all(|tensor| tensor.elements() < 10_000));
        let Some(network) = read else {
            refused += 1;
            continue;
        };
        let size = network.inputs.iter().map(|&id| network.tensors[id].elements()).sum::<usize>();
        let samples: Vec<Vec<f32>> =
            (0..3).map(|_| (0..size).map(|_| random.index(2000) as f32 / 1000.0 - 1.0).collect()).collect();
        let [int8, wide] = [Activations::Int8, Activations::Int16].map(|activations| {
            let quantize = Quantize { activations, ..quantize };
            compile_float(&network, &samples, &quantize, b"", &Options::default())
        });
        let streams = [samples];
        let options = Options { quantize: Some(BlockType::Q8_0), f16: true, ..Options::default() };
        let stored = compile_weights(&network, &streams, Some(20.0), b"", &options);
        for result in [int8, wide, stored] {
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
            // The missing bytes may be padding, or part of a weight whose values are not checked.
            assert!(!matches!(result, Err(CompileError::Internal(_))), "{result:?}");
        }
        assert!(compile_tflite(&model[..model.len() / 2], &Options::default()).is_err());
    }
}

#[test]
fn reports_files_of_other_kinds() {
    for bytes in [&b""[..], b"TFL3", b"PK\x03\x04 a zip file"] {
        assert!(matches!(compile_tflite(bytes, &Options::default()), Err(CompileError::NotTflite(_))));
    }
}

/// A network of operators that are combined at random: some fit, most do not.
fn jumble(random: &mut Rng) -> tflite::Net {
    use tflite::{Field, Net, Q};
    // Operators, each with the type of its options.
    const CODES: [(i32, u8); 82] = [
        (0, 11),
        (1, 5),
        (2, 10),
        (3, 1),
        (4, 2),
        (6, 0),
        (9, 8),
        (14, 0),
        (17, 5),
        (18, 21),
        (19, 0),
        (20, 0),
        (21, 0),
        (22, 17),
        (25, 9),
        (27, 6),
        (28, 0),
        (34, 0),
        (36, 23),
        (39, 0),
        (40, 27),
        (41, 28),
        (42, 29),
        (43, 30),
        (45, 32),
        (47, 0),
        (49, 35),
        (53, 0),
        (55, 0),
        (57, 0),
        (59, 0),
        (60, 0),
        (65, 0),
        (66, 0),
        (67, 49),
        (70, 0),
        (73, 0),
        (75, 0),
        (77, 0),
        (81, 27),
        (83, 59),
        (88, 64),
        (90, 0),
        (92, 0),
        (94, 0),
        (97, 74),
        (98, 75),
        (101, 0),
        (102, 79),
        (108, 0),
        (111, 0),
        (114, 0),
        (117, 0),
        (129, 103),
        (142, 111),
        (143, 0),
        (144, 0),
        (150, 116),
        (54, 0),
        (76, 0),
        (32, 0),
        (5, 94),
        (11, 12),
        (23, 15),
        (26, 19),
        (74, 27),
        (82, 27),
        (89, 27),
        (99, 0),
        (106, 0),
        (22, 0),
        (9, 0),
        (83, 0),
        (8, 0),
        (48, 0),
        (56, 0),
        (79, 0),
        (95, 0),
        (104, 0),
        (116, 0),
        (128, 102),
        (158, 0),
    ];
    const SHAPES: [&[i32]; 14] = [
        &[],
        &[0],
        &[1],
        &[2],
        &[4],
        &[1, 4],
        &[4, 1],
        &[2, 2],
        &[1, 2, 2, 1],
        &[1, 1, 1, 4],
        &[1, 4, 4, 2],
        &[2, 0],
        &[1, 2, 2],
        &[3, 3, 1, 1, 1, 2, 1],
    ];
    let pick = |random: &mut Rng, list: &[f32]| list[random.index(list.len())];
    let mut net = Net::default();
    let count = 3 + random.index(8);
    for id in 0..count {
        let dtype =
            [tflite::I8, tflite::I8, tflite::I8, tflite::F32, tflite::F32, tflite::I32, tflite::U8, tflite::I16, 13, 4]
                [random.index(10)];
        let shape = SHAPES[random.index(SHAPES.len())];
        let scale = pick(random, &[0.5, 0.5, 0.5, 0.1, 1.0 / 256.0, 0.0, 1e-9, 1e9]);
        let zero_point = [0, 0, 3, -128, 127][random.index(5)];
        let scales = if random.index(8) == 0 {
            vec![scale; shape.last().map_or(1, |&dim| dim as usize).max(1)]
        } else {
            vec![scale]
        };
        let q = Q { zero_points: vec![zero_point; scales.len()], scales, dimension: random.index(3) as i32 };
        let tensor = net.tensor(dtype, shape, (random.index(4) > 0).then_some(q));
        let elements: i32 = shape.iter().product();
        let size = match dtype {
            tflite::F32 | tflite::I32 => 4,
            tflite::I16 => 2,
            4 => 8,
            _ => 1,
        };
        match random.index(5) {
            0 | 1 if dtype != 13 => {
                let item = [0u8, 1, 2, 3, 0xff][random.index(5)];
                let mut item = if dtype == tflite::F32 { f32::from(item).to_le_bytes().to_vec() } else { vec![item] };
                item.resize(size, if item[0] == 0xff && dtype != tflite::F32 { 0xff } else { 0 });
                net.tensors[tensor as usize].data = item.repeat(elements as usize);
            }
            2 if id < 3 => net.inputs.push(tensor),
            3 if random.index(6) == 0 => net.tensors[tensor as usize].variable = true,
            _ => {}
        }
        if random.index(10) == 0 {
            net.tensors[tensor as usize].signature =
                shape.iter().map(|&dim| if random.index(3) == 0 { -1 } else { dim }).collect();
        }
    }
    let is_free = |net: &Net, id: i32| {
        let tensor = &net.tensors[id as usize];
        tensor.data.is_empty() && !tensor.variable && !net.inputs.contains(&id)
    };
    let mut known: Vec<i32> = (0..count as i32).filter(|&id| !is_free(&net, id)).collect();
    let free: Vec<i32> = (0..count as i32).filter(|&id| is_free(&net, id)).collect();
    for output in free {
        let (code, options) = CODES[random.index(CODES.len())];
        let inputs: Vec<i32> = (0..random.index(5))
            .map(|_| if known.is_empty() || random.index(12) == 0 { -1 } else { known[random.index(known.len())] })
            .collect();
        let field = |random: &mut Rng, number: u16| match (options, number) {
            (9 | 75, 0) => (number, Field::Float(pick(random, &[1.0, 0.5, -1.0, f32::NAN, 1e20]))),
            (111, 1) => (number, Field::Text("v")),
            (1 | 2 | 5 | 49, 0) => (number, Field::Byte(random.index(2) as i8)),
            (1 | 49, 3) | (2, 4) | (5, 5) | (8 | 11 | 21 | 28 | 29, 0) => (number, Field::Byte(random.index(4) as i8)),
            (27 | 74 | 116, _) => (number, Field::Bool(true)),
            (10 | 6 | 8, 1) => (number, Field::Byte(0)),
            _ => (number, Field::Int([0, 1, 1, 2, -1, i32::MAX][random.index(6)])),
        };
        let numbers: &[u16] = match options {
            1 | 2 | 5 => &[0, 1, 2, 3],
            17 | 30 => &[],
            111 => &[1],
            32 => &[0, 1, 4],
            _ => &[0, 1],
        };
        let fields: Vec<(u16, Field)> = numbers.iter().map(|&number| field(random, number)).collect();
        let outputs = if code == 144 || code == 129 { vec![] } else { vec![output] };
        net.op(code, &inputs, &outputs, (options > 0).then_some((options, &fields[..])));
        if !outputs.is_empty() {
            known.push(output);
        }
    }
    net.outputs =
        (0..1 + random.index(2)).filter_map(|_| known.get(random.index(known.len().max(1))).copied()).collect();
    net
}

#[test]
fn random_networks_run_or_are_refused() {
    let rounds: usize = std::env::var("TEALIGHT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    let seed: u64 = std::env::var("TEALIGHT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    println!("seed {seed}");
    let mut random = Rng(seed);
    let (mut taken, mut refused) = (0usize, 0usize);
    for _ in 0..rounds * 100 {
        let net = jumble(&mut random);
        match net.run(&[]) {
            Ok(_) => taken += 1,
            Err(CompileError::Internal(what)) => panic!("{what}: {net:?}"),
            Err(error) => {
                let words = error.to_string();
                for word in ["Lookup", "rule", "attribute ", "operand "] {
                    assert!(!words.contains(word), "`{word}` in: {words}");
                }
                refused += 1;
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0);
}
