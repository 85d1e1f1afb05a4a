//! Networks chosen by the bytes, through the compiler's other entrances: what compiles parses and runs.
//!
//! A plan that the parser takes is compiled as a graph, and planned anew it has the same outputs. A float network is
//! quantized by a few samples, and stored with its weights made smaller.

#![no_main]
#![allow(clippy::unwrap_used)] // a failed unwrap is a finding

use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::quantize::{Activations, Quantize, Ranges, compile_float, compile_weights};
use tealight_compiler::{Options, import_tflite};
use tealight_fuzz::exercise::{Outcome, exercise};
use tealight_fuzz::random::{self, Choices};
use tealight_fuzz::{LIMITS, check, check_quantized, graph, options, split, tflite, two_inferences};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    if how % 2 == 0 { planned_anew(data) } else { quantized(data) }
});

fn planned_anew(data: &[u8]) {
    let (mut rest, mut plan) = split(data);
    let mut parts = random::plan(&mut plan);
    graph::share_scales(&mut parts);
    let file = parts.file();
    if exercise(&file, LIMITS, &mut rest) != Outcome::Ran {
        return;
    }
    let compiled = compile_kernel_graph(graph::of(&parts), b"", &Options::default());
    if let Some(compiled) = check(compiled, &mut rest) {
        let rest = &data[..data.len().min(64)];
        let outputs = |file: &[u8]| two_inferences(file, &mut Choices::new(rest));
        assert_eq!(outputs(&file), outputs(&compiled), "the compiler changes outputs");
    }
}

fn quantized(data: &[u8]) {
    let (mut rest, mut choices) = split(data);
    let Ok(network) = import_tflite(&tflite::float_file(&mut choices)) else { return };
    // Larger ones take long to run.
    let elements: usize = network.tensors.iter().map(|tensor| tensor.elements()).fold(0, usize::saturating_add);
    if elements > 10_000 {
        return;
    }
    let size = network.inputs.iter().map(|&id| network.tensors[id].elements()).sum::<usize>();
    let samples: Vec<Vec<f32>> = (0..rest.between(1, 3))
        .map(|_| rest.bytes(size).into_iter().map(|byte| f32::from(byte) / 64.0 - 2.0).collect())
        .collect();
    if rest.one_in(2) {
        let options = options(&mut rest);
        let min_snr = rest.one_in(2).then_some(20.0);
        check_quantized(compile_weights(&network, &[samples], min_snr, b"", &options), &mut rest);
        return;
    }
    let quantize = Quantize {
        activations: rest.pick(&[Activations::Int8, Activations::Int16]),
        ranges: Some(rest.pick(&[Ranges::Mse, Ranges::MinMax])),
        bias_correction: Some(rest.one_in(2)),
        equalize: Some(rest.one_in(2)),
        float_io: rest.one_in(2),
        ..Quantize::default()
    };
    check_quantized(compile_float(&network, &samples, &quantize, b"", &Options::default()), &mut rest);
}
