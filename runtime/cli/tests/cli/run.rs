//! `tealight run`: the golden bytes from every kind of file, and the cases that it refuses.

use crate::common::{Folder, npy, with_operator, with_small_files};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
#[cfg(feature = "candle")]
use tealight_tests::tolerance::{Tolerance, floats, near};

#[test]
fn outputs_are_the_golden_bytes_from_both_kinds_of_model() {
    let (folder, case) = Folder::compiled("conv2d.000");
    for model in ["net.tflite", "net.safetensors"] {
        folder.succeeds(&["run", model, "--input", "0.bin", "--output", "out.bin"]);
        assert_eq!(folder.read("out.bin"), case.steps[0].outputs[0], "{model}");
    }
}

#[test]
fn inputs_and_outputs_are_in_order() {
    let (folder, case) = Folder::compiled("concatenation.000");
    folder.succeeds(&["run", "net.safetensors", "-i", "0.bin", "-i", "1.bin", "-o", "out.bin"]);
    assert_eq!(folder.read("out.bin"), case.steps[0].outputs[0]);

    let (folder, case) = Folder::compiled("split.000");
    folder.write("two.bin", &case.steps[0].inputs[0].repeat(2));
    folder.succeeds(&["run", "net.safetensors", "-i", "two.bin", "-o", "out.bin"]);
    assert_eq!(folder.read("out.bin"), case.steps[0].outputs.concat().repeat(2));
}

#[test]
fn a_stream_keeps_the_state_from_one_inference_to_the_next() {
    let (folder, case) = Folder::compiled("variables.000");
    assert!(case.steps.len() > 2);
    let inputs: Vec<u8> = case.steps.iter().flat_map(|step| step.inputs[0].clone()).collect();
    let outputs: Vec<u8> = case.steps.iter().flat_map(|step| step.outputs[0].clone()).collect();
    folder.write("stream.bin", &inputs);
    folder.succeeds(&["run", "net.safetensors", "-i", "stream.bin", "-o", "out.bin"]);
    assert_eq!(folder.read("out.bin"), outputs);
    // Without state, every inference would begin like the first.
    let first = &case.steps[0].outputs[0];
    assert!(outputs.chunks_exact(first.len()).any(|output| output != first));
    let report = folder.json(&["run", "net.safetensors", "-i", "stream.bin"]);
    assert_eq!(report["inferences"], case.steps.len());
    assert_eq!(report["results"].as_array().unwrap().len(), case.steps.len());
}

#[test]
fn arrays_are_read_and_written() {
    let (folder, case) = Folder::compiled("conv2d.000");
    let (input, output) = (&case.steps[0].inputs[0], &case.steps[0].outputs[0]);
    folder.write("in.npy", &npy("|i1", "(1, 6, 6, 3)", input));
    folder.succeeds(&["run", "net.safetensors", "-i", "in.npy", "-o", "out.npy"]);
    assert_eq!(folder.read("out.npy"), npy("|i1", "(1, 6, 6, 4)", output));
    folder.write("in.npy", &npy("|i1", "(2, 6, 6, 3)", &input.repeat(2)));
    folder.succeeds(&["run", "net.safetensors", "-i", "in.npy", "-o", "out.npy"]);
    assert_eq!(folder.read("out.npy"), npy("|i1", "(2, 6, 6, 4)", &output.repeat(2)));
}

#[test]
fn the_highest_scores_are_shown_with_their_labels() {
    let (folder, case) = Folder::golden("softmax.000");
    let labels: Vec<_> = (0..10).map(|i| format!("digit {i}")).collect();
    folder.write("labels.txt", labels.join("\n").as_bytes());
    folder.succeeds(&["compile", "net.tflite", "-o", "net.safetensors", "--labels", "labels.txt"]);
    let output: Vec<i8> = case.steps[0].outputs[0].iter().map(|byte| *byte as i8).collect();
    let best = (0..10).rev().max_by_key(|i| output[*i]).unwrap();
    // Softmax has the scale 1/256 and the zero point -128.
    let value = (f64::from(output[best]) + 128.0) / 256.0;
    let report = folder.json(&["run", "net.safetensors", "-i", "0.bin", "--top", "3"]);
    let scores = report["results"][0][0].as_array().unwrap();
    assert_eq!(scores.len(), 3);
    assert_eq!(scores[0]["index"], best);
    assert_eq!(scores[0]["label"], format!("digit {best}"));
    assert_eq!(scores[0]["value"], value);
    assert_eq!(scores[0]["raw"], f64::from(output[best]));
    let text = folder.succeeds(&["run", "net.safetensors", "-i", "0.bin", "--top", "3"]);
    let first = text.lines().next().unwrap();
    assert!(first.contains(&format!("digit {best}")) && first.contains(&format!("{value:.4}")), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn inputs_of_another_size_are_refused_with_what_was_expected_and_found() {
    let (folder, case) = Folder::compiled("conv2d.000");
    let run = |parts: &[&str]| folder.fails(&["run", "net.safetensors", "-i", "0.bin", "-o", "out.bin"], parts);
    folder.write("0.bin", &case.steps[0].inputs[0][1..]);
    run(&["`0.bin`", "107 B", "108 B", "input 0", "I8", "[1, 6, 6, 3]"]);
    folder.write("0.bin", b"");
    run(&["`0.bin`", "holds nothing", "108 B"]);
    std::fs::remove_file(folder.path("0.bin")).unwrap();
    run(&["`0.bin`", "No such file"]);
    std::fs::create_dir(folder.path("folder.bin")).unwrap();
    folder.fails(&["run", "net.safetensors", "-i", "folder.bin"], &["`folder.bin`", "the data is empty"]);
}

#[test]
fn arrays_of_another_type_or_shape_are_refused() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let refused = |bytes: &[u8], parts: &[&str]| {
        folder.write("in.npy", bytes);
        folder.fails(&["run", "net.safetensors", "-i", "in.npy"], parts);
    };
    refused(&npy("<f4", "(1, 6, 6, 3)", &[0; 432]), &["`in.npy`", "'|i1' [1, 6, 6, 3]", "found type '<f4'"]);
    refused(&npy("|u1", "(1, 6, 6, 3)", &[0; 108]), &["found type '|u1'"]);
    refused(&npy("|i1", "(1, 3, 6, 6)", &[0; 108]), &["expected '|i1' [1, 6, 6, 3]", "found shape [1, 3, 6, 6]"]);
    refused(&npy("|i1", "(1, 6, 6, 3)", &[0; 107]), &["does not match the 107 B"]);
    refused(b"\x93NUMPY", &["cannot read `in.npy`", "ends within"]);
    refused(b"no array at all", &["cannot read `in.npy`", "magic"]);
}

#[test]
fn rejects_another_number_or_length_of_input_files() {
    let (folder, case) = Folder::compiled("concatenation.000");
    folder.fails(&["run", "net.safetensors", "-i", "0.bin"], &["has 2 inputs", "1 input file"]);
    folder.write("0.bin", &case.steps[0].inputs[0].repeat(3));
    folder.fails(
        &["run", "net.safetensors", "-i", "0.bin", "-i", "1.bin"],
        &["different lengths", "`0.bin` holds 3", "`1.bin` holds 1"],
    );
}

#[test]
fn rejects_files_that_are_not_models() {
    let (folder, case) = Folder::compiled("conv2d.000");
    let good = folder.read("net.safetensors");
    let refused = |bytes: &[u8], parts: &[&str]| {
        folder.write("net.safetensors", bytes);
        for args in [&["run", "net.safetensors", "-i", "0.bin", "-o", "out.bin"][..], &["inspect", "net.safetensors"]] {
            folder.fails(args, &[&["`net.safetensors`"], parts].concat());
        }
    };
    refused(b"this is not a model", &["not a valid model", "at byte"]);
    refused(b"", &["it is empty"]);
    refused(b"{}", &["not a valid model"]);
    for len in (1..good.len()).step_by(97) {
        refused(&good[..len], &["not a valid model"]);
    }
    refused(&[&good[..], &[0; 16]].concat(), &["not a valid model"]);
    let plan = good.windows(8).position(|window| window == b"TEALIGHT").unwrap();
    let mut other = good.clone();
    other[plan + 8] = 1;
    refused(&other, &["format version 1,", "compile it again with this version's `tealight compile`"]);
    other[plan + 8] = 99;
    refused(&other, &["format version 99,", "update Tealight"]);
    let mut damaged = good;
    damaged[plan + 28] ^= 0x10;
    refused(&damaged, &["not a valid model", "arena"]);
    // A file written by another program.
    let mut header = r#"{"other":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}"#.to_string();
    header.push_str(&" ".repeat(72 - header.len()));
    let other = [&72u64.to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat();
    safetensors::SafeTensors::deserialize(&other).unwrap();
    refused(&other, &["not a valid model", "a safetensors file with weights", "first tensor"]);
    refused(b"\x89PNG\r\n\x1a\n", &["not a valid model", "it is a PNG picture", "give a .tflite"]);
    refused(b"\x08\x08\x12\x07pytorch:\x02\x0a\0", &["cannot compile", "operators"]);

    folder.write("net.tflite", &with_operator(&case.model, 47));
    folder.fails(&["run", "net.tflite", "-i", "0.bin"], &["cannot compile `net.tflite`", "EXP"]);
    folder.fails(&["run", "none.safetensors", "-i", "0.bin"], &["`none.safetensors`", "No such file"]);
    folder.fails(&["run", ".", "-i", "0.bin"], &["`.`", "it is a folder"]);
}

#[test]
fn reports_an_output_that_cannot_be_written() {
    let (folder, _) = Folder::compiled("split.000");
    let to =
        |target: &str, parts: &[&str]| folder.fails(&["run", "net.safetensors", "-i", "0.bin", "-o", target], parts);
    to("none/out.bin", &["`none/out.bin`", "No such file"]);
    to("0.bin/out.bin", &["`0.bin/out.bin`", "Not a directory"]);
    to(".", &["it is a folder"]);
    to("0.bin", &["is also an input"]);
    to("net.safetensors", &["is also an input"]);
    to("out.npy", &["2 outputs", ".bin"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_partial_output() {
    let (folder, case) = Folder::compiled("conv2d.000");
    folder.write("long.bin", &case.steps[0].inputs[0].repeat(1000));
    let args = ["run", "net.safetensors", "-i", "long.bin", "-o", "out.bin"];
    folder.program_fails(&mut with_small_files(&args), 1, &["`out.bin`", "File too large"]);
    folder.write("out.bin", b"the output before");
    folder.program_fails(&mut with_small_files(&args), 1, &["`out.bin`"]);
    if cfg!(target_os = "linux") {
        let args = ["run", "net.safetensors", "-i", "long.bin", "-o", "/dev/full"];
        folder.program_fails(Command::new(crate::common::TEALIGHT).args(args), 1, &["`/dev/full`", "No space left"]);
    }
}

#[test]
fn a_long_stream_reports_progress_on_standard_error() {
    let (folder, case) = Folder::compiled("softmax.000");
    folder.write("long.bin", &case.steps[0].inputs[0].repeat(1000));
    let outcome = folder.run(&["run", "net.safetensors", "-i", "long.bin", "--json", "-o", "out.bin"]);
    assert_eq!(outcome.err.lines().count(), 10, "{}", outcome.err);
    assert!(outcome.err.contains("500 of 1000 inferences"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&outcome.out).unwrap()["inferences"], 1000);
    let short = folder.run(&["run", "net.safetensors", "-i", "0.bin"]);
    assert_eq!(short.err, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_is_not_an_error_but_a_full_one_is() {
    let (folder, case) = Folder::compiled("softmax.000");
    folder.write("long.bin", &case.steps[0].inputs[0].repeat(5000));
    let mut child = Command::new(crate::common::TEALIGHT)
        .args(["run", "net.safetensors", "-i", "long.bin"])
        .current_dir(folder.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let outcome = child.wait_with_output().unwrap();
    let err = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{err}");
    assert!(!err.contains("error") && !err.contains("panicked"), "{err}");

    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(crate::common::TEALIGHT);
    command.args(["run", "net.safetensors", "-i", "0.bin"]).current_dir(folder.path(".")).stdout(full);
    let outcome = command.output().unwrap();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(String::from_utf8(outcome.stderr).unwrap().contains("standard output"));
}

#[test]
fn a_usage_error_is_exit_code_2() {
    let (folder, _) = Folder::golden("softmax.000");
    for args in [&["run", "net.tflite"][..], &["run"], &["run", "net.tflite", "-i", "0.bin", "--top", "0"]] {
        folder.program_fails(Command::new(crate::common::TEALIGHT).args(args), 2, &["--help"]);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_no_partial_output() {
    let (folder, case) = Folder::compiled("conv2d.000");
    folder.write("long.bin", &case.steps[0].inputs[0].repeat(300_000));
    folder.write("out.bin", b"the output before");
    let before = folder.contents();
    // Interrupts are handled. A kill cannot be, and leaves nothing behind where files without a name are supported.
    let signals = [("-INT", Some(130)), ("-TERM", Some(130)), ("-KILL", None)];
    for (signal, code) in &signals[..if cfg!(target_os = "linux") { 3 } else { 2 }] {
        let mut child = Command::new(crate::common::TEALIGHT)
            .args(["run", "net.safetensors", "-i", "long.bin", "-o", "out.bin"])
            .current_dir(folder.path("."))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It reports progress after a tenth, so that part has been written.
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("30000 of 300000"), "{line}");
        let killed = Command::new("kill").args([signal, &*child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), *code);
        assert!(folder.contents() == before, "{signal} changed the folder");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_size_limit_leaves_no_partial_output() {
    let (folder, case) = Folder::compiled("conv2d.000");
    folder.write("long.bin", &case.steps[0].inputs[0].repeat(1000));
    let before = folder.contents();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1; exec \"$@\"", "sh", crate::common::TEALIGHT]);
    command.args(["run", "net.safetensors", "-i", "long.bin", "-o", "out.bin"]);
    let outcome = folder.run_program(&mut command);
    assert_eq!(outcome.code, None, "the signal ends it: {}", outcome.err);
    assert!(folder.contents() == before);
}

#[cfg(unix)]
#[test]
fn an_output_keeps_the_mode_of_the_file_that_it_replaces_and_the_links_to_it() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, case) = Folder::compiled("conv2d.000");
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    folder.write("out.bin", b"secret");
    std::fs::set_permissions(folder.path("out.bin"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("out.bin", folder.path("link.bin")).unwrap();
    folder.succeeds(&["run", "net.safetensors", "-i", "0.bin", "-o", "link.bin"]);
    assert_eq!((mode("out.bin"), folder.read("out.bin")), (0o600, case.steps[0].outputs[0].clone()));
    assert!(folder.path("link.bin").is_symlink());
    // A new file has the mode that the user's umask allows.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 027; exec \"$@\"", "sh", crate::common::TEALIGHT]);
    folder.run_program(command.args(["run", "net.safetensors", "-i", "0.bin", "-o", "new.bin"]));
    assert_eq!(mode("new.bin"), 0o640);
}

#[test]
fn any_number_of_threads_gives_the_same_outputs() {
    let folder = Folder::new();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits");
    let [model, input] = ["digits.safetensors", "sample.bin"].map(|name| format!("{models}/{name}"));
    let outputs = |threads: &str| {
        folder.succeeds(&["run", &model, "-i", &input, "-o", "out.bin", "--threads", threads]);
        folder.read("out.bin")
    };
    let expected = outputs("1");
    assert!(expected.iter().any(|&byte| byte != expected[0]), "{expected:?}");
    for threads in ["2", "3", "16"] {
        assert_eq!(outputs(threads), expected, "{threads} threads");
    }
    let report = folder.json(&["run", &model, "-i", &input, "--threads", "3"]);
    assert!(report["engine"].as_str().unwrap().starts_with("engine tealight, 3 threads"), "{report}");
    folder.fails(&["run", &model, "-i", &input, "--threads", "2", "--engine", "candle"], &["RAYON_NUM_THREADS"]);
    let outcome = folder.run(&["run", &model, "-i", &input, "--threads", "0"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.err);
}

#[test]
#[cfg(not(feature = "candle"))]
fn rejects_a_missing_engine_and_explains_how_to_build_it() {
    let (folder, _) = Folder::compiled("conv2d_f32.000");
    let outcome = folder.run(&["run", "net.safetensors", "-i", "0.bin", "-o", "out.bin", "--engine", "candle"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("without Candle") && outcome.err.contains("--features candle"), "{}", outcome.err);
    assert!(!folder.path("out.bin").exists());
}

#[test]
#[cfg(feature = "candle")]
fn the_candle_engine_gives_nearly_the_same_outputs() {
    let (folder, case) = Folder::compiled("conv2d_f32.000");
    for engine in ["tealight", "candle"] {
        let out = format!("{engine}.bin");
        folder.succeeds(&["run", "net.safetensors", "-i", "0.bin", "-o", &out, "--engine", engine]);
        let (found, expected) = (floats(&folder.read(&out)), floats(&case.steps[0].outputs[0]));
        near(&found, &expected, Tolerance::Tensor, 1.0).unwrap();
    }
    let report = folder.json(&["run", "net.safetensors", "-i", "0.bin", "--engine", "candle"]);
    assert!(report["engine"].as_str().unwrap().starts_with("engine candle"), "{report}");
}
