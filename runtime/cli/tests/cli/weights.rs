//! `tealight compile` with weights stored layer by layer, and its report on each type.

use crate::common::{Folder, TEALIGHT};
use std::process::Command;

const COMPILE: [&str; 4] = ["compile", "net.tflite", "-o", "net.safetensors"];

/// One fully connected layer of 64 inputs, with several inputs in `inputs.bin`, and its name.
fn layer() -> (Folder, String) {
    let (folder, _) = Folder::golden("fully_connected_f32.006");
    let one = folder.read("0.bin");
    let other: Vec<u8> = one.chunks(4).rev().flatten().copied().collect();
    folder.write("inputs.bin", &[one, other].concat());
    let outcome = folder.run(&[&COMPILE[..], &["--layer", "nobody=q8_0"]].concat());
    assert_eq!(outcome.code, Some(1), "{}", outcome.err);
    assert!(outcome.err.contains("no layer is called `nobody`"), "{}", outcome.err);
    let name = outcome.err.lines().find_map(|line| line.rsplit_once("otherwise: ")).unwrap().1.to_string();
    (folder, name)
}

#[test]
fn a_layer_gets_the_requested_type() {
    let (folder, name) = layer();
    let of = |args: &[&str]| {
        folder.succeeds(&[&COMPILE[..], args].concat());
        folder.json(&["inspect", "net.safetensors"])["layers"][0]["function"].clone()
    };
    let (q4, f32) = (format!("{name}=q4_0"), format!("{name}=f32"));
    assert_eq!(of(&["--layer", &q4]), "q4_0");
    assert_eq!(of(&["--quantize", "q8_0", "--layer", &q4]), "q4_0");
    assert_eq!(of(&["--quantize", "q8_0", "--layer", "*=q4_0", "--layer", &f32]), serde_json::Value::Null);
    // A pattern applies only to the layers that can have the type.
    assert_eq!(of(&["--layer", "*=q4k"]), serde_json::Value::Null);
    folder.fails(
        &[&COMPILE[..], &["--layer", &format!("{name}=q4k")]].concat(),
        &[&name, "cannot be q4k", "not whole blocks of 256"],
    );
}

#[test]
fn rejects_layer_types_in_an_int8_network() {
    let (folder, name) = layer();
    let wish = format!("{name}=q8_0");
    let refuse = |args: &[&str], part: &str| {
        let args = [&COMPILE[..], &["--calibrate", "inputs.bin"], args].concat();
        folder.program_fails(Command::new(TEALIGHT).args(args), 2, &[part]);
    };
    refuse(&["--layer", &wish], "the weights of an int8 network are int8 or int4");
    refuse(&["--quantize", "int8", "--layer", &wish], "the weights of an int8 network are int8 or int4");
    refuse(&["--quantize", "q8_0", "--ranges", "mse"], "--ranges");
    refuse(&["--quantize", "f16", "--io", "float"], "--io");
    refuse(&["--quantize", "q8_0", "--min-snr", "30"], "--min-snr");
    refuse(&["--min-snr", "much"], "decibels");
    refuse(&["--layer", "q8_0"], "NAME=TYPE");
    let args = [&COMPILE[..], &["--min-snr", "30"]].concat();
    folder.program_fails(Command::new(TEALIGHT).args(args), 2, &["--calibrate"]);
}

#[test]
fn reports_the_cost_of_each_type_in_a_table_and_in_json() {
    let (folder, name) = layer();
    let args = [&COMPILE[..], &["--quantize", "q8_0", "--calibrate", "inputs.bin"]].concat();
    let report = folder.json(&args);
    let layer = &report["quantization"]["layers"][0];
    assert_eq!((layer["name"].as_str(), layer["weights"].as_str()), (Some(name.as_str()), Some("q8_0")));
    let choices = layer["choices"].as_array().unwrap();
    let choice = |of: &str| choices.iter().find(|choice| choice["weights"] == of).unwrap();
    assert!(choice("f32")["snr_db"].is_null());
    let [f16, q8, q4, int8] = ["f16", "q8_0", "q4_0", "int8"].map(|of| {
        let choice = choice(of);
        (choice["bytes"].as_u64().unwrap(), choice["snr_db"].as_f64().unwrap(), choice["worst"].as_f64().unwrap())
    });
    assert!(f16.0 > q8.0 && q8.0 > q4.0 && int8.0 < f16.0, "{choices:?}");
    assert!(f16.1 > q8.1 && q8.1 > q4.1 && q4.1 > 5.0 && int8.1 > 20.0, "{choices:?}");
    assert!(f16.2 < q8.2 && q8.2 < q4.2, "{choices:?}");
    // The network consists of this one layer.
    assert_eq!(report["quantization"]["snr_db"].as_f64(), Some(q8.1));
    assert!(report["quantization"]["ranges"].is_null());
    assert!(report["quantized"][0].as_str().unwrap().contains("q8_0"));
    let text = folder.succeeds(&args);
    for part in ["measured by 2 inputs", "the cost of each type for a layer alone", "q4_0", &format!("{:.1} dB", q8.1)]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Nothing is stored in another type, but the costs are reported.
    let args = [&COMPILE[..], &["--quantize", "none", "--calibrate", "inputs.bin"]].concat();
    let report = folder.json(&args);
    assert_eq!(report["quantization"]["layers"][0]["weights"], "f32");
    assert!(report["quantization"]["snr_db"].is_null());
}

#[test]
fn chooses_the_smallest_type_that_keeps_the_ratio() {
    let (folder, _) = layer();
    let taken = |min_snr: &str| {
        let report = folder.json(&[&COMPILE[..], &["--calibrate", "inputs.bin", "--min-snr", min_snr]].concat());
        let layer = report["quantization"]["layers"][0].clone();
        let snr = layer["snr_db"].as_f64().unwrap_or(f64::INFINITY);
        assert!(snr >= min_snr.parse().unwrap(), "{layer}");
        layer["bytes"].as_u64().unwrap()
    };
    let [coarse, fine, exact] = ["10", "35", "1000"].map(taken);
    assert!(coarse < fine && fine < exact, "{coarse}, {fine}, {exact}");
}
