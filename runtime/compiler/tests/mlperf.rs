//! The MLPerf Tiny models, where they are at hand.
#![allow(clippy::unwrap_used)]

use tealight_compiler::{Options, compile_tflite};

#[test]
fn mlperf_models_compile() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/models/mlperf-tiny");
    for name in ["kws", "vww", "ic", "ad", "sww"] {
        let Ok(bytes) = std::fs::read(format!("{folder}/{name}.tflite")) else { continue };
        let compiled = compile_tflite(&bytes, &Options::default()).unwrap();
        println!("{name}: {:?}", compiled.report);
    }
}
