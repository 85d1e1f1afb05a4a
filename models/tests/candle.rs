//! What is written down computes what Candle computes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Conv2dConfig, VarBuilder};
use tealight::OwnedSession;
use tealight_compiler::Options;
use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::graph::Graph;
use tealight_compiler::quantize::{Quantize, QuantizeError, compile_float};
use tealight_models::anomaly::{self, Anomaly};
use tealight_models::array::Array;
use tealight_models::balance::{self, Balance};
use tealight_models::digits::Digits;
use tealight_models::gesture::Gesture;
use tealight_models::layers::{Conv2d, Linear, conv2d, conv2d_no_bias, linear, linear_no_bias};
use tealight_models::random::{Random, VarInit};
use tealight_models::trace::trace;
use tealight_models::{Paths, export, layout, weights};

/// Every layer of [`Array`] once.
struct AllLayers {
    stem: Conv2d,
    depthwise: Conv2d,
    grouped: Conv2d,
    fc1: Linear,
    fc2: Linear,
}

impl AllLayers {
    fn load(vb: VarBuilder) -> Result<Self> {
        let config = Conv2dConfig::default();
        let depthwise = Conv2dConfig { padding: 1, groups: 6, ..config };
        let grouped = Conv2dConfig { padding: 2, dilation: 2, groups: 2, ..config };
        Ok(Self {
            stem: conv2d(3, 6, 3, Conv2dConfig { padding: 1, stride: 2, ..config }, vb.pp("stem"))?,
            depthwise: conv2d_no_bias(6, 6, 3, depthwise, vb.pp("dw"))?,
            grouped: conv2d(6, 8, 3, grouped, vb.pp("grouped"))?,
            fc1: linear(8 * 2 * 3, 7, vb.pp("fc1"))?,
            fc2: linear_no_bias(7, 4, vb.pp("fc2"))?,
        })
    }

    fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let x = self.stem.forward(x)?.hard_swish()?;
        let x = self.depthwise.forward(&x)?.relu6()?.add(&x)?;
        let x = self.grouped.forward(&x)?;
        let x = x.mul(&x.sigmoid()?)?.max_pool2d([2, 2], [2, 2])?;
        let x = x.avg_pool2d([2, 2], [1, 1])?.tanh()?;
        let x = self.fc1.forward(&x.flatten()?)?.relu()?;
        self.fc2.forward(&x)?.softmax()
    }
}

/// What the network gives for an input, compiled to f32.
fn answer(network: &Graph, input: &[f32]) -> Vec<f32> {
    let compiled = compile_kernel_graph(network.clone(), b"", &Options::default()).unwrap();
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    session.input(0).unwrap().copy_from(input).unwrap();
    session.run();
    session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn close(ours: &[f32], candle: &Tensor, tolerance: f32) {
    let candle = candle.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(ours.len(), candle.len());
    for (ours, candle) in ours.iter().zip(candle) {
        // Both sum the same products, in another order.
        assert!((ours - candle).abs() <= tolerance * candle.abs().max(1.0), "{ours} against {candle}");
    }
}

#[test]
fn every_layer_computes_what_candle_computes() {
    let init = VarInit::new(5);
    let model = AllLayers::load(VarBuilder::from_backend(Box::new(init), DType::F32, Device::Cpu)).unwrap();
    let dims = [1, 3, 12, 16];
    let network = trace(&dims, |x| model.forward(x)).unwrap();
    let mut random = Random::new(9);
    for _ in 0..5 {
        let x: Vec<f32> = (0..dims.iter().product()).map(|_| random.normal() as f32).collect();
        let candle = model.forward(&Tensor::from_slice(&x, &dims, &Device::Cpu).unwrap()).unwrap();
        close(&answer(&network, &layout::elements(&x, &dims)), &candle, 1e-5);
    }
}

#[test]
fn the_digits_traced_compute_what_candle_computes() {
    let file = export::read(&Paths::new().file("digits", "digits.float.safetensors")).unwrap();
    let model = weights::load(&file, Digits::load).unwrap();
    let network = trace(&[1, 1, 28, 28], |x| model.forward(x)).unwrap();
    let mut random = Random::new(1);
    let x: Vec<f32> = (0..784).map(|_| random.unit() as f32).collect();
    let candle = model.forward(&Tensor::from_slice(&x, (1, 1, 28, 28), &Device::Cpu).unwrap()).unwrap();
    close(&answer(&network, &x), &candle, 1e-4);
    // Weights keep their checkpoint's names.
    let names: Vec<&str> = network.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert!(["conv1", "conv2", "conv3", "fc"].iter().all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn gesture_traced_computes_what_candle_computes() {
    let file = export::read(&Paths::new().file("gesture", "gesture.float.safetensors")).unwrap();
    let model = weights::load(&file, Gesture::load).unwrap();
    let dims = [1, 6, 1, 128];
    let network = trace(&dims, |x| model.forward(x)).unwrap();
    let mut random = Random::new(1);
    for _ in 0..5 {
        let x: Vec<f32> = (0..6 * 128).map(|_| random.normal() as f32).collect();
        let candle = model.forward(&Tensor::from_slice(&x, &dims, &Device::Cpu).unwrap()).unwrap();
        close(&answer(&network, &layout::elements(&x, &dims)), &candle, 1e-4);
    }
}

#[test]
fn balance_traced_computes_what_candle_computes() {
    let file = export::read(&Paths::new().file("balance", "balance.float.safetensors")).unwrap();
    let model = weights::load(&file, Balance::load).unwrap();
    let network = trace(&[1, balance::INPUTS], |x| model.forward(x)).unwrap();
    let mut random = Random::new(1);
    for _ in 0..20 {
        let x: Vec<f32> = (0..balance::INPUTS).map(|_| random.between(-1.0, 1.0) as f32).collect();
        let candle = model.forward(&Tensor::from_slice(&x, (1, balance::INPUTS), &Device::Cpu).unwrap()).unwrap();
        close(&answer(&network, &x), &candle, 1e-4);
    }
}

#[test]
fn anomaly_traced_computes_what_candle_computes() {
    let file = export::read(&Paths::new().file("anomaly", "anomaly.float.safetensors")).unwrap();
    let model = weights::load(&file, Anomaly::load).unwrap();
    let dims = [1, anomaly::LEN];
    let network = trace(&dims, |x| model.forward(x)).unwrap();
    let mut random = Random::new(1);
    for _ in 0..5 {
        let x: Vec<f32> = (0..anomaly::LEN).map(|_| random.normal() as f32).collect();
        let candle = model.forward(&Tensor::from_slice(&x, &dims, &Device::Cpu).unwrap()).unwrap();
        close(&answer(&network, &x), &candle, 1e-4);
    }
}

#[test]
fn tracing_reports_shapes_that_do_not_fit() {
    let init = VarInit::new(5);
    let vb = VarBuilder::from_backend(Box::new(init), DType::F32, Device::Cpu);
    let fc = linear(10, 2, vb.pp("head")).unwrap();
    let refused = |dims: &[usize]| trace(dims, |x| fc.forward(&x.flatten()?)).unwrap_err().to_string();
    assert!(refused(&[1, 2, 2, 2]).contains("head"));
    let error = trace(&[1, 2, 3, 3], Array::flatten).unwrap_err().to_string();
    assert!(error.contains("flattened image"), "{error}");
    let conv = conv2d(3, 4, 3, Conv2dConfig::default(), vb.pp("stem")).unwrap();
    assert!(trace(&[1, 1, 8, 8], |x| conv.forward(x)).unwrap_err().to_string().contains("stem"));
    let error = trace(&[1, 3, 2, 8], |x| conv.forward(x)).unwrap_err().to_string();
    assert!(error.contains("stem") && error.contains("does not fit"), "{error}");
    let error = trace(&[1, 3, 4, 4], |x| x.max_pool2d([5, 1], [1, 1])).unwrap_err().to_string();
    assert!(error.contains("MaxPool2d") && error.contains("[5, 1]"), "{error}");
    let error = trace(&[1, 4], |x| x.max_pool2d([1, 1], [1, 1])).unwrap_err().to_string();
    assert!(error.contains("not an image"), "{error}");
    let error = trace(&[1, 3, 4, 4], |x| x.max_pool2d([2, 2], [2, 2])?.add(x)).unwrap_err().to_string();
    assert!(error.contains("Add: its inputs are"), "{error}");
}

#[test]
fn reports_a_nan_weight_when_quantizing() {
    let weight = Var::new(&[[1.0f32, f32::NAN]], &Device::Cpu).unwrap();
    let file = weights::save(&[("fc.weight".to_string(), weight)].into()).unwrap();
    let layer = weights::load(&file, |vb| linear_no_bias(2, 1, vb.pp("fc"))).unwrap();
    let network = trace(&[1, 2], |x| layer.forward(x)).unwrap();
    let samples = [vec![0.5, 1.0]];
    let error = compile_float(&network, &samples, &Quantize::default(), &file, &Options::default()).unwrap_err();
    assert!(matches!(&error, QuantizeError::Weight { tensor, index: 1, .. } if tensor == "fc"), "{error}");
}

#[test]
fn the_compiled_digits_are_near_the_float_ones() {
    let paths = Paths::new();
    let model = weights::load(&export::read(&paths.file("digits", "digits.float.safetensors")).unwrap(), Digits::load);
    let model = model.unwrap();
    let mut compiled =
        export::Compiled::new(&export::read(&paths.file("digits", "digits.safetensors")).unwrap()).unwrap();
    let golden = export::read(&paths.file("digits", "golden.json")).unwrap();
    let golden: export::Golden = serde_json::from_slice(&golden).unwrap();
    let (mut signal, mut noise) = (0.0, 0.0);
    for case in &golden.cases {
        let pairs = case.input.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let input: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let x: Vec<f32> = input.iter().map(|byte| f32::from(byte ^ 0x80) / 255.0).collect();
        let wanted = model.forward(&Tensor::from_vec(x, (1, 1, 28, 28), &Device::Cpu).unwrap()).unwrap();
        let wanted = wanted.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (wanted, found) in wanted.iter().zip(compiled.run(&input).unwrap()) {
            let found = (f32::from(found) + 128.0) / 256.0;
            signal += wanted * wanted;
            noise += (wanted - found) * (wanted - found);
        }
    }
    let snr = 10.0 * (signal / noise).log10();
    assert!(snr > 35.0, "{snr} dB");
}
