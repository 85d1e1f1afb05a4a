//! An int8 softmax over so many nearly equal elements that each is less than half a step of the output.
#![allow(clippy::unwrap_used)]

use tealight::OwnedSession;
use tealight_compiler::{Options, compile_tflite};

#[test]
fn each_of_5000_nearly_equal_elements_is_the_zero_of_the_output() {
    let compiled = compile_tflite(include_bytes!("cases/softmax_5000_flat.tflite"), &Options::default()).unwrap();
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    let input: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    session.input(0).unwrap().copy_from_bytes(&input).unwrap();
    session.run();
    assert_eq!(session.output(0).unwrap().as_bytes(), [0x80; 5000]);
}
