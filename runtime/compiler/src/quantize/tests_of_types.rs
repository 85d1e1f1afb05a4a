//! Networks with int16 activations, and networks that are quantized in part.

use super::tests::{Build, compile, everything, leaky, mixed, samples};
use super::*;
use crate::ir::{Activation, Op};
use crate::session;
use tealight::{Model, OwnedSession};
use tealight_format::{DType, Quantization};

const INT16: Quantize = Quantize {
    activations: Activations::Int16,
    ranges: None,
    bias_correction: None,
    equalize: None,
    input_range: None,
    float_io: false,
};

/// The type of each value that an operator writes, with the operator's name.
fn written(model: &Model<'_>) -> Vec<(&'static str, DType)> {
    let op = |at| (model.op(at).operator.code().name(), model.value(model.op(at).output.into()).dtype);
    (0..model.op_count()).map(op).collect()
}

fn count(model: &Model<'_>, name: &str) -> usize {
    written(model).iter().filter(|(of, _)| *of == name).count()
}

/// The types and scales of the first input and output.
fn ends(model: &Model<'_>) -> [(DType, Quantization); 2] {
    let of = |value: Option<usize>| {
        let value = model.value(value.unwrap());
        (value.dtype, value.quantization)
    };
    [of(model.input(0)), of(model.output(0))]
}

fn names(report: &Report) -> Vec<&str> {
    report.in_float.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn int16_activations_are_far_nearer_to_float_than_int8() {
    let network = everything();
    let (int8, int8_report) = compile(&network, &Quantize::default());
    let (compiled, report) = compile(&network, &INT16);
    assert_eq!((int8_report.activations, report.activations), (Some(Activations::Int8), Some(Activations::Int16)));
    // What is left is the rounding of the weights.
    assert!(report.snr_db > int8_report.snr_db + 6.0 && report.snr_db > 35.0, "{report:#?} {}", int8_report.snr_db);
    assert_eq!(report.agreement, Some(1.0));
    assert_eq!(report.warnings, Vec::<String>::new());
    let model = Model::parse(&compiled.bytes).unwrap();
    let [(input, x), (output, y)] = ends(&model);
    assert_eq!((input, output), (DType::I16, DType::I16));
    // The samples reach from -1 to 1, and the network ends in a softmax.
    assert_eq!((x.zero_point, y), (0, Quantization::new(1.0 / 32_768.0, 0)));
    assert!((0.9 / 32_767.0..=1.0 / 32_767.0).contains(&x.scale), "{x:?}");
    for name in ["Conv2dI16", "DepthwiseConv2dI16", "FullyConnectedI16", "SoftmaxI16", "TanhI16", "LogisticI16"] {
        assert_eq!(count(&model, name), 1, "{name}: {:?}", written(&model));
    }
    assert!(written(&model).iter().all(|(_, dtype)| *dtype != DType::I8), "{:?}", written(&model));
    // Weights are int8, so the file grows by tables only.
    assert!(compiled.bytes.len() < int8.bytes.len() + 5000, "{} {}", compiled.bytes.len(), int8.bytes.len());
    let types: Vec<_> = report.layers.iter().filter_map(|layer| layer.weights).collect();
    assert_eq!(types, ["16x8"; 3]);
    // Bilinear interpolation has no int16 form.
    assert_eq!((names(&report), names(&int8_report)), (vec!["larger"], vec![]));
    assert_eq!(count(&model, "ResizeBilinearF32"), 1);
}

#[test]
fn a_layer_alone_is_nearer_to_float_with_int16_activations() {
    let report = compile(&mixed(), &Quantize::default()).1;
    for layer in report.layers.iter().filter(|layer| !layer.choices.is_empty()) {
        let of = |name: &str| *layer.choices.iter().find(|choice| choice.weights == name).unwrap();
        let [int8, wide] = ["int8", "16x8"].map(of);
        assert!(wide.snr_db >= int8.snr_db, "{layer:#?}");
        // A bias has four bytes more.
        assert!(wide.bytes > int8.bytes && (wide.bytes - int8.bytes).is_multiple_of(4), "{layer:#?}");
    }
}

#[test]
fn a_16x8_network_has_float_ends_where_that_is_asked_for() {
    let network = everything();
    let (compiled, report) = compile(&network, &Quantize { float_io: true, ..INT16 });
    let model = Model::parse(&compiled.bytes).unwrap();
    assert_eq!(ends(&model).map(|(dtype, _)| dtype), [DType::F32; 2]);
    assert!(report.snr_db > 35.0, "{report:#?}");
    assert_eq!((count(&model, "QuantizeI16"), count(&model, "DequantizeI16")), (2, 2));
}

#[test]
fn a_variable_is_int16_too() {
    let network = leaky([3.0, -2.0]);
    let samples = samples(&network, 8).into_iter().map(|sample| vec![sample]).collect::<Vec<_>>();
    let (compiled, _) = compile_float_streams(&network, &samples, &INT16, b"", &Options::default()).unwrap();
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    assert!(session.model().state_len() >= 4);
    for wanted in [[2.25, -1.5], [1.6875, -1.125]] {
        session::write_input(&mut session, 0, &[0.0, 0.0]).unwrap();
        session.run();
        for (found, wanted) in session.output(0).unwrap().iter_f32().zip(wanted) {
            assert!((found - wanted).abs() < 1e-3, "{found} instead of {wanted}");
        }
    }
}

/// A quotient between two quantized operators, and one at the end.
fn quotients() -> Graph {
    let mut b = Build::default();
    let (x, z) = (b.input(&[1, 4]), b.input(&[1, 4]));
    let three = b.constant(&[1, 4], &[3.0; 4]);
    let below = b.node(Op::Add(Activation::None), &[x, three], "below", &[1, 4]);
    let quotient = b.node(Op::Div(Activation::None), &[x, below], "quotient", &[1, 4]);
    let other = b.node(Op::Div(Activation::None), &[z, quotient], "other", &[1, 4]);
    let sum = b.node(Op::Mul(Activation::None), &[quotient, below], "sum", &[1, 4]);
    let w = b.weights("fc", 4, &[4, 4]);
    let y = b.node(Op::FullyConnected(Activation::None), &[sum, w], "fc", &[1, 4]);
    b.0.outputs = vec![y, other];
    b.0
}

#[test]
fn an_operator_without_a_quantized_form_computes_in_float_and_the_report_names_it() {
    let network = quotients();
    for (activations, least, integer) in [(Activations::Int8, 25.0, DType::I8), (Activations::Int16, 40.0, DType::I16)]
    {
        let mut samples = samples(&network, 40);
        samples.iter_mut().flatten().for_each(|x| *x = if x.abs() < 0.2 { 0.5 } else { *x });
        let quantize = Quantize { activations, ..Quantize::default() };
        let (compiled, report) = compile_float(&network, &samples, &quantize, b"", &Options::default()).unwrap();
        assert!(report.snr_db > least, "{report:#?}");
        assert_eq!(names(&report), ["quotient", "other"]);
        assert_eq!(report.in_float[0].1, "Div");
        let model = Model::parse(&compiled.bytes).unwrap();
        // The second input is read in float only, and the second output written so: neither is quantized.
        let dtype = |value: Option<usize>| model.value(value.unwrap()).dtype;
        assert_eq!([model.input(0), model.input(1)].map(dtype), [integer, DType::F32]);
        assert_eq!([model.output(0), model.output(1)].map(dtype), [integer, DType::F32]);
        assert_eq!(count(&model, "DivF32"), 2);
        // The operands of the first quotient are converted, and its result once for what reads it quantized.
        let [to_float, from_float] = match activations {
            Activations::Int8 => ["Dequantize", "Quantize"],
            Activations::Int16 => ["DequantizeI16", "QuantizeI16"],
        };
        assert_eq!((count(&model, to_float), count(&model, from_float)), (2, 1), "{:?}", written(&model));
    }
}

#[test]
fn the_layers_of_a_16x8_network_have_no_other_weights() {
    let network = mixed();
    for of in [crate::WeightType::Int4, crate::WeightType::F16] {
        let options = Options { layers: vec![("*".to_string(), of)], ..Options::default() };
        let error = compile_float(&network, &samples(&network, 4), &INT16, b"", &options).unwrap_err().to_string();
        assert!(error.contains("the weights of a 16x8 network are int8"), "{error}");
    }
}
