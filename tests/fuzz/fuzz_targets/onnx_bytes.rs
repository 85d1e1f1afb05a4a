//! Any bytes as an ONNX file, through the scan, the reader and the import, with their limits: what compiles parses and
//! runs.

#![no_main]

use tealight_compiler::{Options, compile_onnx};
use tealight_fuzz::check;
use tealight_fuzz::random::Choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let choices = &data[data.len() - data.len().min(64)..];
    check(compile_onnx(data, &Options::default()), &mut Choices::new(choices));
});
