//! Every model of the operator goldens compiles.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use tealight_compiler::{Options, compile_tflite};

/// `tests/golden/ops`, from the repository's root.
fn folder() -> PathBuf {
    std::env::var_os("TEALIGHT_GOLDENS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ops")), PathBuf::from)
}

#[test]
fn every_model_of_the_operator_goldens_compiles() {
    let Ok(entries) = std::fs::read_dir(folder()) else { return };
    let mut failures = Vec::new();
    let mut compiled = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "safetensors") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (name, tensor) in file.tensors() {
            if let Some(case) = name.strip_suffix("/model") {
                match compile_tflite(tensor.data(), &Options { keep_tensor_map: true, ..Options::default() }) {
                    Ok(_) => compiled += 1,
                    Err(error) => failures.push(format!("{case}: {error}")),
                }
            }
        }
    }
    println!("{compiled} compiled");
    failures.sort();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
