//! `tealight compile --calibrate` with data that contain outliers, and networks whose constants are outliers.
//!
//! `tests/cases/calibration` has 64 inputs from a normal distribution, some held-out inputs, and two networks with the
//! outputs of TensorFlow Lite Micro's float kernels: `plain`, and `padded` with a border of -3.4e38 before its max
//! pool.

use crate::common::Folder;
use serde_json::Value;

const COMPILE: [&str; 8] =
    ["compile", "net.tflite", "-o", "net.safetensors", "--calibrate", "inputs.npy", "--io", "float"];

/// Where the elements of `inputs.npy` start.
const ELEMENTS: usize = 128;

fn case(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/cases/calibration/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A folder with a network and its inputs; `outlier` replaces one element.
fn folder(network: &str, outlier: Option<(usize, f32)>) -> Folder {
    let folder = Folder::new();
    folder.write("net.tflite", &case(&format!("{network}.tflite")));
    folder.write("held_out.bin", &case("held_out.bin"));
    let mut inputs = case("inputs.npy");
    if let Some((element, value)) = outlier {
        inputs[ELEMENTS + 4 * element..][..4].copy_from_slice(&value.to_le_bytes());
    }
    folder.write("inputs.npy", &inputs);
    folder
}

/// Returns the signal-to-noise ratio of `net.safetensors` on the held-out inputs, in decibels.
fn held_out_snr(folder: &Folder, network: &str) -> f64 {
    folder.succeeds(&["run", "net.safetensors", "--input", "held_out.bin", "--output", "out.bin"]);
    let numbers = |bytes: Vec<u8>| -> Vec<f64> {
        bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
    };
    let (wanted, found) = (numbers(case(&format!("{network}.bin"))), numbers(folder.read("out.bin")));
    assert_eq!(wanted.len(), found.len());
    let signal: f64 = wanted.iter().map(|x| x * x).sum();
    let noise: f64 = wanted.iter().zip(&found).map(|(x, y)| (x - y).powi(2)).sum();
    10.0 * (signal / noise).log10()
}

/// Compiles with these options and returns the warnings, which both standard error and `--json` must contain.
fn warnings(folder: &Folder, options: &[&str]) -> (Vec<String>, Value) {
    let args = [&COMPILE[..], options, &["--json"]].concat();
    let outcome = folder.run(&args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    let report: Value = serde_json::from_str(&outcome.out).unwrap();
    let quantization = report["quantization"].clone();
    let listed: Vec<String> =
        quantization["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect();
    let told: Vec<&str> = outcome.err.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    assert_eq!(told, listed);
    (listed, quantization)
}

#[test]
fn does_not_warn_of_data_without_outliers() {
    for network in ["plain", "padded"] {
        let folder = folder(network, None);
        for ranges in [&[][..], &["--ranges", "minmax"], &["--ranges", "percentile"], &["--ranges", "mse"]] {
            let (warnings, report) = warnings(&folder, ranges);
            assert_eq!(warnings, Vec::<String>::new(), "{network} {ranges:?}");
            let [sum, median, worst] =
                ["snr_db", "median_snr_db", "worst_snr_db"].map(|key| report[key].as_f64().unwrap());
            assert!(sum > 30.0 && median > 30.0 && worst > 10.0 && worst <= median, "{network} {ranges:?}: {report}");
            assert!(held_out_snr(&folder, network) > 30.0, "{network} {ranges:?}");
        }
    }
}

#[test]
fn one_wrong_value_is_reported_and_does_not_set_the_range() {
    let folder = folder("plain", Some((3 * 72, 1e4)));
    for ranges in [&[][..], &["--ranges", "percentile"], &["--ranges", "mse"]] {
        let (warnings, report) = warnings(&folder, ranges);
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with("calibration sample 3 is 10000.0 at index 0 of input `"), "{warning}");
        assert!(report["median_snr_db"].as_f64().unwrap() > 30.0, "{report}");
        assert_eq!(report["worst_sample"], 3);
        assert!(held_out_snr(&folder, "plain") > 30.0, "{ranges:?}");
    }
}

#[test]
fn warns_of_a_range_set_by_an_outlier_at_any_ratio() {
    let folder = folder("plain", Some((3 * 72, 1e4)));
    let (warnings, report) = warnings(&folder, &["--ranges", "minmax"]);
    assert!(report["snr_db"].as_f64().unwrap() > 40.0 && report["median_snr_db"].as_f64().unwrap() < 3.0, "{report}");
    for part in ["calibration sample 3 is 10000.0", "same as in float for only 56.2 % of the inputs", "hardly varies"] {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:?}");
    }
    let text = folder.succeeds(&[&COMPILE[..], &["--ranges", "minmax"]].concat());
    assert!(text.contains("signal to noise 0.0 dB in the median input, ") && text.contains("41.6 dB summed"), "{text}");
}

#[test]
fn rejects_nan_with_its_position() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let folder = folder("plain", Some((3 * 72 + 5, value)));
        folder.fails(&COMPILE, &["`inputs.npy`", &format!("sample 3 is {value} at index 5")]);
    }
}

#[test]
fn a_16x8_network_is_nearer_to_the_float_one_than_an_int8_one() {
    for network in ["plain", "padded"] {
        let folder = folder(network, None);
        let snr = |quantize: &str| {
            let (warnings, report) = warnings(&folder, &["--quantize", quantize]);
            assert_eq!((warnings, report["activations"].as_str()), (Vec::new(), Some(quantize)), "{network}");
            assert_eq!(report["in_float"], serde_json::json!([]), "{network}");
            let layers = report["layers"].as_array().unwrap();
            let weights: Vec<&str> = layers.iter().filter_map(|layer| layer["weights"].as_str()).collect();
            assert!(!weights.is_empty() && weights.iter().all(|of| *of == quantize), "{report}");
            held_out_snr(&folder, network)
        };
        let [int8, wide] = ["int8", "16x8"].map(snr);
        assert!(wide > int8 + 3.0, "{network}: {wide} dB with 16x8, {int8} dB with int8");
    }
}

#[test]
fn the_ends_of_a_16x8_network_are_int16_and_every_command_takes_it() {
    let folder = folder("plain", None);
    let compile = ["compile", "net.tflite", "-o", "net.safetensors", "--calibrate", "inputs.npy", "--quantize", "16x8"];
    let text = folder.succeeds(&compile);
    assert!(text.contains("quantized to 16x8 by 64 inputs"), "{text}");
    let inspected = folder.succeeds(&["inspect", "net.safetensors"]);
    assert!(inspected.contains("I16"), "{inspected}");
    // Zeros, as int16 codes.
    let elements = case("held_out.bin").len() / 4 / (case("plain.bin").len() / 4 / outputs(&folder));
    folder.write("zeros.bin", &vec![0; 2 * elements]);
    folder.succeeds(&["run", "net.safetensors", "--input", "zeros.bin"]);
    folder.succeeds(&["report", "net.safetensors", "-o", "net.html"]);
    let targets = case("plain.bin");
    let shape = format!("({}, {})", targets.len() / 4 / outputs(&folder), outputs(&folder));
    folder.write("targets.npy", &crate::common::npy("<f4", &shape, &targets));
    let evaluated = [&compile[..], &["--evaluate", "held_out.bin", "--targets", "targets.npy"]].concat();
    let evaluation = folder.json(&evaluated)["evaluation"].clone();
    assert_eq!(evaluation["metric"], "rms_error", "{evaluation}");
    assert!(evaluation["compiled"].as_f64().unwrap() < 0.01, "{evaluation}");
}

/// The number of elements of the output of `net.safetensors`.
fn outputs(folder: &Folder) -> usize {
    let bytes = folder.read("net.safetensors");
    let model = tealight_format::Model::parse(&bytes).unwrap();
    model.value(model.output(0).unwrap()).shape.elements().unwrap() as usize
}

#[test]
fn options_that_contradict_16x8_are_refused() {
    let folder = folder("plain", None);
    let refuse = |args: &[&str], parts: &[&str]| {
        let args = [&["compile", "net.tflite", "-o", "net.safetensors"], args].concat();
        folder.program_fails(std::process::Command::new(crate::common::TEALIGHT).args(args), 2, parts);
        assert!(!folder.path("net.safetensors").exists());
    };
    let wide = ["--quantize", "16x8", "--calibrate", "inputs.npy"];
    let with = |more: &[&'static str]| [&wide[..], more].concat();
    refuse(&["--quantize", "16x8"], &["--calibrate"]);
    refuse(&with(&["--layer", "*=int4"]), &["--layer", "the weights of a 16x8 network are int8"]);
    refuse(&with(&["--layer", "*=f16"]), &["--layer", "the weights of a 16x8 network are int8"]);
    refuse(&with(&["--io", "int8"]), &["--io int8", "int16 or float"]);
    refuse(&with(&["--min-snr", "30"]), &["--min-snr"]);
    refuse(&["--quantize", "int8", "--calibrate", "inputs.npy", "--io", "int16"], &["--io int16", "int8 or float"]);
    refuse(&["--quantize", "8x16", "--calibrate", "inputs.npy"], &["accepted: none, int8, 16x8"]);
}
