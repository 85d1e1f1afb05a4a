//! Files from elsewhere that were once taken wrongly, or refused without a reason that helps: `cases/NAME`, each with
//! `model.tflite`, and `inputN.bin` and `expected.bin` where there is a right answer.
#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use std::path::PathBuf;
use tealight_compiler::{Options, compile_tflite};
use tealight_format::Model;

fn file(case: &str, name: &str) -> Option<Vec<u8>> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "cases", case, name].iter().collect();
    std::fs::read(path).ok()
}

fn model(case: &str) -> Vec<u8> {
    file(case, "model.tflite").unwrap()
}

fn error(case: &str) -> String {
    compile_tflite(&model(case), &Options::default()).unwrap_err().to_string()
}

#[test]
fn networks_compute_what_they_state() {
    // The first one's `expected.bin` rounds halves to even, all arithmetic here away from zero: they are a step apart
    // there.
    for (case, steps) in [
        ("average_pool_different_scales", 1),
        ("concat_different_scales", 0),
        ("dilated_conv1d_f32", 0),
        // Around the image, TensorFlow Lite Micro adds the code 0, which is not a real zero here.
        ("dilated_conv1d_i8", 0),
        ("dynamic_batch_flatten", 0),
        ("fc_bias_own_scale", 0),
        ("input_scale_zero", 0),
        ("split_v_empty_part", 0),
        ("transpose_conv_int8", 0),
    ] {
        let inputs: Vec<Vec<u8>> = (0..).map_while(|k| file(case, &format!("input{k}.bin"))).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let outputs = tflite::run(&model(case), &inputs).unwrap_or_else(|error| panic!("{case}: {error}"));
        let (found, wanted) = (outputs.concat(), file(case, "expected.bin").unwrap());
        assert_eq!(found.len(), wanted.len(), "{case}");
        let apart = |(found, wanted): (&u8, &u8)| found.cast_signed().abs_diff(wanted.cast_signed());
        let worst = found.iter().zip(&wanted).map(apart).max().unwrap();
        assert!(worst <= steps, "{case}: {found:?} instead of {wanted:?}");
    }
}

/// `expected.bin` is the oracle's output for each byte of `input0.bin`.
#[test]
fn accepts_64_bit_numbers_aligned_to_4_bytes() {
    let (model, inputs) = (model("unaligned_zero_point"), file("unaligned_zero_point", "input0.bin").unwrap());
    let outputs: Vec<u8> =
        inputs.iter().flat_map(|&input| tflite::run(&model, &[&[input]]).unwrap().concat()).collect();
    assert_eq!(outputs, file("unaligned_zero_point", "expected.bin").unwrap());
}

/// Its slopes are 0.1 and 0.2, along the last of its dimensions [1, 2, 2, 2].
#[test]
fn prelu_multiplies_what_is_below_0_by_its_channels_slope() {
    let bytes = |elements: [f32; 8]| elements.map(f32::to_le_bytes).concat();
    let outputs = tflite::run(&model("prelu"), &[&bytes([-1.0, -1.0, 3.0, -4.0, 0.0, 5.0, -2.0, 0.5])]).unwrap();
    assert_eq!(outputs.concat(), bytes([-0.1, -0.2, 3.0, -0.8, 0.0, 5.0, -0.2, 0.5]));
}

#[test]
fn errors_report_what_where_and_what_to_do() {
    let cases: [(&str, &[&str]); 5] = [
        ("dynamic_length_relu", &["dimension 1 of tensor `x` [1, -1] is dynamic", "export it with fixed input shapes"]),
        ("message_relu_wrong_shape", &["node 0 (RELU)", "`t1` int8[1, 5]", "`t0` int8[1, 4]"]),
        ("message_transpose_twice", &["node 0 (TRANSPOSE): its permutation [1, 1, 0]", "`t0` int8[2, 3, 4]"]),
        ("softmax_beta_nan", &["node 0 (SOFTMAX): its beta is NaN"]),
        ("damaged_variable", &["node 1 (VAR_HANDLE): tensor `t2` is float32; accepted: resource"]),
    ];
    for (case, parts) in cases {
        let error = error(case);
        for part in parts {
            assert!(error.contains(part), "{case}: no `{part}` in: {error}");
        }
        // Two lines of a terminal of 120 columns are left for what is accepted.
        let accepted = error.split_once("accepted: ").map_or("", |(_, accepted)| accepted);
        assert!(accepted.len() <= 2 * 120, "{case}: {accepted}");
    }
}

/// `expected.bin` is computed with the weights as float32, and may differ in the last bits.
#[test]
fn int8_weights_for_float32_activations_stay_int8_and_are_noted() {
    let compiled = compile_tflite(&model("hybrid_fc"), &Options::default()).unwrap();
    let [note] = &compiled.report.notes[..] else { panic!("{:?}", compiled.report.notes) };
    assert!(note.contains("dynamic-range quantization") && note.contains("--calibrate"), "{note}");
    let [line] = &compiled.report.quantized[..] else { panic!("{:?}", compiled.report.quantized) };
    assert!(line.contains(": i8, "), "{line}");
    let parsed = Model::parse(&compiled.bytes).unwrap();
    assert!(parsed.op_set().has_i8_weights());
    let outputs = tflite::run(&model("hybrid_fc"), &[&file("hybrid_fc", "input0.bin").unwrap()]).unwrap().concat();
    let floats = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<_>>();
    let (found, wanted) = (floats(&outputs), floats(&file("hybrid_fc", "expected.bin").unwrap()));
    assert_eq!((found.len(), wanted.len()), (4, 4));
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 1e-5, "{found} instead of {wanted}");
    }
}

#[test]
fn a_dynamic_batch_is_taken_as_1_and_noted() {
    let compiled = compile_tflite(&model("dynamic_batch_flatten"), &Options::default()).unwrap();
    assert_eq!(compiled.report.notes, ["the batch of `t0` [-1, 3, 3, 2] is dynamic; compiled for a batch of 1"]);
}
