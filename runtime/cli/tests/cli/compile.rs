//! `tealight compile`: what it writes, and that it leaves nothing behind when it fails.

use crate::common::{Folder, npy, text, with_operator, with_small_files};
use std::process::Command;
use tealight::Model;
use tealight_tests::ops::float_networks;

const COMPILE: [&str; 4] = ["compile", "net.tflite", "-o", "net.safetensors"];

#[test]
fn the_file_is_a_model_with_the_name_and_labels_given() {
    let (folder, _) = Folder::golden("softmax.000");
    folder.write("labels.txt", "zero\none\n\"two\"\nthree\n4\n5\n6\n7\n8\nnine, ü\n".as_bytes());
    folder.succeeds(&[&COMPILE[..], &["--labels", "labels.txt", "--name", "digits \\ 1"]].concat());
    let bytes = folder.read("net.safetensors");
    safetensors::SafeTensors::deserialize(&bytes).unwrap();
    Model::parse(&bytes).unwrap();
    let report = folder.json(&["inspect", "net.safetensors"]);
    assert_eq!(report["name"], "digits \\ 1");
    assert_eq!(report["labels"][2], "\"two\"");
    assert_eq!(report["labels"][9], "nine, ü");
}

#[test]
fn the_report_agrees_with_the_file() {
    let (folder, _) = Folder::golden("conv2d.000");
    let report = folder.json(&COMPILE);
    let bytes = folder.read("net.safetensors");
    let model = Model::parse(&bytes).unwrap();
    assert_eq!(report["name"], "net");
    assert_eq!(report["output"], "net.safetensors");
    assert_eq!(report["file_bytes"], bytes.len());
    assert_eq!(report["arena_bytes"], model.arena_len());
    assert_eq!(report["operators"], 1);
    assert_eq!(report["macs"], 36 * 4 * 27);
    assert!(report["arena_bytes"].as_u64() <= report["greedy_by_size_bytes"].as_u64());
    assert!(!report["passes"].as_array().unwrap().is_empty());
    let text = folder.succeeds(&COMPILE);
    for part in ["net: 1 operator, 3,888 MACs", "greedy by size", "lower bound", "wrote net.safetensors"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn a_new_file_has_default_permissions() {
    let (folder, _) = Folder::compiled("softmax.000");
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().permissions();
    assert_eq!(mode("net.safetensors"), mode("net.tflite"));
}

#[test]
fn rejects_files_that_are_not_networks() {
    let (folder, case) = Folder::golden("conv2d.000");
    folder.write("net.tflite", b"this is not a network, it is a line of text");
    folder.fails(&COMPILE, &["cannot compile `net.tflite`", "not a TensorFlow Lite file"]);
    folder.write("net.tflite", b"");
    folder.fails(&COMPILE, &["`net.tflite`", "it is empty"]);
    folder.write("net.tflite", &case.model[..case.model.len() / 2]);
    folder.fails(&COMPILE, &["cannot compile `net.tflite`"]);
    folder.fails(&["compile", "none.tflite", "-o", "x"], &["`none.tflite`", "No such file"]);
    folder.fails(&["compile", ".", "-o", "x"], &["`.`", "it is a folder"]);
    folder.write("net.tflite", b"\x08\x08\x12\x07pytorch:\x02\x0a\0");
    folder.fails(&COMPILE, &["cannot compile `net.tflite`", "version 0 of ONNX's operators"]);
    folder.write("saved_model.pb", b"\x08\x01\x12\x00");
    folder.fails(&["compile", ".", "-o", "x"], &["a folder with a TensorFlow SavedModel", "from_saved_model"]);
}

#[test]
fn notes_how_the_network_was_read() {
    let (folder, _) = Folder::golden("conv2d.000");
    assert!(!folder.succeeds(&COMPILE).contains("note: "));
    let model = include_bytes!("../../../compiler/tests/cases/dynamic_batch_flatten/model.tflite");
    folder.write("net.tflite", model);
    let note = "the batch of `t0` [-1, 3, 3, 2] is dynamic; compiled for a batch of 1";
    assert!(folder.succeeds(&COMPILE).contains(&format!("note: {note}\n")));
    assert_eq!(folder.json(&COMPILE)["notes"], serde_json::json!([note]));
}

#[test]
fn the_help_lists_the_supported_operators() {
    let help = Folder::new().succeeds(&["compile", "--help"]);
    for part in ["DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "READ_VARIABLE"] {
        assert!(help.contains(part), "no `{part}` in {help}");
    }
}

#[test]
fn truncation_anywhere_is_refused() {
    let (folder, case) = Folder::golden("softmax.000");
    for len in (0..case.model.len()).step_by(29) {
        folder.write("net.tflite", &case.model[..len]);
        folder.fails(&COMPILE, &["`net.tflite`"]);
    }
}

#[test]
fn reports_an_unsupported_operator_with_its_node() {
    const EXP: u8 = 47;
    let (folder, case) = Folder::golden("conv2d.000");
    folder.write("net.tflite", &with_operator(&case.model, EXP));
    folder.fails(&COMPILE, &["cannot compile `net.tflite`", "node 0", "EXP"]);
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let (folder, _) = Folder::golden("softmax.000");
    let args = [&COMPILE[..], &["--labels", "labels.txt"]].concat();
    folder.fails(&args, &["`labels.txt`", "No such file"]);
    folder.write("labels.txt", b"only\ntwo\n");
    folder.fails(&args, &["2 labels", "10 scores"]);
    folder.write("labels.txt", b"\n\n");
    folder.fails(&args, &["it is empty"]);
    folder.write("labels.txt", b"a\nb\xff\n");
    folder.fails(&args, &["UTF-8"]);
    folder.write("labels.txt", b"a\nb\tc\n");
    folder.fails(&args, &["line 2", "control character"]);
}

#[test]
fn reports_a_target_that_cannot_be_written() {
    let (folder, _) = Folder::golden("softmax.000");
    let to = |target: &str, parts: &[&str]| folder.fails(&["compile", "net.tflite", "-o", target], parts);
    to("none/x.safetensors", &["`none/x.safetensors`", "No such file", "make it first"]);
    to("net.tflite/x.safetensors", &["`net.tflite/x.safetensors`", "Not a directory"]);
    to(".", &["`.`", "it is a folder"]);
    to("net.tflite", &["is also an input"]);
}

#[cfg(target_os = "linux")]
#[test]
fn reports_a_folder_without_write_permission() {
    let (folder, _) = Folder::golden("softmax.000");
    folder.fails(&["compile", "net.tflite", "-o", "/proc/x.safetensors"], &["`/proc/x.safetensors`"]);
    folder.fails(&["compile", "net.tflite", "-o", "/dev/full"], &["`/dev/full`", "No space left"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file_unchanged() {
    let (folder, _) = Folder::golden("fusing.000");
    folder.program_fails(
        &mut with_small_files(&COMPILE),
        1,
        &["`net.safetensors`", "File too large", "nothing was left"],
    );
    folder.write("net.safetensors", b"the model before");
    folder.program_fails(&mut with_small_files(&COMPILE), 1, &["`net.safetensors`"]);
    assert_eq!(folder.read("net.safetensors"), b"the model before");
}

#[test]
fn a_usage_error_is_exit_code_2() {
    let (folder, _) = Folder::golden("softmax.000");
    for args in
        [&[][..], &["compile"], &["compile", "net.tflite"], &["decompile"], &["compile", "a", "-o", "b", "--top"]]
    {
        folder.program_fails(Command::new(crate::common::TEALIGHT).args(args), 2, &["Usage"]);
    }
}

#[test]
fn a_path_outside_the_folder_works_the_same() {
    let (folder, _) = Folder::golden("softmax.000");
    let elsewhere = Folder::new();
    let (input, output) = (folder.path("net.tflite"), folder.path("net.safetensors"));
    elsewhere.succeeds(&["compile", text(&input), "-o", text(&output)]);
    assert!(output.is_file());
}

/// Networks that gain from it are in the tests of the compiler.
#[test]
fn a_network_without_layers_to_run_in_passes_is_the_same_with_patch() {
    let folder = Folder::new();
    folder.write("net.tflite", &float_network().0);
    let report = folder.json(&COMPILE);
    let patched = folder.json(&["compile", "net.tflite", "-o", "auto.safetensors", "--patch", "auto", "--name", "net"]);
    assert_eq!((patched.get("groups"), &patched["arena_bytes"]), (None, &report["arena_bytes"]));
    assert_eq!(folder.read("net.safetensors"), folder.read("auto.safetensors"));
    let often = ["compile", "net.tflite", "-o", "x", "--patch", "often"];
    let mut command = Command::new(crate::common::TEALIGHT);
    folder.program_fails(command.args(often), 2, &["off, auto, or an arena length"]);
}

#[test]
fn an_input_in_rows_changes_no_output_of_any_command() {
    let folder = Folder::new();
    let (model, inputs) = float_network();
    folder.write("net.tflite", &model);
    folder.write("inputs.bin", &inputs);
    // The float network first, then an int8 one, whose outputs are compared with those.
    let int8 = ["--calibrate", "inputs.bin", "--evaluate", "inputs.bin", "--targets", "targets.npy"];
    for kind in [&[][..], &int8] {
        let compile = |output, more: &[&str]| {
            let command = ["compile", "net.tflite", "-o", output, "--name", "net"];
            folder.json(&[&command[..], kind, more].concat())
        };
        let whole = compile("whole.safetensors", &[]);
        let rows = compile("rows.safetensors", &["--input-rows"]);
        let [held, height] = [0, 1].map(|i| rows["input_rows"][i].as_u64().unwrap());
        assert!(held < height, "{rows}");
        assert_eq!(
            (rows.get("evaluation"), rows.get("evaluation").is_some()),
            (whole.get("evaluation"), !kind.is_empty())
        );
        let outputs = ["whole.safetensors", "rows.safetensors"].map(|model| {
            folder.succeeds(&["run", model, "--input", "inputs.bin", "--output", "out.bin"]);
            folder.read("out.bin")
        });
        assert_eq!(outputs[0], outputs[1]);
        folder.write("targets.npy", &npy("<f4", &format!("(4, {})", outputs[0].len() / 16), &outputs[0]));
        let inspected = folder.json(&["inspect", "rows.safetensors", "--slice", "20000"]);
        assert_eq!(inspected["input_rows"], rows["input_rows"]);
        assert!(inspected["slices"]["calls"].as_u64() > Some(1), "{}", inspected["slices"]);
        assert!(folder.succeeds(&["inspect", "rows.safetensors"]).contains("in memory at a time"));
    }
    std::fs::create_dir(folder.path("inputs")).unwrap();
    folder.write("inputs/all.bin", &inputs);
    folder.succeeds(&["report", "rows.safetensors", "-o", "report.html", "--inputs", "inputs"]);
    let (other, _) = Folder::golden("fully_connected.003");
    let command = ["compile", "net.tflite", "-o", "x.safetensors", "--input-rows"];
    other.fails(&command, &["cannot come in rows"]);
}

#[test]
fn a_target_is_a_core_or_a_board_and_lays_out_weights() {
    let (folder, _) = Folder::golden("fully_connected.003");
    for (target, paired) in [("cortex-m4f", true), ("nucleo-f446re", true), ("Cortex-M0+", false), ("microbit", false)]
    {
        folder.succeeds(&["compile", "net.tflite", "-o", "net.safetensors", "--target", target]);
        let text = folder.succeeds(&["inspect", "net.safetensors"]);
        assert_eq!(text.contains("in pairs"), paired, "{target}: {text}");
    }
    let mut command = Command::new(crate::common::TEALIGHT);
    let unknown = ["compile", "net.tflite", "-o", "x", "--target", "Z80"];
    folder.program_fails(command.args(unknown), 2, &["no core and no board `Z80`", "Cortex-M4F", "microbit"]);
}

#[test]
fn inspect_shows_which_operators_run_together() {
    let folder = Folder::new();
    folder.write("group.safetensors", include_bytes!("../../../../tests/fuzz/seeds/group.safetensors"));
    let group = &folder.json(&["inspect", "group.safetensors"])["groups"][0];
    assert!(group["passes"].as_u64().unwrap() > 1 && group["last"].as_u64() > group["first"].as_u64(), "{group}");
    let text = folder.succeeds(&["inspect", "group.safetensors"]);
    assert!(text.contains("run together, in passes"), "{text}");
}

/// A float network of the goldens, and its inputs in a row.
fn float_network() -> (Vec<u8>, Vec<u8>) {
    let case = float_networks().remove("network").unwrap();
    let inputs = case.steps.iter().flat_map(|step| step.inputs[0].clone()).collect();
    (case.model, inputs)
}

#[test]
fn a_float_network_is_quantized_by_given_inputs() {
    let folder = Folder::new();
    let (model, inputs) = float_network();
    folder.write("net.tflite", &model);
    folder.write("inputs.bin", &inputs);
    let report = folder.json(&["compile", "net.tflite", "-o", "net.safetensors", "--calibrate", "inputs.bin"]);
    let quantization = &report["quantization"];
    assert_eq!(quantization["samples"], 4);
    assert!(quantization["snr_db"].as_f64().unwrap() > 20.0, "{quantization}");
    assert!(quantization["layers"].as_array().unwrap().len() > 5);
    let text = folder.succeeds(&["compile", "net.tflite", "-o", "net2.safetensors", "--calibrate", "inputs.bin"]);
    assert!(text.contains("quantized to int8 by 4 inputs") && text.contains("DepthwiseConv2d"), "{text}");
    assert_eq!(folder.read("net.safetensors"), folder.read("net2.safetensors"));
    folder.write("zeros.bin", &[0; 11 * 8 * 3]);
    folder.succeeds(&["run", "net.safetensors", "--input", "zeros.bin"]);
}

#[test]
fn bad_calibration_data_is_reported_and_leaves_no_file() {
    let folder = Folder::new();
    let (model, inputs) = float_network();
    folder.write("net.tflite", &model);
    let mut nan = inputs.clone();
    nan[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
    let one = inputs.len() / 4;
    for (bytes, what) in [
        (&inputs[..one - 4], "data.bin"),
        (&[], "data.bin"),
        (&nan, "sample 0 is NaN at index 10"),
        (&vec![0; one], "constant: every number of `t0` is 0"),
    ] {
        folder.write("data.bin", bytes);
        let outcome = folder.run(&["compile", "net.tflite", "-o", "net.safetensors", "--calibrate", "data.bin"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.err);
        assert!(outcome.err.contains(what), "{}", outcome.err);
        assert!(!folder.path("net.safetensors").exists());
    }
    let outcome = folder.run(&["compile", "net.tflite", "-o", "net.safetensors", "--quantize", "int8"]);
    assert!(outcome.code == Some(2) && outcome.err.contains("--calibrate"), "{}", outcome.err);
    assert!(!folder.path("net.safetensors").exists());
}

const CALIBRATE: [&str; 6] = ["compile", "net.tflite", "-o", "net.safetensors", "--quantize", "int8"];

#[test]
fn a_folder_of_inputs_calibrates_like_one_file() {
    let folder = Folder::new();
    let (model, inputs) = float_network();
    folder.write("net.tflite", &model);
    folder.write("inputs.bin", &inputs);
    std::fs::create_dir(folder.path("inputs")).unwrap();
    let (first, rest) = inputs.split_at(inputs.len() / 4);
    folder.write("inputs/a.bin", first);
    folder.write("inputs/b.bin", rest);
    folder.write("inputs/notes.txt", b"not an input");
    folder.succeeds(&[&CALIBRATE[..], &["--calibrate", "inputs.bin"]].concat());
    let one = folder.read("net.safetensors");
    folder.succeeds(&[&CALIBRATE[..], &["--calibrate", "inputs"]].concat());
    assert!(folder.read("net.safetensors") == one);
    std::fs::create_dir(folder.path("none")).unwrap();
    folder.fails(&[&CALIBRATE[..], &["--calibrate", "none"]].concat(), &["the data is empty", "`none`"]);
    folder.write("inputs/c.bin", &[0xff; 3]);
    folder.fails(&[&CALIBRATE[..], &["--calibrate", "inputs"]].concat(), &["inputs/c.bin", "3 B"]);
}

#[test]
fn ranges_and_io_types_are_as_requested() {
    let folder = Folder::new();
    let (model, inputs) = float_network();
    folder.write("net.tflite", &model);
    folder.write("inputs.bin", &inputs);
    let calibrate = [&CALIBRATE[..], &["--calibrate", "inputs.bin"]].concat();
    for (how, name) in [("minmax", "min/max"), ("percentile", "percentile 99.99"), ("mse", "least squared error")] {
        let report = folder.json(&[&calibrate[..], &["--ranges", how]].concat());
        assert_eq!(report["quantization"]["ranges"], name);
        assert_eq!(report["quantization"]["trials"].as_array().unwrap().len(), 4);
    }
    let dtypes = |args: &[&str]| {
        folder.succeeds(&[&calibrate[..], args].concat());
        let bytes = folder.read("net.safetensors");
        let model = Model::parse(&bytes).unwrap();
        [model.value(model.input(0).unwrap()).dtype.name(), model.value(model.output(0).unwrap()).dtype.name()]
    };
    assert_eq!(dtypes(&[]), ["I8", "I8"]);
    assert_eq!(dtypes(&["--io", "float"]), ["F32", "F32"]);
    // Options of calibration require it.
    for args in [["--ranges", "mse"], ["--io", "float"]] {
        let args = [&COMPILE[..], &args].concat();
        folder.program_fails(Command::new(crate::common::TEALIGHT).args(args), 2, &["--calibrate"]);
    }
}

#[test]
fn rejects_calibration_of_an_int8_network() {
    let (folder, _) = Folder::golden("conv2d.000");
    folder.write("inputs.bin", &[0; 64]);
    let args = [&CALIBRATE[..], &["--calibrate", "inputs.bin"]].concat();
    folder.fails(&args, &["cannot compile `net.tflite`", "quantized already", "leave out --calibrate"]);
}

#[test]
fn an_array_of_another_shape_or_type_does_not_calibrate() {
    let folder = Folder::new();
    let (model, _) = float_network();
    folder.write("net.tflite", &model);
    let npy = |descr: &str, shape: &str, len: usize| {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        header.push_str(&" ".repeat(117 - header.len()));
        [b"\x93NUMPY\x01\0\x76\0".as_slice(), header.as_bytes(), b"\n", &vec![0; len]].concat()
    };
    let args = [&CALIBRATE[..], &["--calibrate", "inputs.npy"]].concat();
    folder.write("inputs.npy", &npy("<f4", "(2, 5)", 40));
    folder.fails(&args, &["inputs.npy", "found shape [2, 5]"]);
    folder.write("inputs.npy", &npy("<f8", "(2, 5)", 80));
    folder.fails(&args, &["inputs.npy", "found type '<f8'"]);
}

#[test]
fn float_layers_are_stored_in_blocks_and_reported() {
    // 64 inputs are two blocks of 32, but not one of 256.
    let (folder, _) = Folder::golden("fully_connected_f32.006");
    let plain = folder.json(&COMPILE);
    assert!(plain.get("quantized").is_none());
    let report = folder.json(&[&COMPILE[..], &["--quantize", "q8_0"]].concat());
    assert!(report["quantized"][0].as_str().unwrap().contains("q8_0, 2560 B to 680 B"), "{report}");
    assert!(report["constant_bytes"].as_u64() < plain["constant_bytes"].as_u64());
    assert_eq!(folder.json(&["inspect", "net.safetensors"])["layers"][0]["function"], "q8_0");
    let report = folder.json(&[&COMPILE[..], &["--quantize", "f16"]].concat());
    assert!(report["quantized"][0].as_str().unwrap().contains("f16, 2560 B to 1280 B"), "{report}");
    let inspected = folder.json(&["inspect", "net.safetensors"]);
    assert_eq!(inspected["layers"][0]["function"], "f16");
    assert_eq!(inspected["layers"][0]["inputs"][1]["dtype"], "F16");
    assert!(folder.succeeds(&["inspect", "net.safetensors"]).contains("FullyConnectedF32 f16"));
    let text = folder.succeeds(&[&COMPILE[..], &["--quantize", "q4k"]].concat());
    assert!(text.contains("float32, its 64 inputs are not whole blocks of 256"), "{text}");
    let outcome = folder.run(&[&COMPILE[..], &["--quantize", "q9"]].concat());
    assert!(outcome.code == Some(2) && outcome.err.contains("q8_0"), "{}", outcome.err);
}

const DYNAMIC: &[u8] = include_bytes!("../../../compiler/tests/cases/dynamic_length_relu/model.tflite");

#[test]
fn a_given_shape_fixes_a_dynamic_length() {
    let folder = Folder::new();
    folder.write("net.tflite", DYNAMIC);
    folder.fails(&COMPILE, &["is dynamic", "--input-shape NAME="]);
    folder.succeeds(&[&COMPILE[..], &["--input-shape", "x=1,7"]].concat());
    let bytes = folder.read("net.safetensors");
    assert_eq!(Model::parse(&bytes).unwrap().input_value(0).unwrap().shape.dims(), [1, 7]);
    let wrong = |args: &[&str], parts: &[&str]| {
        std::fs::remove_file(folder.path("net.safetensors")).ok();
        folder.fails(&[&COMPILE[..], args].concat(), parts);
    };
    wrong(&["--input-shape", "w=1,7"], &["no input `w`; it has `x`"]);
    wrong(&["--input-shape", "x=7"], &["the shape given for the input `x` does not fit"]);
    wrong(&["--output-name", "none"], &["no computed tensor `none`; it has"]);
    wrong(&["--input-value", "x=@none.npy"], &["cannot read the value `none.npy`"]);
    wrong(&["--input-value", "x=1e39"], &["the value given for the input `x` does not fit", "is no float32"]);
}

#[test]
fn a_signature_chooses_one_of_several_networks() {
    use tealight_testing::tflite::{F32, File, NONE, RELU};
    let mut file = File::default();
    for (k, length) in [2, 3].into_iter().enumerate() {
        let (x, y) = (file.tensor("x", F32, &[1, length], NONE), file.tensor("y", F32, &[1, length], NONE));
        file.node(RELU, &[x], &[y], None);
        (file.inputs, file.outputs) = (vec![x], vec![y]);
        if k == 0 {
            file.end_graph();
        }
    }
    file.signature("encode", 0, &[("image", 0)], &[("code", 1)]);
    file.signature("decode", 1, &[("code", 0)], &[("image", 1)]);
    let folder = Folder::new();
    folder.write("net.tflite", &file.bytes());
    folder.fails(&COMPILE, &["several signatures", "`encode`, `decode`", "--signature NAME"]);
    folder.fails(&[&COMPILE[..], &["--signature", "train"]].concat(), &["no signature `train`; it has `encode`"]);
    for (signature, length) in [("encode", 2), ("decode", 3)] {
        folder.succeeds(&[&COMPILE[..], &["--signature", signature]].concat());
        let bytes = folder.read("net.safetensors");
        assert_eq!(Model::parse(&bytes).unwrap().input_value(0).unwrap().shape.dims(), [1, length]);
    }
    // The held-out inputs are for the chosen network, too.
    let npy = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3), }";
    let header = format!("{npy:<117}\n");
    let inputs = [b"\x93NUMPY\x01\0v\0", header.as_bytes(), &[1f32, -2.0, 3.0].map(f32::to_le_bytes).concat()].concat();
    folder.write("inputs.npy", &inputs);
    let evaluate = ["--signature", "decode", "--evaluate", "inputs.npy", "--targets", "inputs.npy"];
    let report = folder.json(&[&COMPILE[..], &evaluate].concat());
    assert_eq!(report["evaluation"]["samples"], 1, "{report}");
}

#[test]
fn a_check_tells_whether_a_network_compiles_and_writes_nothing() {
    let (folder, _) = Folder::golden("conv2d.000");
    let before = folder.contents();
    assert_eq!(folder.succeeds(&["compile", "--check", "net.tflite"]), "`net.tflite` compiles\n");
    let report = folder.json(&["compile", "--check", "net.tflite"]);
    assert_eq!(report, serde_json::json!({"input": "net.tflite", "compiles": true, "reasons": []}));
    assert!(folder.contents() == before);
    folder.write("net.tflite", DYNAMIC);
    let outcome = folder.run(&["compile", "--check", "net.tflite", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((outcome.code, &report["compiles"]), (Some(1), &serde_json::json!(false)));
    assert!(report["reasons"][0]["reason"].as_str().unwrap().contains("is dynamic"), "{report}");
    assert!(outcome.err.contains("`net.tflite` does not compile"), "{}", outcome.err);
    for args in [&["compile", "--check", "net.tflite", "-o", "x"][..], &["compile", "net.tflite"]] {
        folder.program_fails(Command::new(crate::common::TEALIGHT).args(args), 2, &[]);
    }
}

#[test]
fn options_of_networks_are_refused_for_a_language_model() {
    let folder = Folder::new();
    folder.write("net.gguf", &[b"GGUF".as_slice(), &3u32.to_le_bytes(), &[0; 16]].concat());
    let options = [("--input-shape", "x=1"), ("--input-value", "x=1"), ("--output-name", "x"), ("--signature", "x")];
    for (option, value) in options {
        let mut command = Command::new(crate::common::TEALIGHT);
        command.args(["compile", "net.gguf", "-o", "x", option, value]);
        folder.program_fails(&mut command, 2, &[option, "cannot be used with `net.gguf`"]);
    }
}

#[test]
fn int8_weights_of_float_layers_stay_int8_unless_another_type_is_selected() {
    let (folder, _) = Folder::golden("softmax.000");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../compiler/tests/cases/hybrid_fc/model.tflite");
    folder.write("net.tflite", &std::fs::read(source).unwrap());
    let report = folder.json(&COMPILE);
    assert!(report["quantized"][0].as_str().unwrap().contains(": i8, "), "{report}");
    let inspected = folder.json(&["inspect", "net.safetensors"]);
    let layer = &inspected["layers"][0];
    assert_eq!(layer["function"], "i8");
    assert_eq!((&layer["inputs"][1]["dtype"], &layer["inputs"][2]["dtype"]), (&"I8".into(), &"F32".into()));
    assert!(layer["inputs"][2]["name"].as_str().unwrap().ends_with(".channels"), "{layer}");
    assert!(folder.succeeds(&["inspect", "net.safetensors"]).contains("FullyConnectedF32 i8"));
    for (options, dtype) in [(["--quantize", "f16"], "F16"), (["--layer", "*=f32"], "F32")] {
        let other = folder.json(&[&COMPILE[..], &options].concat());
        assert!(report["constant_bytes"].as_u64() <= other["constant_bytes"].as_u64(), "{other}");
        assert_eq!(folder.json(&["inspect", "net.safetensors"])["layers"][0]["inputs"][1]["dtype"], dtype);
    }
}
