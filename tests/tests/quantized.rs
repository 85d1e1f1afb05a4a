//! A float network of a third party, quantized here, stays near itself.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::OwnedSession;
use tealight_compiler::quantize::{Quantize, compile_float, import_float};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::models::goldens;

/// The least signal-to-noise ratio of the logits, in decibels: their errors have less than a fiftieth of their size.
const LEAST_SNR_DB: f64 = 35.0;

#[test]
#[ignore = "needs the third-party models: `cargo xtask test` fetches them (or `cargo xtask fetch`, then `--ignored`)"]
fn a_float_classifier_quantized_here_gives_nearly_its_float_outputs() {
    let id = "rock_paper_scissors_f32";
    let goldens = goldens().unwrap();
    let golden = &goldens[id];
    let path = golden.path(id).unwrap_or_else(|| panic!("{id} is not in the cache: run `cargo xtask fetch`"));
    let tflite = std::fs::read(path).unwrap();
    let inputs: Vec<Vec<f32>> = (100..124)
        .map(|seed| {
            let bytes = golden.input(&format!("rng{seed}")).unwrap();
            let numbers: Vec<f32> =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            // Noise of many contrasts, so that not all samples look alike to the network.
            let mean = numbers.iter().sum::<f32>() / numbers.len() as f32;
            let contrast = (seed % 8 + 1) as f32 / 8.0;
            numbers.iter().map(|number| mean + (number - mean) * contrast).collect()
        })
        .collect();
    // Half of them calibrate, the other half is held out.
    let (calibration, held_out) = inputs.split_at(inputs.len() / 2);
    let network = import_float(&tflite, &Options::default()).unwrap();
    let quantize = Quantize { float_io: true, ..Quantize::default() };
    let (compiled, report) = compile_float(&network, calibration, &quantize, &tflite, &Options::default()).unwrap();
    assert!(report.snr_db >= LEAST_SNR_DB, "{} dB", report.snr_db);
    assert!(report.layers.iter().all(|layer| layer.snr_db > 25.0), "{report:#?}");
    let float = compile_tflite(&tflite, &Options::default()).unwrap();
    assert!(compiled.bytes.len() * 3 < float.bytes.len(), "{} of {}", compiled.bytes.len(), float.bytes.len());

    let [mut int8, mut float] = [&compiled.bytes, &float.bytes].map(|bytes| OwnedSession::from_bytes(bytes).unwrap());

    for input in held_out {
        for session in [&mut int8, &mut float] {
            session.input(0).unwrap().copy_from(input).unwrap();
            session.run();
        }
        for (found, wanted) in int8
            .output(0)
            .unwrap()
            .as_slice::<f32>()
            .unwrap()
            .iter()
            .zip(float.output(0).unwrap().as_slice::<f32>().unwrap())
        {
            assert!((found - wanted).abs() < 0.06, "probability {found} instead of {wanted}");
        }
    }
}
