//! Nearly valid TensorFlow Lite files of all operators, chosen by the bytes: what compiles parses and runs.

#![no_main]

use tealight_compiler::compile_tflite;
use tealight_fuzz::{check, options, split, tflite};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut rest, mut choices) = split(data);
    let options = options(&mut rest);
    let (file, _) = tflite::file(&mut choices);
    check(compile_tflite(&file, &options), &mut rest);
});
