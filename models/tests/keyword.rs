//! The keyword model's files fit together: the sound, its features, the float and the compiled network, their answers.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::Tensor;
use tealight::OwnedSession;
use tealight_compiler::Options;
use tealight_compiler::builder::compile_kernel_graph;
use tealight_models::export::{self, Compiled, Golden, argmax};
use tealight_models::keyword::{BANDS, FRAMES, Keyword, LABELS, SAMPLES, data, speech, training};
use tealight_models::random::Random;
use tealight_models::{Paths, layout, trace, weights};

fn file(name: &str) -> Vec<u8> {
    export::read(&Paths::new().file("keyword", name)).unwrap()
}

fn golden() -> Golden {
    serde_json::from_slice(&file("golden.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<i8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap().cast_signed();
    (0..hex.len()).step_by(2).map(pair).collect()
}

/// The front end's bits on speech, as they were when the network was trained.
#[test]
fn the_sample_has_its_golden_features() {
    let (samples, rate) = speech::read(&Paths::new().file("keyword", "sample.wav")).unwrap();
    assert_eq!((samples.len(), rate), (SAMPLES, 16_000));
    let samples: Vec<i16> = samples.iter().map(|&x| x as i16).collect();
    assert_eq!(data::features(&samples), bytes(&golden().cases[0].input));
}

#[test]
fn the_compiled_network_gives_the_golden_outputs() {
    let golden = golden();
    let model = file("keyword.safetensors");
    assert_eq!(export::sha256(&model), golden.model);
    let mut compiled = Compiled::new(&model).unwrap();
    for case in &golden.cases {
        let input: Vec<u8> = bytes(&case.input).iter().map(|x| x.cast_unsigned()).collect();
        assert_eq!(compiled.run(&input).unwrap(), case.output, "{}", case.label);
        assert_eq!(LABELS[argmax(&case.output)], case.label);
    }
}

#[test]
fn the_network_traced_computes_what_candle_computes() {
    let model = weights::load(&file("keyword.float.safetensors"), Keyword::load).unwrap();
    let dims = [1, BANDS, 1, FRAMES];
    let network = trace::trace(&dims, |x| model.forward(x)).unwrap();
    let compiled = compile_kernel_graph(network, b"", &Options::default()).unwrap();
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    let mut random = Random::new(1);
    for _ in 0..5 {
        let second: Vec<i8> = (0..BANDS * FRAMES).map(|_| (40.0 * random.normal()) as i8).collect();
        let x = training::numbers(&second);
        let candle = model.forward(&training::tensor(std::slice::from_ref(&x)).unwrap()).unwrap();
        let candle = candle.flatten_all().and_then(|x: Tensor| x.to_vec1::<f32>()).unwrap();
        session.reset();
        session.input(0).unwrap().copy_from(&layout::elements(&x, &dims)).unwrap();
        session.run();
        // Both sum the same products, in another order.
        for (ours, candle) in session.output(0).unwrap().as_slice::<f32>().unwrap().iter().zip(candle) {
            assert!((ours - candle).abs() < 1e-4, "{ours} against {candle}");
        }
        // The compiled file takes the features as they are: frame by frame, a feature times 32.
        let input: Vec<f32> = second.iter().map(|&x| f32::from(x) / 32.0).collect();
        assert_eq!(layout::elements(&x, &dims), input);
    }
}
