//! Compiles the MLPerf Tiny models, which are in no package: `TEALIGHT_MLPERF_TINY` names their folder.
#![allow(clippy::unwrap_used)]

use tealight_compiler::{Compiled, Options, Patch, compile_tflite};
use tealight_format::Model;

fn compiled(name: &str) -> Compiled {
    let folder = std::env::var("TEALIGHT_MLPERF_TINY").expect("TEALIGHT_MLPERF_TINY names the folder");
    let path = format!("{folder}/{name}.tflite");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    compile_tflite(&bytes, &Options { keep_tensor_map: true, ..Options::default() }).unwrap()
}

/// (model, maximum live bytes without overlap, nominal multiply-accumulate operations), both computed from the source
/// files.
const MODELS: [(&str, u32, u64); 5] = [
    ("kws", 16_000, 2_656_768),
    ("vww", 55_296, 7_489_664),
    ("ic", 49_152, 12_501_632),
    ("ad", 768, 264_192),
    ("sww", 6_656, 826_368),
];

#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_models_compile_and_need_at_most_the_memory_of_live_tensors() {
    for (name, live, macs) in MODELS {
        let compiled = compiled(name);
        let report = &compiled.report;
        assert_eq!((report.lower_bound, report.macs), (live, macs), "{name}");
        assert!(report.arena_len <= live, "{name} needs {}", report.arena_len);
        assert_eq!(Model::parse(&compiled.bytes).unwrap().arena_len(), report.arena_len as usize);
    }
}

#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_overlapping_outputs_with_inputs_saves_at_least_a_quarter() {
    for name in ["kws", "vww", "ic", "sww"] {
        let compiled = compiled(name);
        let report = &compiled.report;
        assert!(report.overlaps > 0);
        assert!(4 * report.arena_len <= 3 * report.lower_bound, "{name} needs {}", report.arena_len);
    }
}

#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_images_in_groups_need_little_more_memory_than_their_input_or_last_layers() {
    let path = |name: &str| format!("{}/{name}.tflite", std::env::var("TEALIGHT_MLPERF_TINY").unwrap());
    // vww's input is 27,648 bytes, and ic's last residual block without groups 22,528.
    for (name, most) in [("vww", 30_720), ("ic", 24_576)] {
        let options = Options { patch: Patch::Auto, ..Options::default() };
        let compiled = compile_tflite(&std::fs::read(path(name)).unwrap(), &options).unwrap();
        assert!(compiled.report.arena_len <= most, "{name} needs {}", compiled.report.arena_len);
    }
}

#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_models_compile_to_the_same_bytes_each_time() {
    for (name, ..) in MODELS {
        assert_eq!(compiled(name).bytes, compiled(name).bytes, "{name}");
    }
}

#[test]
#[ignore = "needs the models of MLPerf Tiny: TEALIGHT_MLPERF_TINY names their folder"]
fn mlperf_activations_of_the_source_are_each_a_value_with_its_shape() {
    let compiled = compiled("kws");
    let model = Model::parse(&compiled.bytes).unwrap();
    // Input, nine layers, the pooled tensor and its view, logits, probabilities.
    let shapes: Vec<_> = compiled.tensors.iter().map(|&(_, value)| model.value(value).shape).collect();
    assert_eq!(shapes.iter().filter(|shape| shape.dims() == [1, 25, 5, 64]).count(), 9);
    assert_eq!(shapes.iter().filter(|shape| shape.dims() == [1, 64]).count(), 1);
    assert_eq!(shapes.iter().filter(|shape| shape.dims() == [1, 12]).count(), 2);
}
