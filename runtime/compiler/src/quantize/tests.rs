//! Quantized networks against their float ones.
#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

use super::*;
use crate::float::{Constant, Layer as L, Window};
use tealight_format::Model;

/// Numbers from -1 to 1 by a rule.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn conv(seed: u32, shape: &[u32], pad: u32, stride: u32) -> L {
    let count = shape.iter().product::<u32>() as usize;
    let window = Window { pad: [pad; 4], stride: [stride; 2], ..Window::default() };
    L::Conv2d {
        window,
        weights: Constant::new(shape, numbers(seed, count)),
        bias: numbers(seed + 1, shape[0] as usize),
    }
}

/// Every layer once, with a branch.
fn everything() -> Network {
    let mut n = Network::new("x", &[1, 8, 8, 2]).unwrap();
    let x = n.add("conv", conv(1, &[4, 3, 3, 2], 1, 1), &[0]).unwrap();
    let a = n.add("relu", L::Relu, &[x]).unwrap();
    let weights = Constant::new(&[1, 3, 3, 4], numbers(3, 36));
    let window = Window { pad: [1; 4], ..Window::default() };
    let b = n.add("dw", L::DepthwiseConv2d { window, weights, bias: numbers(4, 4) }, &[a]).unwrap();
    let b = n.add("relu6", L::Relu6, &[b]).unwrap();
    let x = n.add("add", L::Add, &[a, b]).unwrap();
    let x = n
        .add("pool", L::MaxPool2d { size: [2; 2], window: Window { stride: [2; 2], ..Window::default() } }, &[x])
        .unwrap();
    let x = n.add("swish", L::HardSwish, &[x]).unwrap();
    let gate = n.add("gate", L::Logistic, &[x]).unwrap();
    let x = n.add("mul", L::Mul, &[x, gate]).unwrap();
    let x = n.add("grouped", conv(5, &[4, 1, 1, 2], 0, 1), &[x]).unwrap();
    let x = n.add("tanh", L::Tanh, &[x]).unwrap();
    let x = n
        .add("mean", L::AvgPool2d { size: [2; 2], window: Window { stride: [2; 2], ..Window::default() } }, &[x])
        .unwrap();
    let x = n.add("flat", L::Reshape { shape: vec![1, 16] }, &[x]).unwrap();
    let weights = Constant::new(&[3, 16], numbers(7, 48));
    let x = n.add("fc", L::FullyConnected { weights, bias: numbers(8, 3) }, &[x]).unwrap();
    n.add("softmax", L::Softmax, &[x]).unwrap();
    n
}

fn samples(network: &Network, count: u32) -> Vec<Vec<f32>> {
    (0..count).map(|seed| numbers(seed * 77 + 5, network.values()[0].len())).collect()
}

#[test]
fn every_layer_stays_near_the_float_network() {
    let network = everything();
    let (compiled, report) =
        compile_float(&network, &samples(&network, 40), &Quantize::default(), b"source", &Options::default()).unwrap();
    assert!(Model::parse(&compiled.bytes).is_ok());
    assert!(report.snr_db > 25.0, "{report:?}");
    for layer in &report.layers {
        assert!(layer.snr_db > 22.0, "{layer:?}");
    }
    // Six ways were tried and the best one was kept.
    assert_eq!(report.trials.len(), 6);
    assert!(report.trials.iter().all(|trial| trial.snr_db <= report.chosen.snr_db));
    // Activations are fused into what they follow.
    let names: Vec<&str> = report.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert!(names.contains(&"conv") && names.contains(&"dw") && !names.contains(&"relu"), "{names:?}");
}

#[test]
fn a_poor_quantization_is_measured_as_poor() {
    // One weight dwarfs the others of its channel, and only the others are ever used.
    let mut network = Network::new("x", &[1, 4]).unwrap();
    let weights = Constant::new(&[1, 4], vec![1000.0, 1.0, -1.0, 1.0]);
    network.add("fc", L::FullyConnected { weights, bias: vec![0.0] }, &[0]).unwrap();
    let samples: Vec<Vec<f32>> = (0..20).map(|seed| [vec![0.0], numbers(seed, 3)].concat()).collect();
    let report = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap().1;
    assert!(report.snr_db < 3.0, "{report:?}");
}

#[test]
fn weights_are_symmetric_and_each_channel_uses_its_own_scale() {
    let mut network = Network::new("x", &[1, 2]).unwrap();
    let weights = Constant::new(&[3, 2], vec![0.5, -1.0, 100.0, 50.0, 0.0, 0.0]);
    network.add("fc", L::FullyConnected { weights, bias: vec![0.0, 0.0, 7.0] }, &[0]).unwrap();
    let samples = samples(&network, 20);
    let calibration = calibrate::Calibration::collect(&network, &samples, None).unwrap();
    let graph = build::build(&network, &calibration, Ranges::MinMax, false).graph;
    let weights = &graph.tensors[graph.nodes[0].inputs[1].unwrap()];
    assert_eq!(weights.integers().unwrap(), [64, -127, 127, 64, 0, 0]);
    let quantization = weights.quantization.as_ref().unwrap();
    assert_eq!(quantization.zero_points, [0; 3]);
    assert_eq!(quantization.scales[..2], [1.0 / 127.0, 100.0 / 127.0]);
    // A channel of zeros still gives its bias.
    let (compiled, report) = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap();
    assert!(Model::parse(&compiled.bytes).is_ok() && report.snr_db > 30.0, "{report:?}");
}

#[test]
fn correcting_biases_takes_the_mean_error_away() {
    // Inputs that are all positive, so that rounding errors of the weights add up to a shift.
    let mut network = Network::new("x", &[1, 64]).unwrap();
    let mut weights = vec![0.3; 63];
    weights.push(90.0);
    let weights = Constant::new(&[1, 64], weights);
    network.add("fc", L::FullyConnected { weights, bias: vec![0.0] }, &[0]).unwrap();
    let samples: Vec<Vec<f32>> =
        (0..30).map(|seed| numbers(seed, 63).iter().map(|x| x.abs()).chain([0.01]).collect()).collect();
    let snr = |correct| {
        let quantize = Quantize { bias_correction: Some(correct), ..Quantize::default() };
        compile_float(&network, &samples, &quantize, b"", &Options::default()).unwrap().1.snr_db
    };
    let [plain, corrected] = [snr(false), snr(true)];
    assert!(corrected > plain + 6.0, "{corrected} against {plain}");
}

#[test]
fn the_file_does_not_depend_on_the_run() {
    let network = everything();
    let compile =
        || compile_float(&network, &samples(&network, 10), &Quantize::default(), b"", &Options::default()).unwrap();
    assert_eq!(compile().0.bytes, compile().0.bytes);
}

#[test]
fn a_clamp_of_its_own_keeps_the_quantization_of_its_input() {
    let mut network = Network::new("x", &[1, 8]).unwrap();
    let x = network.add("gate", L::HardSwish, &[0]).unwrap();
    network.add("relu6", L::Relu6, &[x]).unwrap();
    let samples: Vec<Vec<f32>> = (0..20).map(|seed| numbers(seed, 8).iter().map(|x| x * 20.0).collect()).collect();
    let report = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap().1;
    assert!(report.snr_db > 30.0, "{report:?}");
}
