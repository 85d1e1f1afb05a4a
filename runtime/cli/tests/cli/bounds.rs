//! Files that require far more than they contain: every command ends by itself and uses little memory.

use crate::common::{Folder, Outcome, TEALIGHT};
use std::process::Command;
use tealight_testing::gguf;
use tealight_testing::tflite::{self, ADD, CONCATENATION, F32, GATHER, I8, I32, NONE};

/// Runs `tealight` with 1 GiB of memory. A debug build may take a minute; a command that would not end is stopped then.
fn bounded(folder: &Folder, args: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1048576; exec timeout 60 \"$@\"", "sh", TEALIGHT]).args(args);
    folder.run_program(&mut command)
}

/// Checks that every command that reads `file` refuses it, with `part` in the message.
fn is_refused(folder: &Folder, file: &str, part: &str) {
    let out = format!("{file}.safetensors");
    folder.write("x.bin", &[0]);
    for args in [&["compile", file, "-o", &out][..], &["inspect", file], &["run", file, "--input", "x.bin"]] {
        let outcome = bounded(folder, args);
        assert_eq!(outcome.code, Some(1), "{args:?}: {}", outcome.err);
        assert!(outcome.err.contains(part), "{args:?}: no `{part}` in {}", outcome.err);
    }
}

/// A network that adds `count` constants to its input; constant k is a megabyte of the file from byte `16 + start(k)`
/// on.
fn ranges(count: u64, start: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut file = tflite::File::default();
    let mut y = file.tensor("x", I8, &[1_000_000], NONE);
    file.inputs.push(y);
    file.buffer(&vec![1; 1_200_000]);
    for k in 0..count {
        let buffer = file.range(16 + start(k), 1_000_000);
        let (w, sum) = (file.tensor("w", I8, &[1_000_000], buffer), file.tensor("sum", I8, &[1_000_000], NONE));
        file.node(ADD, &[y, w], &[sum], None);
        y = sum;
    }
    file.outputs.push(y);
    file.bytes()
}

#[test]
fn a_file_whose_buffers_are_the_same_bytes_many_times_over_is_compiled_or_refused() {
    let folder = Folder::new();
    folder.write("same.tflite", &ranges(300, |_| 0));
    assert_eq!(bounded(&folder, &["compile", "same.tflite", "-o", "same.safetensors"]).code, Some(0));
    assert!(folder.read("same.safetensors").len() < 1_200_000);
    folder.write("shifted.tflite", &ranges(1000, |k| k));
    is_refused(&folder, "shifted.tflite", "the constants up to `w` would take 68000000 bytes");
    // The maximum that the importer accepts, which is more nodes than a model can hold.
    folder.write("many.tflite", &ranges(70_000, |_| 0));
    is_refused(&folder, "many.tflite", "70000 operators");
}

#[test]
fn the_limit_can_be_set() {
    let folder = Folder::new();
    folder.write("net.tflite", &ranges(3, |k| k));
    let args = ["compile", "net.tflite", "-o", "net.safetensors", "--max-memory"];
    folder.fails(&[&args[..], &["2M"]].concat(), &["would take 3000000 bytes", "is 2097152", "--max-memory"]);
    folder.succeeds(&[&args[..], &["3M"]].concat());
    folder.write("x.bin", &[0; 1_000_000]);
    for args in [
        &["inspect", "net.tflite"][..],
        &["inspect", "net.tflite", "--after", "order"],
        &["run", "net.tflite", "-i", "x.bin"],
    ] {
        folder.fails(&[args, &["--max-memory", "2M"]].concat(), &["would take 3000000 bytes", "is 2097152"]);
        folder.succeeds(&[args, &["--max-memory", "3M"]].concat());
    }
}

#[test]
fn calibration_and_evaluation_take_no_more_memory_than_they_may() {
    let folder = Folder::new();
    // Each sum is 400 MB, of inputs of 40 KB.
    let mut file = tflite::File::default();
    let inputs = [[10_000, 1], [1, 10_000]].map(|shape| file.tensor("x", F32, &shape, NONE));
    let y = file.tensor("y", F32, &[10_000, 10_000], NONE);
    file.node(ADD, &inputs, &[y], Some((11, &[])));
    let sum = file.tensor("sum", F32, &[10_000, 10_000], NONE);
    file.node(ADD, &[y, y], &[sum], Some((11, &[])));
    (file.inputs, file.outputs) = (inputs.to_vec(), vec![sum]);
    folder.write("net.tflite", &file.bytes());
    folder.write("x.bin", &(0..10_000).flat_map(|k| (k as f32).to_le_bytes()).collect::<Vec<_>>());
    let calibrate = ["compile", "net.tflite", "-o", "net.safetensors", "--calibrate", "x.bin", "--calibrate", "x.bin"];
    let outcome = bounded(&folder, &calibrate);
    assert_eq!(outcome.code, Some(1), "{}", outcome.err);
    let part = "running the float network on the inputs would take 800000000 bytes";
    assert!(outcome.err.contains(part) && outcome.err.contains("--max-memory"), "{}", outcome.err);
}

#[test]
fn constant_folding_is_bounded() {
    let folder = Folder::new();
    let mut file = tflite::File::default();
    let (empty, zeros) = (file.buffer(&[]), file.buffer(&[0; 4000]));
    let x = file.tensor("x", I8, &[i32::MAX, 1, 0], empty);
    let indices = file.tensor("indices", I32, &[1000], zeros);
    let y = file.tensor("y", I8, &[i32::MAX, 1000, 0], NONE);
    file.node(GATHER, &[x, indices], &[y], Some((23, &[1])));
    file.outputs.push(y);
    folder.write("nothing.tflite", &file.bytes());

    let mut file = tflite::File::default();
    let bytes = file.buffer(&[1; 1000]);
    let mut y = file.tensor("x", I8, &[1000], bytes);
    for k in 1..21 {
        let twice = file.tensor("y", I8, &[1000 << k], NONE);
        file.node(CONCATENATION, &[y, y], &[twice], Some((10, &[0])));
        y = twice;
    }
    file.outputs.push(y);
    folder.write("doubling.tflite", &file.bytes());
    is_refused(&folder, "doubling.tflite", "node 15 (CONCATENATION)");
    for args in [&["compile", "nothing.tflite", "-o", "nothing.safetensors"][..], &["inspect", "nothing.tflite"]] {
        let outcome = bounded(&folder, args);
        assert!(matches!(outcome.code, Some(0..=2)), "{args:?}: {:?} {}", outcome.code, outcome.err);
    }
}

#[test]
fn checks_what_a_language_model_states_before_using_it() {
    let folder = Folder::new();
    let mut llama = gguf::Llama::new(1, gguf::F32, gguf::F32, false).file;
    llama.u32("llama.context_length", u32::MAX);
    folder.write("net.gguf", &llama.bytes());
    for context in ["4294967295", "4000000"] {
        let args = ["compile", "net.gguf", "-o", "net.safetensors", "--context", context];
        let outcome = bounded(&folder, &args);
        assert_eq!(outcome.code, Some(1), "{}", outcome.err);
        assert!(outcome.err.contains("up to 1048575 positions are possible"), "{}", outcome.err);
    }
    // A list that claims 2^62 bytes.
    let list = [&9u32.to_le_bytes()[..], &0u32.to_le_bytes(), &(1u64 << 62).to_le_bytes()].concat();
    let head = [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes(), &1u64.to_le_bytes(), b"a"];
    folder.write("list.gguf", &[head.concat(), list].concat());
    is_refused(&folder, "list.gguf", "items of a list are expected here, but only 0 bytes are left");
}
