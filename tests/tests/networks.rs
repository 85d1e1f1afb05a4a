//! Whole networks, tensor by tensor, give the bytes of TensorFlow Lite Micro's reference kernels.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use tealight::cost_between;
use tealight::{Budget, Model, OwnedSession, Position};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::models::{Golden, goldens, mlperf_tiny, splitmix64};
use tealight_tests::sha256;
use tealight_tests::tolerance::{Tolerance, near};

/// How far the output of a whole f32 network may be off, as a multiple of [`TOLERANCE`](tealight_tests::tolerance):
/// each layer adds to it.
const LAYERS: f32 = 4.0;

/// Checks all cases of a float network: its output and what goes into its softmax, under a tolerance.
fn check_float(id: &str, golden: &Golden, tflite: &[u8]) {
    assert_eq!(sha256(tflite), golden.sha256, "{id}: not the model that the goldens were made with");
    let options = Options { keep_tensor_map: true, ..Options::default() };
    let compiled = compile_tflite(tflite, &options).unwrap_or_else(|e| panic!("{id}: {e}"));
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap_or_else(|e| panic!("{id}: {e}"));
    let mut seed = 1;
    for (name, case) in &golden.cases {
        let input = golden.input(name).unwrap();
        assert_eq!(sha256(&input), case.input_sha256, "{id} {name}: the input");
        session.reset();
        session.input(0).unwrap().copy_from_bytes(&input).unwrap();
        session.run();
        let output = session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec();
        near(&output, &case.output, Tolerance::Tensor, LAYERS)
            .unwrap_or_else(|e| panic!("{id} {name}: the output {e}"));

        session.input(0).unwrap().copy_from_bytes(&input).unwrap();
        while session.poll(Budget::macs(splitmix64(&mut seed) % 200_000)).is_pending() {}
        assert_eq!(session.output(0).unwrap().as_slice::<f32>().unwrap(), output, "{id} {name}: polled");

        let Some(logits) = golden.logits.as_ref().map(|index| index.parse::<usize>().unwrap()) else { continue };
        let (_, value) = *compiled.tensors.iter().find(|(tensor, _)| *tensor == logits).unwrap();
        session.input(0).unwrap().copy_from_bytes(&input).unwrap();
        let mut found = Vec::new();
        while session.poll(Budget::layer()).is_pending() {
            let done = session.model().op(session.position().op - 1).output;
            if usize::from(done) == session.model().value(value).alias.map_or(value, usize::from) {
                found = session.value(value).as_slice::<f32>().unwrap().to_vec();
            }
        }
        near(&found, &case.logits, Tolerance::Tensor, LAYERS).unwrap_or_else(|e| panic!("{id} {name}: the logits {e}"));
    }
}

/// Checks all cases of a model and gives how many inner tensors were compared in each.
fn check(id: &str, golden: &Golden, tflite: &[u8]) -> usize {
    assert_eq!(sha256(tflite), golden.sha256, "{id}: not the model that the goldens were made with");
    let options = Options { keep_tensor_map: true, ..Options::default() };
    let compiled = compile_tflite(tflite, &options).unwrap_or_else(|e| panic!("{id}: {e}"));
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap_or_else(|e| panic!("{id}: {e}"));
    let model = Model::parse(&compiled.bytes).unwrap();
    let mut seed = 1;
    let mut compared = 0;
    for (name, case) in &golden.cases {
        let input = golden.input(name).unwrap();
        session.reset();
        session.input(0).unwrap().copy_from_bytes(&input).unwrap();
        session.run();
        let output = session.output(0).unwrap().as_bytes().to_vec();
        assert_eq!(sha256(&output), case.output_sha256, "{id} {name}: the output");

        // The same polled at random; no poll does more than its budget, or the one row that it must.
        session.input(0).unwrap().copy_from_bytes(&input).unwrap();
        loop {
            let (budget, before) = (splitmix64(&mut seed) % 200_000, session.position());
            let progress = session.poll(Budget::macs(budget));
            let end = Position { op: model.op_count(), row: 0, pass: 0 };
            let after = if progress.is_done() { end } else { session.position() };
            let (work, row) = (cost_between(&model, before, after), model.longest_row());
            assert!(work > 0 && work <= budget.max(row), "{id} {name}: {work} of {budget}, a row is {row}");
            if progress.is_done() {
                break;
            }
        }
        assert_eq!(session.output(0).unwrap().as_bytes(), output, "{id} {name}: polled");

        // And layer by layer: each operator's output as soon as it is there.
        session.input(0).unwrap().copy_from_bytes(&input).unwrap();
        let mut seen = Vec::new();
        for op in 0..model.op_count() {
            let progress = session.poll(Budget::layer());
            assert_eq!(progress.is_done(), op + 1 == model.op_count());
            // The value that it wrote, and what views it (after a reshape).
            let written = model.op(op).output;
            for &(index, value) in &compiled.tensors {
                let owner = model.value(value).alias.map_or(value, usize::from);
                let Some(tensor) = case.tensors.get(&index).filter(|_| owner == usize::from(written)) else { continue };
                let found = sha256(session.value(value).as_bytes());
                assert_eq!(found[..16], tensor.sha256, "{id} {name}: tensor {index}, {}", tensor.name);
                seen.push(index);
            }
        }
        if let Some(logits) = &golden.logits {
            let logits: usize = logits.parse().unwrap();
            assert!(seen.contains(&logits), "{id}: the logits, tensor {logits}, were not compared");
        }
        assert!(!seen.is_empty(), "{id}: no inner tensor was compared");
        compared = seen.len();
    }
    compared
}

#[test]
#[ignore = "needs the third-party models: `cargo xtask test` fetches them (or `cargo xtask fetch`, then `--ignored`)"]
fn packaged_networks_equal_the_reference_kernels() {
    let goldens = goldens().unwrap();
    let mut count = 0;
    for (id, golden) in goldens.iter().filter(|(_, golden)| golden.is_packaged()) {
        let path = golden.path(id).unwrap_or_else(|| panic!("{id} is not in the cache: run `cargo xtask fetch`"));
        let tflite = std::fs::read(path).unwrap();
        count += 1;
        if golden.float {
            check_float(id, golden, &tflite);
            continue;
        }
        let tensors = check(id, golden, &tflite);
        println!("{id}: {} cases, {tensors} inner tensors each", golden.cases.len());
    }
    assert!(count >= 8, "only {count} models");
}

#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_tiny_networks_equal_the_reference_kernels() {
    let mut count = 0;
    for (id, golden) in goldens().unwrap().iter().filter(|(_, golden)| !golden.is_packaged()) {
        let path =
            golden.path(id).unwrap_or_else(|| panic!("TEALIGHT_MLPERF_TINY names no folder with {}", golden.file));
        let tensors = check(id, golden, &std::fs::read(path).unwrap());
        println!("{id}: {} cases, {tensors} inner tensors each", golden.cases.len());
        count += 1;
    }
    assert!(count >= 5, "only {count} models");
}

/// The folder's own goldens: other inputs, recorded by others, with the logits.
#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_tiny_networks_equal_the_goldens_beside_them() {
    let folder = mlperf_tiny().expect("TEALIGHT_MLPERF_TINY names the folder");
    let text = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    let models: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let bytes = |json: &serde_json::Value| -> Vec<i8> {
        json.as_array().unwrap().iter().map(|x| x.as_i64().unwrap() as i8).collect()
    };
    assert!(models.len() >= 5, "only {} models", models.len());
    for (name, golden) in &models {
        let tflite = std::fs::read(folder.join(format!("{name}.tflite"))).unwrap();
        let compiled = compile_tflite(&tflite, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
        assert_eq!(Model::parse(&compiled.bytes).unwrap().macs(), golden["macs"].as_u64().unwrap(), "{name}: MACs");
        let cases = golden["cases"].as_array().unwrap();
        assert!(!cases.is_empty(), "{name} has no cases");
        for case in cases {
            let input = case["input"].as_str().unwrap();
            session.reset();
            session
                .input(0)
                .unwrap()
                .copy_from_bytes(&std::fs::read(folder.join(format!("inputs/{name}.{input}.bin"))).unwrap())
                .unwrap();
            let mut logits = Vec::new();
            while session.poll(Budget::layer()).is_pending() {
                let done = session.model().op(session.position().op - 1);
                logits = session.value(done.output.into()).as_slice::<i8>().unwrap().to_vec();
            }
            assert_eq!(
                session.output(0).unwrap().as_slice::<i8>().unwrap(),
                bytes(&case["output_i8"]),
                "{name} {input}"
            );
            if case.get("logits_i8").is_some() {
                assert_eq!(logits, bytes(&case["logits_i8"]), "{name} {input}: the logits");
            }
        }
    }
}
