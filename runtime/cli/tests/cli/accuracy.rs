//! `tealight compile --evaluate`.

use crate::common::{Folder, TEALIGHT};
use std::process::Command;
use tealight_tests::ops::float_networks;

const COMPILE: [&str; 4] = ["compile", "net.tflite", "-o", "net.safetensors"];
const EVALUATE: [&str; 4] = ["--evaluate", "inputs.bin", "--targets", "targets.npy"];

fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(117 - header.len()));
    [b"\x93NUMPY\x01\0\x76\0".as_slice(), header.as_bytes(), b"\n", elements].concat()
}

/// The float network of the goldens with four inputs, the class of each, and the outputs of the reference kernels.
fn network() -> (Folder, Vec<u8>, Vec<u8>) {
    let folder = Folder::new();
    let case = float_networks().remove("network").unwrap();
    folder.write("net.tflite", &case.model);
    folder.write("inputs.bin", &case.steps.iter().flat_map(|step| step.inputs[0].clone()).collect::<Vec<u8>>());
    let outputs: Vec<Vec<f32>> = case.steps.iter().map(|step| floats(&step.outputs[0])).collect();
    let class = |output: &Vec<f32>| {
        let highest = output.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        output.iter().position(|&x| x == highest).unwrap() as u8
    };
    let classes = outputs.iter().map(class).collect();
    (folder, classes, outputs.iter().flatten().flat_map(|x| x.to_le_bytes()).collect())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn reports_the_accuracy_before_and_after() {
    let (folder, classes, _) = network();
    folder.write("targets.npy", &npy("|u1", "(4,)", &classes));
    let args = [&COMPILE[..], &EVALUATE, &["--calibrate", "inputs.bin"]].concat();
    let report = &folder.json(&args)["evaluation"];
    assert_eq!((&report["metric"], &report["samples"]), (&"accuracy".into(), &4.into()));
    assert_eq!((report["float"].as_f64(), report["compiled"].as_f64()), (Some(1.0), Some(1.0)));
    // One of the four targets is changed to another class, in NumPy's default integer type.
    let mut wrong: Vec<u64> = classes.iter().copied().map(u64::from).collect();
    wrong[2] = (wrong[2] + 1) % 5;
    let bytes: Vec<u8> = wrong.iter().flat_map(|class| class.to_le_bytes()).collect();
    folder.write("targets.npy", &npy("<i8", "(4,)", &bytes));
    assert_eq!(folder.json(&args)["evaluation"]["float"].as_f64(), Some(0.75));
    let text = folder.succeeds(&args);
    assert!(text.contains("right: 75.00 % in float, 75.00 % compiled, of 4 held-out inputs"), "{text}");
}

#[test]
fn reports_the_error_for_targets_that_are_not_classes() {
    let (folder, _, outputs) = network();
    folder.write("targets.npy", &npy("<f4", "(4, 5)", &outputs));
    let report = &folder.json(&[&COMPILE[..], &EVALUATE, &["--calibrate", "inputs.bin"]].concat())["evaluation"];
    assert_eq!(report["metric"], "rms_error");
    let [float, compiled, worst] = ["float", "compiled", "compiled_worst"].map(|key| report[key].as_f64().unwrap());
    assert!(float < 1e-5 && compiled > float && compiled < 0.03 && worst >= compiled, "{report}");
    // The same in Fortran order.
    let (numbers, _) = outputs.as_chunks::<4>();
    let across: Vec<u8> = (0..20).flat_map(|i| numbers[i % 4 * 5 + i / 4]).collect();
    let mut fortran = npy("<f4", "(4, 5)", &across);
    let at = fortran.windows(5).position(|window| window == b"False").unwrap();
    fortran[at..at + 5].copy_from_slice(b"True ");
    folder.write("targets.npy", &fortran);
    assert_eq!(&folder.json(&[&COMPILE[..], &EVALUATE, &["--calibrate", "inputs.bin"]].concat())["evaluation"], report);
    folder.write("targets.npy", &npy("<f4", "(4, 5)", &outputs));
    let text = folder.succeeds(&[&COMPILE[..], &EVALUATE].concat());
    assert!(text.contains("root mean squared error") && text.contains("4 held-out inputs"), "{text}");
}

#[test]
fn evaluates_an_int8_network() {
    let (folder, case) = Folder::golden("softmax.000");
    folder.write("inputs.bin", &case.steps[0].inputs[0]);
    let output: Vec<i8> = case.steps[0].outputs[0].iter().map(|byte| byte.cast_signed()).collect();
    folder.succeeds(&COMPILE);
    let bytes = folder.read("net.safetensors");
    let model = tealight_format::Model::parse(&bytes).unwrap();
    let shape = model.value(model.output(0).unwrap()).shape;
    let real: Vec<u8> = output.iter().flat_map(|&q| ((f32::from(q) + 128.0) / 256.0).to_le_bytes()).collect();
    let dims: Vec<String> = shape.dims().iter().map(u32::to_string).collect();
    folder.write("targets.npy", &npy("<f4", &format!("(1, {})", dims.join(", ")), &real));
    let report = &folder.json(&[&COMPILE[..], &EVALUATE].concat())["evaluation"];
    assert!(report["float"].is_null());
    assert!(report["compiled"].as_f64().unwrap() < 1e-6, "{report}");
}

#[test]
fn inputs_and_targets_that_do_not_fit_are_reported_and_leave_no_file() {
    let (folder, classes, outputs) = network();
    let args = [&COMPILE[..], &EVALUATE].concat();
    for (targets, parts) in [
        (npy("|u1", "(3,)", &classes[..3]), ["4 inputs", "3 targets"]),
        (npy("|u1", "(4,)", &[0, 5, 0, 0]), ["target 1 is class 5", "5 scores"]),
        (npy("|i1", "(4,)", &[0, 0xff, 0, 0]), ["target 1 is class -1", "count from 0"]),
        (npy("<f4", "(4, 4)", &outputs[..64]), ["target 0 has 4 numbers", "the output has 5"]),
        (npy("<f4", "(4, 5)", &outputs[..76]), ["shape [4, 5]", "19 elements"]),
        (npy("<f4", "(4, 5)", &[f32::NAN.to_le_bytes(); 20].concat()), ["element 0 is NaN", "targets.npy"]),
        (npy("<c8", "(4,)", &[0; 32]), ["'<c8'", "targets.npy"]),
        (npy("|u1", "(0,)", &[]), ["it is empty", "targets.npy"]),
        (b"no array".to_vec(), ["magic", "targets.npy"]),
    ] {
        folder.write("targets.npy", &targets);
        folder.fails(&args, &parts);
    }
    folder.write("targets.npy", &npy("|u1", "(4,)", &classes));
    let inputs = folder.read("inputs.bin");
    let mut nan = inputs.clone();
    nan[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("inputs.bin", &nan);
    folder.fails(&args, &["`inputs.bin`", "sample 0 is NaN at index 2"]);
    folder.write("inputs.bin", &inputs[..inputs.len() - 4]);
    folder.fails(&args, &["inputs.bin", "does not fit the network's input"]);
    for alone in [&EVALUATE[..2], &EVALUATE[2..]] {
        let args = [&COMPILE[..], alone].concat();
        folder.program_fails(Command::new(TEALIGHT).args(args), 2, &["--evaluate", "--targets"]);
    }
}
