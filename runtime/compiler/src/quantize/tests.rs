//! Compares quantized networks with their float originals.

use super::range::Params;
use super::*;
use crate::ir::graph::{Content, ElementType, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Activation, Op, Padding, Window};
use tealight::{Model, OwnedSession};
use tealight_format::ops::UnaryFunction;
use tealight_format::{Operator, ops};

/// A deterministic sequence of values from -1 to 1.
pub(super) fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[derive(Default)]
pub(super) struct Build(pub(super) Graph);

impl Build {
    pub(super) fn input(&mut self, shape: &[u32]) -> TensorId {
        let name = format!("x{}", self.0.inputs.len());
        let id = self.real(&name, shape);
        self.0.inputs.push(id);
        id
    }

    pub(super) fn real(&mut self, name: &str, shape: &[u32]) -> TensorId {
        self.0.add(Tensor::computed(name, ElementType::F32, shape.to_vec()))
    }

    pub(super) fn constant(&mut self, shape: &[u32], data: &[f32]) -> TensorId {
        let bytes: Vec<u8> = data.iter().flat_map(|number| number.to_le_bytes()).collect();
        let name = format!("constant_{}", self.0.tensors.len());
        self.0.add(Tensor::constant(name, ElementType::F32, shape.to_vec(), bytes))
    }

    /// The weights of a layer, under its name.
    pub(super) fn weights(&mut self, layer: &str, seed: u32, shape: &[u32]) -> TensorId {
        let id = self.constant(shape, &numbers(seed, shape.iter().product::<u32>() as usize));
        self.0.tensors[id].name = layer.to_string();
        id
    }

    pub(super) fn ints(&mut self, shape: &[u32], data: &[i32]) -> TensorId {
        let bytes: Vec<u8> = data.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.0.add(Tensor::constant("ints", ElementType::I32, shape.to_vec(), bytes))
    }

    pub(super) fn node(&mut self, op: Op, inputs: &[TensorId], name: &str, shape: &[u32]) -> TensorId {
        let output = self.real(name, shape);
        let origin = self.0.nodes.len();
        let inputs = inputs.iter().copied().map(Some).collect();
        self.0.nodes.push(Node { op: NodeOp::Ir(op), inputs, outputs: vec![output], origin });
        output
    }

    pub(super) fn network(mut self, output: TensorId) -> Graph {
        self.0.outputs = vec![output];
        self.0
    }
}

pub(super) fn window(padding: Padding, stride: i32, size: i32) -> Window {
    let (stride, size) = ([stride; 2], [size; 2]);
    Window { padding, stride, dilation: [1; 2], size, explicit: [0; 4], activation: Activation::None }
}

/// Every rule of quantization at least once, with branches that join.
pub(super) fn everything() -> Graph {
    let mut b = Build::default();
    let x = b.input(&[1, 8, 8, 2]);
    let pads = b.ints(&[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
    let padded = b.node(Op::Pad, &[x, pads], "pad", &[1, 10, 10, 2]);
    let (w, bias) = (b.weights("conv", 1, &[4, 3, 3, 2]), b.weights("conv/bias", 2, &[4]));
    let y = b.node(Op::Conv2d(window(Padding::Valid, 2, 0)), &[padded, w, bias], "conv", &[1, 4, 4, 4]);
    let a = b.node(Op::Relu, &[y], "relu", &[1, 4, 4, 4]);
    let w = b.weights("dw", 3, &[1, 3, 3, 4]);
    let y = b.node(Op::DepthwiseConv2d(window(Padding::Same, 1, 0)), &[a, w], "dw", &[1, 4, 4, 4]);
    let c = b.node(Op::Tanh, &[y], "tanh", &[1, 4, 4, 4]);
    let concat = Op::Concat { axis: 3, activation: Activation::None };
    let y = b.node(concat, &[a, c], "concat", &[1, 4, 4, 8]);
    let scale = b.constant(&[1, 1, 1, 8], &[0.5, 1.5, -1.0, 2.0, 0.1, 0.7, 1.0, 1.0]);
    let y = b.node(Op::Mul(Activation::None), &[y, scale], "mul", &[1, 4, 4, 8]);
    let y = b.node(Op::LeakyRelu { alpha: 0.1 }, &[y], "leaky", &[1, 4, 4, 8]);
    let y = b.node(Op::MaxPool2d(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 2, 2, 8]);
    let size = b.ints(&[2], &[3, 4]);
    let larger = Op::ResizeBilinear { align_corners: false, half_pixel_centers: true };
    let y = b.node(larger, &[y, size], "larger", &[1, 3, 4, 8]);
    let gate = b.node(Op::Logistic, &[y], "gate", &[1, 3, 4, 8]);
    let y = b.node(Op::Sub(Activation::None), &[y, gate], "sub", &[1, 3, 4, 8]);
    let y = b.node(Op::Relu6, &[y], "relu6", &[1, 3, 4, 8]);
    let axes = b.ints(&[2], &[1, 2]);
    let y = b.node(Op::Mean, &[y, axes], "mean", &[1, 8]);
    let (w, bias) = (b.weights("fc", 4, &[3, 8]), b.weights("fc/bias", 5, &[3]));
    let y = b.node(Op::FullyConnected(Activation::None), &[y, w, bias], "fc", &[1, 3]);
    let y = b.node(Op::Softmax { beta: 1.0 }, &[y], "softmax", &[1, 3]);
    b.network(y)
}

pub(super) fn samples(network: &Graph, count: u32) -> Vec<Vec<f32>> {
    let elements = network.inputs.iter().map(|&id| network.tensors[id].elements()).sum();
    (0..count).map(|seed| numbers(seed * 77 + 5, elements)).collect()
}

pub(super) fn compile(network: &Graph, quantize: &Quantize) -> (Compiled, Report) {
    compile_float(network, &samples(network, 40), quantize, b"", &Options::default()).unwrap()
}

#[test]
fn every_layer_stays_near_the_float_network() {
    let (compiled, report) = compile(&everything(), &Quantize::default());
    let model = Model::parse(&compiled.bytes).unwrap();
    assert_eq!(model.value(model.input(0).unwrap()).dtype, tealight_format::DType::I8);
    assert_eq!(report.trials.len(), 6);
    assert!(report.trials.iter().all(|trial| trial.snr_db <= report.snr_db));
    assert!(report.snr_db > 25.0 && report.snr_db.is_finite(), "{report:#?}");
    assert!(report.layers.len() > 8, "{report:#?}");
    // Activations are fused into the operators before them, under their names.
    let names: Vec<&str> = report.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert!(names.contains(&"conv") && !names.contains(&"relu"), "{names:?}");
    for layer in &report.layers {
        assert!(layer.snr_db > 22.0, "{report:#?}");
    }
    assert_eq!(report.agreement, Some(1.0));
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[test]
fn operators_in_terms_of_others_stay_near_the_float_network() {
    let mut b = Build::default();
    let shape = [1, 4, 6, 8];
    let x = b.input(&shape);
    let wide = b.node(Op::DepthToSpace { block: 2 }, &[x], "wide", &[1, 8, 12, 2]);
    let deep = b.node(Op::SpaceToDepth { block: 2 }, &[wide], "deep", &shape);
    let exp = b.node(Op::Unary(UnaryFunction::Exp), &[deep], "exp", &shape);
    let squares = b.node(Op::SquaredDifference, &[exp, x], "squares", &shape);
    let sum = b.node(Op::AddN, &[exp, squares, x], "sum", &shape);
    let maximum = b.node(Op::Maximum, &[sum, exp], "maximum", &shape);
    let minimum = b.node(Op::Minimum, &[maximum, squares], "minimum", &shape);
    let (first, last) = (b.ints(&[1], &[1]), b.ints(&[1], &[-1]));
    let columns = b.node(Op::ReduceMin, &[minimum, first], "columns", &[1, 6, 8]);
    let y = b.node(Op::ReduceMax, &[columns, last], "y", &[1, 6]);
    let (compiled, report) = compile(&b.network(y), &Quantize::default());
    assert!(report.snr_db > 25.0, "{report:#?}");
    let model = Model::parse(&compiled.bytes).unwrap();
    assert!((0..model.op_count()).all(|at| !model.op(at).operator.code().name().ends_with("F32")));
}

#[test]
fn the_index_of_the_largest_score_is_found_in_its_codes() {
    let mut b = Build::default();
    let x = b.input(&[1, 12]);
    let w = b.weights("fc", 4, &[6, 12]);
    let scores = b.node(Op::FullyConnected(Activation::None), &[x, w], "fc", &[1, 6]);
    let axis = b.ints(&[], &[-1]);
    let class = b.node(Op::ArgMinMax { smallest: false, last: false }, &[scores, axis], "class", &[1]);
    b.0.tensors[class].dtype = ElementType::I32;
    let network = b.network(class);
    let (compiled, report) = compile(&network, &Quantize::default());
    // The scores are what is measured.
    assert!(report.snr_db > 30.0 && report.snr_db.is_finite() && report.agreement.is_none(), "{report:#?}");
    let model = Model::parse(&compiled.bytes).unwrap();
    assert_eq!(model.op(model.op_count() - 1).operator.code().name(), "ArgMinMax");
    let [float, int8] =
        [crate::driver::compile_to_measure(network.clone(), &Options::default()).unwrap().bytes, compiled.bytes].map(
            |bytes| {
                let mut session = OwnedSession::from_bytes(&bytes).unwrap();
                samples(&network, 20)
                    .iter()
                    .map(|sample| {
                        crate::session::write_input(&mut session, 0, sample).unwrap();
                        session.run();
                        session.output(0).unwrap().as_slice::<i32>().unwrap()[0]
                    })
                    .collect::<Vec<i32>>()
            },
        );
    let other = float.iter().zip(&int8).filter(|(a, b)| a != b).count();
    assert!(other <= 1 && float.iter().any(|class| *class != float[0]), "{float:?} {int8:?}");
}

#[test]
fn float_inputs_and_outputs_hold_f32_values() {
    let network = everything();
    let quantize = Quantize { float_io: true, ..Quantize::default() };
    let (compiled, report) = compile(&network, &quantize);
    assert!(report.snr_db > 25.0, "{report:#?}");
    let model = Model::parse(&compiled.bytes).unwrap();
    let mut session = OwnedSession::from_bytes(model.bytes()).unwrap();
    let sample = &samples(&network, 1)[0];
    session.input(0).unwrap().copy_from(sample).unwrap();
    session.run();
    let streams = [vec![sample.clone()]];
    FloatRun::new(&network, &Options::default())
        .unwrap()
        .run(Samples::new(&network, &streams).unwrap().iter(), |_, values| {
            for (found, wanted) in
                session.output(0).unwrap().as_slice::<f32>().unwrap().iter().zip(*values.last().unwrap())
            {
                assert!((found - wanted).abs() < 0.03, "{found} instead of {wanted}");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn correcting_biases_takes_the_mean_error_away() {
    // All inputs are positive, so rounding errors of the weights add up to a shift.
    let mut b = Build::default();
    let x = b.input(&[1, 64]);
    let mut weights = vec![0.3; 63];
    weights.push(90.0);
    let w = b.constant(&[1, 64], &weights);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "fc", &[1, 1]);
    let network = b.network(y);
    let samples: Vec<Vec<f32>> =
        (0..30).map(|seed| numbers(seed, 63).iter().map(|x| x.abs()).chain([0.01]).collect()).collect();
    let snr = |correct| {
        let quantize = Quantize { bias_correction: Some(correct), ..Quantize::default() };
        compile_float(&network, &samples, &quantize, b"", &Options::default()).unwrap().1.snr_db
    };
    let [plain, corrected] = [snr(false), snr(true)];
    assert!(corrected > plain + 6.0, "{corrected} against {plain}");
}

fn refused(network: &Graph, samples: &[Vec<f32>]) -> String {
    compile_float(network, samples, &Quantize::default(), b"", &Options::default()).unwrap_err().to_string()
}

#[test]
fn rejects_bad_calibration_data_with_the_reason() {
    let network = everything();
    let good = samples(&network, 1).remove(0);
    let with = |value: f32| {
        let mut sample = good.clone();
        sample[7] = value;
        vec![good.clone(), sample]
    };
    assert!(refused(&network, &[]).contains("empty"));
    assert!(
        refused(&network, &[good.clone(), vec![1.0]])
            .starts_with("calibration sample 1 has 1 numbers; the network takes 128 ([1, 8, 8, 2])")
    );
    assert!(refused(&network, &with(f32::NAN)).contains("sample 1 is NaN at index 7"));
    assert!(refused(&network, &with(f32::INFINITY)).contains("sample 1 is inf at index 7"));
    assert!(refused(&network, &with(f32::MAX)).contains("inf on calibration sample 1"));
    assert!(refused(&network, &vec![vec![0.5; 128]; 3]).contains("constant: every number of `x0` is 0.5"));
}

#[test]
fn warns_of_a_tensor_that_never_changes() {
    let mut b = Build::default();
    let x = b.input(&[1, 2]);
    let w = b.constant(&[1, 2], &[-1.0, -1.0]);
    let y = b.node(Op::FullyConnected(Activation::Relu), &[x, w], "silent", &[1, 1]);
    let network = b.network(y);
    let samples = [vec![0.5, 1.0], vec![2.0, 0.1]];
    let report = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap().1;
    assert!(report.warnings[0].starts_with("tensor `silent` is 0 throughout"), "{:?}", report.warnings);
}

/// A layer without its weights.
fn without_weights() -> Graph {
    let mut b = Build::default();
    let x = b.input(&[1, 2]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x], "fc", &[1, 1]);
    b.network(y)
}

#[test]
fn rejects_damaged_weights_and_unknown_operators_by_name() {
    let mut b = Build::default();
    let x = b.input(&[1, 2]);
    let w = b.constant(&[1, 2], &[1.0, f32::NAN]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "fc", &[1, 1]);
    let network = b.network(y);
    let error = refused(&network, &[vec![0.5, 1.0]]);
    assert!(error.contains("`constant_1` is NaN at index 1"), "{error}");

    // Weights that are computed, and weights that are missing.
    let mut b = Build::default();
    let x = b.input(&[1, 2]);
    let w = b.node(Op::Relu, &[x], "w", &[1, 2]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "fc", &[1, 1]);
    let error = refused(&b.network(y), &[vec![0.5, 1.0]]);
    assert!(error.contains("node 1 (FullyConnected)") && error.contains("a constant for input 1, `w`"), "{error}");
    let error = refused(&without_weights(), &[vec![0.5, 1.0]]);
    assert!(error.contains("node 0 (FullyConnected): input 1 is missing"), "{error}");
    let streams = [vec![vec![0.5, 1.0]]];
    let error = compile_weights(&without_weights(), &streams, None, b"", &Options::default()).unwrap_err().to_string();
    assert!(error.contains("input 1 is missing"), "{error}");

    let mut b = Build::default();
    let x = b.input(&[1, 2]);
    let y = b.node(Op::Div(Activation::None), &[x, x], "div", &[1, 2]);
    let error = refused(&b.network(y), &[vec![0.5, 1.0]]);
    assert!(error.starts_with("node 0 (Div) is not supported"), "{error}");
}

#[test]
fn an_int8_network_is_not_calibrated_again() {
    let network = crate::import_tflite(include_bytes!("../../tests/relu.tflite")).unwrap();
    let error = refused(&network, &[vec![0.0, 1.0, 2.0]]);
    assert!(error.contains("quantized already") && error.contains("int8"), "{error}");
}

#[test]
fn a_poor_quantization_is_measured_as_poor() {
    // One weight is far larger than the others of its channel, and only the others are ever used.
    let mut b = Build::default();
    let x = b.input(&[1, 4]);
    let w = b.constant(&[1, 4], &[1000.0, 1.0, -1.0, 1.0]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "fc", &[1, 1]);
    let network = b.network(y);
    let samples: Vec<Vec<f32>> = (0..20).map(|seed| [vec![0.0], numbers(seed, 3)].concat()).collect();
    let report = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap().1;
    assert!(report.snr_db < 3.0, "{report:?}");
}

#[test]
fn the_file_does_not_depend_on_the_run() {
    let network = everything();
    assert_eq!(compile(&network, &Quantize::default()).0.bytes, compile(&network, &Quantize::default()).0.bytes);
}

#[test]
fn a_clamp_of_its_own_keeps_the_quantization_of_its_input() {
    let mut b = Build::default();
    let x = b.input(&[1, 8]);
    let y = b.node(Op::HardSwish, &[x], "gate", &[1, 8]);
    let y = b.node(Op::Relu6, &[y], "relu6", &[1, 8]);
    let network = b.network(y);
    let samples: Vec<Vec<f32>> = (0..20).map(|seed| numbers(seed, 8).iter().map(|x| x * 20.0).collect()).collect();
    let report = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap().1;
    assert!(report.snr_db > 30.0, "{report:?}");
}

#[test]
fn several_inputs_each_have_their_range() {
    let mut b = Build::default();
    let (small, large) = (b.input(&[1, 4]), b.input(&[1, 4]));
    let y = b.node(Op::Mul(Activation::None), &[small, large], "mul", &[1, 4]);
    let network = b.network(y);
    let samples: Vec<Vec<f32>> = (0..40)
        .map(|seed| {
            let large = numbers(seed + 99, 4).into_iter().map(|x| x * 1000.0);
            numbers(seed, 4).into_iter().map(|x| x * 0.01).chain(large).collect()
        })
        .collect();
    let (compiled, report) = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap();
    assert!(report.snr_db > 35.0, "{report:#?}");
    let model = Model::parse(&compiled.bytes).unwrap();
    let scales = [0, 1].map(|k| model.value(model.input(k).unwrap()).quantization.scale);
    assert!(scales[0] < 1e-4 && scales[1] > 5.0, "{scales:?}");
}

/// A leaky sum: three quarters of the variable plus the input, which is the output and the new value. It starts at
/// `first`.
pub(super) fn leaky(first: [f32; 2]) -> Graph {
    let mut b = Build::default();
    let x = b.input(&[1, 2]);
    let [state, old] = ["state", "old"].map(|name| b.real(name, &[1, 2]));
    b.0.tensors[state].content = Content::State(Some(first.iter().flat_map(|x| x.to_le_bytes()).collect()));
    let copy = |from: TensorId, to| Node {
        op: NodeOp::Kernel(Operator::Copy(ops::Copy)),
        inputs: vec![Some(from)],
        outputs: vec![to],
        origin: 0,
    };
    b.0.nodes.push(copy(state, old));
    let factor = b.constant(&[1, 2], &[0.75; 2]);
    let y = b.node(Op::Mul(Activation::None), &[old, factor], "decayed", &[1, 2]);
    let y = b.node(Op::Add(Activation::None), &[y, x], "sum", &[1, 2]);
    b.0.nodes.push(copy(y, state));
    b.network(y)
}

#[test]
fn variables_are_quantized_by_all_values_assigned_to_them() {
    let network = leaky([0.0, 0.0]);
    // All ones: the sum grows to 4, far beyond any input.
    let streams: Vec<Vec<Vec<f32>>> = (0..4).map(|k| vec![vec![1.0, 0.1 * k as f32]; 20]).collect();
    let compiled = |streams: &[Vec<Vec<f32>>]| {
        let (compiled, report) =
            compile_float_streams(&network, streams, &Quantize::default(), b"", &Options::default()).unwrap();
        (compiled.bytes, report)
    };
    let (bytes, report) = compiled(&streams);
    assert!(report.snr_db > 30.0, "{report:#?}");
    assert_eq!(report.samples, 80);
    let model = Model::parse(&bytes).unwrap();
    assert!(model.state_len() >= 2);
    let mut session = OwnedSession::from_bytes(model.bytes()).unwrap();
    let (input, output) = (model.value(model.input(0).unwrap()), model.value(model.output(0).unwrap()));
    let mut float = 0.0f32;
    for step in 0..20 {
        let real = Params::new(input.quantization, Activations::Int8);
        session.input(0).unwrap().copy_from(&[real.quantize(1.0) as i8; 2]).unwrap();
        session.run();
        float = 0.75 * float + 1.0;
        let found = output.quantization.dequantize(session.output(0).unwrap().as_slice::<i8>().unwrap()[0].into());
        assert!((found - float).abs() < 0.1, "step {step}: {found} instead of {float}");
    }
    // In one stream the later samples start from where the earlier ones ended.
    let together = [streams.concat()];
    assert_ne!(compiled(&together).0, bytes);
}

#[test]
fn a_variable_keeps_its_initial_value() {
    let network = leaky([3.0, -2.0]);
    let samples: Vec<Vec<f32>> = (0..8).map(|seed| numbers(seed, 2)).collect();
    let streams: Vec<Vec<Vec<f32>>> = samples.into_iter().map(|sample| vec![sample]).collect();
    let (compiled, _) =
        compile_float_streams(&network, &streams, &Quantize::default(), b"", &Options::default()).unwrap();
    let model = Model::parse(&compiled.bytes).unwrap();
    let mut session = OwnedSession::from_bytes(model.bytes()).unwrap();
    let zero = model.value(model.input(0).unwrap()).quantization.zero_point as i8;
    session.input(0).unwrap().copy_from(&[zero; 2]).unwrap();
    session.run();
    let output = model.value(model.output(0).unwrap());
    for (byte, wanted) in session.output(0).unwrap().as_slice::<i8>().unwrap().iter().zip([2.25, -1.5]) {
        let found = output.quantization.dequantize((*byte).into());
        assert!((found - wanted).abs() < 0.05, "{found} instead of {wanted}");
    }
}

/// Two matrices with weights of equal magnitude and a ReLU between them. Then the rows of the first grow by up to
/// `most` times while the columns of the second shrink by as much.
fn two_layers(most: f32) -> Graph {
    let mut b = Build::default();
    let x = b.input(&[1, 16]);
    let spread = |row: usize| most.powf(row as f32 / 15.0);
    let signs = |seed: u32, count: usize| numbers(seed, count).into_iter().map(f32::signum).enumerate();
    let wide: Vec<f32> = signs(1, 256).map(|(k, w)| w * spread(k / 16)).collect();
    let narrow: Vec<f32> = signs(2, 64).map(|(k, w)| w / spread(k % 16)).collect();
    let (w, v) = (b.constant(&[16, 16], &wide), b.constant(&[4, 16], &narrow));
    let y = b.node(Op::FullyConnected(Activation::Relu), &[x, w], "wide", &[1, 16]);
    let y = b.node(Op::FullyConnected(Activation::None), &[y, v], "narrow", &[1, 4]);
    b.network(y)
}

#[test]
fn equalizing_pays_where_channels_differ_and_is_then_chosen() {
    let network = two_layers(1000.0);
    let report = compile(&network, &Quantize::default()).1;
    assert_eq!(report.trials.len(), 12);
    assert!(report.chosen.unwrap().equalized, "{report:#?}");
    let best = |equalized| {
        let trials = report.trials.iter().filter(|trial| trial.equalized == equalized);
        trials.map(|trial| trial.snr_db).fold(f64::NEG_INFINITY, f64::max)
    };
    assert!(best(true) > best(false) + 10.0, "{report:#?}");
    // Where the channels hardly differ there is hardly anything to gain, and the weights stay unchanged.
    let even = compile(&two_layers(1.02), &Quantize::default()).1;
    assert!(even.trials.len() == 12 && !even.chosen.unwrap().equalized, "{even:#?}");
    let without = Quantize { equalize: Some(false), ..Quantize::default() };
    assert!(compile(&network, &without).1.trials.iter().all(|trial| !trial.equalized));
}

/// A convolution and two matrices; each block of the second has one weight far larger than the others.
pub(super) fn mixed() -> Graph {
    let mut b = Build::default();
    let x = b.input(&[1, 4, 4, 2]);
    let w = b.weights("conv", 1, &[2, 3, 3, 2]);
    let y = b.node(Op::Conv2d(window(Padding::Same, 1, 0)), &[x, w], "conv", &[1, 4, 4, 2]);
    let y = b.node(Op::Reshape { new_shape: None }, &[y], "flat", &[1, 32]);
    let w = b.weights("even", 2, &[32, 32]);
    let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "even", &[1, 32]);
    let w = b.weights("uneven", 3, &[3, 32]);
    let mut rows = numbers(3, 96);
    rows.iter_mut().step_by(32).for_each(|w| *w = 50.0);
    b.0.tensors[w].content = Content::Constant(rows.iter().flat_map(|w| w.to_le_bytes()).collect());
    let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "uneven", &[1, 3]);
    b.network(y)
}

fn weights(network: &Graph, min_snr: Option<f64>, options: &Options) -> (Compiled, Report) {
    let streams = [samples(network, 40)];
    compile_weights(network, &streams, min_snr, b"", options).unwrap()
}

#[test]
fn the_report_lists_the_cost_of_each_type() {
    let report = weights(&mixed(), None, &Options { quantize: Some(crate::BlockType::Q8_0), ..Options::default() }).1;
    let layer = |name: &str| report.layers.iter().find(|layer| layer.name == name).unwrap();
    let of = |layer: &Layer, weights: &str| *layer.choices.iter().find(|choice| choice.weights == weights).unwrap();
    let even = layer("even");
    assert_eq!(even.weights, Some("q8_0"));
    assert_eq!(even.bytes, 32 * 34);
    let sizes = ["f32", "f16", "q8_0", "q4_0", "int8"].map(|name| of(even, name).bytes);
    assert_eq!(sizes, [4096, 2048, 1088, 576, 1024 + 12 * 32]);
    let ratios = ["f32", "f16", "q8_0", "q4_0"].map(|name| of(even, name).snr_db);
    assert!(ratios[0].is_infinite() && ratios.is_sorted_by(|a, b| a > b), "{ratios:?}");
    assert!((15.0..60.0).contains(&ratios[3]) && (30.0..60.0).contains(&of(even, "int8").snr_db), "{even:#?}");
    assert!(of(even, "q4_0").worst > of(even, "q8_0").worst);
    // A convolution takes no blocks, and types of 256 elements need longer rows.
    let conv: Vec<_> = layer("conv").choices.iter().map(|choice| choice.weights).collect();
    assert_eq!(conv, ["f32", "f16", "int8", "int8-int4", "16x8"]);
    assert!(even.choices.iter().all(|choice| choice.weights != "q4k"));
    assert_eq!((layer("conv").weights, layer("flat").weights), (Some("f32"), None));
    // The errors before this layer already limit its result.
    assert!(layer("uneven").snr_db <= of(layer("uneven"), "q8_0").snr_db + 1.0);
    assert!(report.snr_db < 60.0 && report.agreement.is_some() && report.chosen.is_none());
}

#[test]
fn the_smallest_type_that_keeps_the_ratio_is_chosen() {
    let network = mixed();
    for min_snr in [10.0, 30.0, 45.0, 200.0] {
        let (compiled, report) = weights(&network, Some(min_snr), &Options::default());
        for layer in report.layers.iter().filter(|layer| !layer.choices.is_empty()) {
            let quantized = |name: &str| choices::QUANTIZED.iter().any(|(of, ..)| *of == name);
            let stored = layer.choices.iter().filter(|choice| !quantized(choice.weights));
            let fits = stored.filter(|choice| choice.snr_db >= min_snr);
            let smallest = fits.map(|choice| choice.bytes).min().unwrap();
            assert_eq!(layer.bytes, smallest, "{min_snr} dB: {layer:#?}");
        }
        let model = Model::parse(&compiled.bytes).unwrap();
        let blocks = (0..model.op_count()).filter(|&op| model.op(op).operator.block_type().is_some()).count();
        assert_eq!(blocks, if min_snr > 40.0 { 0 } else { 2 }, "{min_snr} dB");
    }
}

#[test]
fn layers_of_an_int8_network_have_int4_weights_where_that_is_selected() {
    use tealight_format::DType::{I4, I8};
    let (network, int4) = (mixed(), crate::WeightType::Int4);
    let compile = |layers: &[(&str, crate::WeightType)]| {
        let layers = layers.iter().map(|(name, of)| (name.to_string(), *of)).collect();
        let options = Options { layers, ..Options::default() };
        compile_float(&network, &samples(&network, 40), &Quantize::default(), b"", &options)
    };
    let dtypes = |compiled: &Compiled| {
        let model = Model::parse(&compiled.bytes).unwrap();
        let ops = (0..model.op_count()).map(|at| model.op(at));
        let layers = ops.filter(|op| op.operator.channels_input().is_some());
        layers.map(|op| model.value(op.input(1).unwrap().into()).dtype).collect::<Vec<_>>()
    };
    let (all, report) = compile(&[]).unwrap();
    assert_eq!(dtypes(&all), [I8; 3]);
    let (one, with_one) = compile(&[("ev*", int4)]).unwrap();
    assert_eq!(dtypes(&one), [I8, I4, I8]);
    // Half of 1024 weights, less an entry with their shape.
    assert!((400..=512).contains(&(all.bytes.len() - one.bytes.len())));
    let types = |report: &Report| report.layers.iter().filter_map(|layer| layer.weights).collect::<Vec<_>>();
    assert_eq!(types(&with_one), ["int8", "int8-int4", "int8"]);
    assert_eq!(with_one.layers.iter().find(|layer| layer.name == "even").unwrap().bytes, 512 + 12 * 32);
    assert!(report.snr_db > with_one.snr_db && with_one.snr_db > 8.0, "{} {}", report.snr_db, with_one.snr_db);
    assert_eq!(dtypes(&compile(&[("*", int4)]).unwrap().0), [I4; 3]);

    let error = |layers: &[(&str, crate::WeightType)]| compile(layers).unwrap_err().to_string();
    let unknown = error(&[("dense", int4)]);
    assert!(unknown.contains("dense") && unknown.contains("even"), "{unknown}");
    let f16 = error(&[("even", crate::WeightType::F16)]);
    assert!(f16.contains("f16") && f16.contains("int8 or int4"), "{f16}");
}

#[test]
fn a_layer_with_a_requested_type_keeps_that_type() {
    let q8 = crate::WeightType::Blocks(crate::BlockType::Q8_0);
    let options = Options { layers: vec![("un*".into(), q8)], ..Options::default() };
    let report = weights(&mixed(), Some(10.0), &options).1;
    let types: Vec<_> = report.layers.iter().filter_map(|layer| layer.weights).collect();
    assert_eq!(types[2], "q8_0");
    assert_ne!(types[1], "q8_0");
    let options = Options { layers: vec![("dense".into(), q8)], ..Options::default() };
    let streams = [samples(&mixed(), 4)];
    let error = compile_weights(&mixed(), &streams, Some(10.0), b"", &options).unwrap_err().to_string();
    assert!(error.contains("no layer is called `dense`") && error.contains("conv, even, uneven"), "{error}");
}

#[test]
fn chooses_one_type_for_a_table_that_is_also_a_matrix() {
    let network = crate::store::tests::tied();
    let streams = [(0..8).map(|token| vec![token as f32]).collect::<Vec<_>>()];
    let options = Options { keep_names: true, ..Options::default() };
    let (compiled, report) = compile_weights(&network, &streams, Some(25.0), b"", &options).unwrap();
    let table: Vec<&Layer> = report.layers.iter().filter(|layer| layer.name == "embedding").collect();
    assert_eq!(table.len(), 2, "{report:#?}");
    assert_eq!(table[0].weights, table[1].weights);
    for layer in &table {
        let choice = layer.choices.iter().find(|choice| Some(choice.weights) == layer.weights).unwrap();
        assert!(choice.snr_db >= 25.0 && choice.weights != "f32", "{layer:#?}");
    }
    let model = Model::parse(&compiled.bytes).unwrap();
    assert_eq!(model.op(0).input(1), model.op(3).input(1));
    // A token must be a whole number.
    let error = compile_weights(&network, &[vec![vec![0.5]]], None, b"", &options).unwrap_err().to_string();
    assert!(error.contains("input `token` of calibration sample 0 is 0.5"), "{error}");
}

/// A convolution, a ReLU and a matrix.
fn classifier() -> Graph {
    let mut b = Build::default();
    let x = b.input(&[1, 6, 6, 2]);
    let w = b.weights("conv", 1, &[4, 3, 3, 2]);
    let y = b.node(Op::Conv2d(window(Padding::Same, 2, 0)), &[x, w], "conv", &[1, 3, 3, 4]);
    let y = b.node(Op::Relu, &[y], "relu", &[1, 3, 3, 4]);
    let y = b.node(Op::Reshape { new_shape: None }, &[y], "flat", &[1, 36]);
    let w = b.weights("matrix", 2, &[3, 36]);
    let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "matrix", &[1, 3]);
    b.network(y)
}

/// Returns the signal-to-noise ratio of a compiled network's first output on these samples, run as one sequence.
fn nearness(network: &Graph, compiled: &Compiled, samples: &[Vec<f32>]) -> f64 {
    let model = Model::parse(&compiled.bytes).unwrap();
    let mut session = OwnedSession::from_bytes(model.bytes()).unwrap();
    let float = FloatRun::new(network, &Options::default()).unwrap();
    let place = float.place(network.outputs[0]).unwrap();
    let mut sums = report::Sums::default();
    let streams = [samples.to_vec()];
    let samples = Samples::new(network, &streams).unwrap();
    let compare = |sample: samples::Sample<'_>, values: &[&[f32]]| {
        let mut rest = sample.numbers;
        for (k, id) in network.inputs.iter().enumerate() {
            let (numbers, after) = rest.split_at(network.tensors[*id].elements());
            float_run::write_input(&mut session, k, numbers)?;
            rest = after;
        }
        session.run();
        sums.add(values[place], &float_run::values_of(&session, model.output(0).unwrap()));
        Ok(())
    };
    float.run(samples.iter(), compare).unwrap();
    sums.snr_db()
}

fn ranges(ranges: Ranges) -> Quantize {
    Quantize { ranges: Some(ranges), ..Quantize::default() }
}

/// Calibrates with `samples`, and measures how near the result is to the float network on the ordinary inputs
/// `held_out`.
fn calibrated(network: &Graph, samples: &[Vec<f32>], quantize: &Quantize, held_out: &[Vec<f32>]) -> (Report, f64) {
    let (compiled, report) = compile_float(network, samples, quantize, b"", &Options::default()).unwrap();
    (report, nearness(network, &compiled, held_out))
}

fn has(report: &Report, part: &str) -> bool {
    report.warnings.iter().any(|warning| warning.contains(part))
}

#[test]
fn one_wrong_value_sets_only_the_min_max_range_and_is_reported() {
    let network = classifier();
    let good = samples(&network, 64);
    let held_out: Vec<Vec<f32>> = (1000..1040).map(|seed| numbers(seed * 13, 72)).collect();
    let (clean, clean_db) = calibrated(&network, &good, &Quantize::default(), &held_out);
    assert!(clean.warnings.is_empty() && clean_db > 30.0, "{clean_db}: {clean:#?}");
    for (sample, index, value) in [(17, 5, 1e4), (0, 71, -1e6), (63, 0, 50.0), (40, 9, 3e30)] {
        let mut bad = good.clone();
        bad[sample][index] = value;
        let place = format!("calibration sample {sample} is {value:?} at index {index} of input `x0`");
        for quantize in [Quantize::default(), ranges(Ranges::Percentile), ranges(Ranges::Mse)] {
            let (report, db) = calibrated(&network, &bad, &quantize, &held_out);
            assert!(db > clean_db - 3.0, "{value}: {db} dB instead of {clean_db}: {report:#?}");
            assert!(report.median_snr_db > Some(clean_db - 3.0), "{report:#?}");
            assert_eq!(report.worst_sample, Some(sample), "{report:#?}");
            assert!(report.worst_snr_db < Some(10.0), "{report:#?}");
            let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
            assert!(warning.starts_with(&place), "{warning}");
        }
        let (report, _) = calibrated(&network, &bad, &ranges(Ranges::MinMax), &held_out);
        assert!(has(&report, &place), "{:?}", report.warnings);
        assert_eq!(has(&report, "ordinary inputs"), value.abs() > 100.0, "{value}: {:?}", report.warnings);
    }
}

#[test]
fn the_median_shows_errors_that_a_loud_sample_hides_in_the_sum() {
    let network = classifier();
    let mut bad = samples(&network, 64);
    bad[17][5] = 1e4;
    let report = calibrated(&network, &bad, &ranges(Ranges::MinMax), &bad[..10]).0;
    assert!(report.snr_db > 30.0, "{report:#?}");
    assert!(report.median_snr_db < Some(5.0), "{report:#?}");
    assert!(has(&report, "`matrix` hardly varies over ordinary inputs"), "{:?}", report.warnings);
    assert!(report.agreement < Some(0.9) && has(&report, "the largest element of output `matrix`"), "{report:#?}");
    // Without the outlier, sum and median agree.
    let report = calibrated(&network, &samples(&network, 64), &ranges(Ranges::MinMax), &bad[..10]).0;
    assert!((report.median_snr_db.unwrap() - report.snr_db).abs() < 6.0, "{report:#?}");
    assert!(report.trials.iter().all(|trial| trial.ordinary_snr_db == trial.snr_db), "{report:#?}");
}

#[test]
fn one_value_in_a_thousand_does_not_set_the_range() {
    let network = classifier();
    let mut bad = samples(&network, 64);
    // Four of 4608, each in a separate sample.
    for k in 0..4 {
        bad[k * 15 + 3][k * 11 + 7] = 300.0 * (k + 1) as f32;
    }
    let held_out: Vec<Vec<f32>> = (1000..1040).map(|seed| numbers(seed * 13, 72)).collect();
    for quantize in [Quantize::default(), ranges(Ranges::Percentile), ranges(Ranges::Mse)] {
        let (report, db) = calibrated(&network, &bad, &quantize, &held_out);
        assert!(db > 28.0 && has(&report, "and 3 more are like it"), "{db}: {report:#?}");
    }
}

#[test]
fn a_sample_in_another_unit_does_not_set_the_range() {
    let network = classifier();
    let mut bad = samples(&network, 40);
    bad[7].iter_mut().for_each(|number| *number *= 255.0);
    let held_out = samples(&network, 7);
    let (report, db) = calibrated(&network, &bad, &Quantize::default(), &held_out);
    assert!(db > 30.0 && has(&report, "calibration sample 7"), "{db}: {report:#?}");
}

#[test]
fn an_outlier_in_one_input_or_a_quiet_channel_does_not_set_the_range() {
    let mut b = Build::default();
    let (x0, x1) = (b.input(&[1, 4]), b.input(&[1, 4]));
    let y = b.node(Op::Add(Activation::None), &[x0, x1], "sum", &[1, 4]);
    let network = b.network(y);
    let mut bad = samples(&network, 40);
    let held_out = samples(&network, 9);
    bad[11][6] = -5000.0;
    let (report, db) = calibrated(&network, &bad, &Quantize::default(), &held_out);
    assert!(db > 30.0 && has(&report, "sample 11 is -5000.0 at index 2 of input `x1`"), "{db}: {report:#?}");

    // One element is a thousandth of the others but has a weight a thousand times theirs: its outlier is as large as
    // they are.
    let mut b = Build::default();
    let x = b.input(&[1, 4]);
    let w = b.constant(&[2, 4], &[1.0, -0.5, 0.25, 1000.0, 0.5, 1.0, 0.5, -800.0]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "mixed", &[1, 2]);
    let network = b.network(y);
    let quiet = |mut samples: Vec<Vec<f32>>| {
        samples.iter_mut().for_each(|sample| sample[3] /= 1000.0);
        samples
    };
    let held_out = quiet(samples(&network, 9));
    let mut bad = quiet(samples(&network, 40));
    let clean = calibrated(&network, &bad, &Quantize::default(), &held_out).1;
    bad[20][3] = 1.0;
    let (report, db) = calibrated(&network, &bad, &Quantize::default(), &held_out);
    assert!(db > clean - 3.0, "{db} dB instead of {clean}: {report:#?}");
    assert!(has(&report, "`mixed` is far larger in calibration sample 20"), "{:?}", report.warnings);
}

#[test]
fn an_outlier_does_not_persist_in_state() {
    let network = leaky([0.0, 0.0]);
    let mut streams: Vec<Vec<Vec<f32>>> = samples(&network, 80).chunks(20).map(<[Vec<f32>]>::to_vec).collect();
    streams[1][3][1] = 1e5;
    let compile = |ranges| {
        let quantize = Quantize { ranges, ..Quantize::default() };
        compile_float_streams(&network, &streams, &quantize, b"", &Options::default()).unwrap()
    };
    let (compiled, report) = compile(None);
    assert!(has(&report, "sample 23 is 100000.0 at index 1 of input `x0`"), "{:?}", report.warnings);
    assert!(nearness(&network, &compiled, &samples(&network, 20)) > 25.0, "{report:#?}");
    assert!(report.median_snr_db > Some(25.0), "{report:#?}");
    assert!(has(&compile(Some(Ranges::MinMax)).1, "hardly varies"));
}

#[test]
fn warns_of_an_output_whose_variation_is_lost() {
    let far = |offset: f32| {
        let mut b = Build::default();
        let x = b.input(&[1, 4]);
        let (w, bias) = (b.weights("matrix", 2, &[1, 4]), b.constant(&[1], &[offset]));
        let y = b.node(Op::FullyConnected(Activation::None), &[x, w, bias], "matrix", &[1, 1]);
        compile(&b.network(y), &Quantize::default()).1
    };
    let report = far(1000.0);
    assert!(report.snr_db > 50.0 && has(&report, "`matrix`"), "{report:#?}");
    for offset in [0.0, 5.0] {
        assert_eq!(far(offset).warnings, Vec::<String>::new());
    }
}

#[test]
fn warns_of_low_agreement_at_any_signal_to_noise_ratio() {
    // The three scores are nearly equal, and the difference at the maximum is below a step.
    let mut b = Build::default();
    let x = b.input(&[1, 4]);
    let w = b.constant(&[3, 4], &[5.0, 0.0, 0.0, 0.0, 5.0, 0.02, 0.0, 0.0, 5.0, 0.0, 0.02, 0.0]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "matrix", &[1, 3]);
    let report = compile(&b.network(y), &Quantize::default()).1;
    assert!(report.snr_db > 30.0 && report.agreement < Some(0.9), "{report:#?}");
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    let share = format!("for only {:.1} % of the inputs", report.agreement.unwrap() * 100.0);
    assert!(warning.starts_with("the largest element of output `matrix`") && warning.ends_with(&share), "{warning}");
}

#[test]
fn silent_samples_do_not_count_in_the_worst_ratio() {
    let network = classifier();
    let mut silent = samples(&network, 20);
    silent.iter_mut().step_by(2).for_each(|sample| sample.fill(0.0));
    let report = calibrated(&network, &silent, &Quantize::default(), &silent).0;
    assert!(report.warnings.is_empty() && report.worst_snr_db > Some(20.0), "{report:#?}");
    assert_eq!(report.worst_sample.map(|sample| sample % 2), Some(1));
    let report = calibrated(&network, &samples(&network, 1), &Quantize::default(), &samples(&network, 1)).0;
    assert!(report.warnings.is_empty() && report.snr_db > 25.0, "{report:#?}");
    assert_eq!((report.median_snr_db, report.worst_snr_db), (Some(report.snr_db), Some(report.snr_db)));
    assert_eq!(report.worst_sample, Some(0));
}

#[test]
fn warns_of_weights_in_too_small_a_type_and_accepts_an_infinite_border() {
    let options = Options { quantize: Some(crate::BlockType::Q4_0), ..Options::default() };
    // Rows whose 32 weights nearly cancel, with one so large that the others round to 0.
    let mut b = Build::default();
    let x = b.input(&[1, 32]);
    let mut rows = numbers(3, 96);
    rows.iter_mut().step_by(32).for_each(|w| *w = 50.0);
    let w = b.constant(&[3, 32], &rows);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "uneven", &[1, 3]);
    let network = b.network(y);
    let mut quiet = samples(&network, 40);
    quiet.iter_mut().for_each(|sample| sample[0] = 0.0);
    quiet[0][0] = 1e-3;
    let report = compile_weights(&network, &[quiet], None, b"", &options).unwrap().1;
    assert!(has(&report, "`uneven` hardly varies"), "{report:#?}");

    let mut b = Build::default();
    let x = b.input(&[1, 4, 4, 2]);
    let (pads, far) = (b.ints(&[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]), b.constant(&[], &[f32::NEG_INFINITY]));
    let y = b.node(Op::PadWith, &[x, pads, far], "pad", &[1, 6, 6, 2]);
    let y = b.node(Op::MaxPool2d(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 3, 3, 2]);
    let y = b.node(Op::Reshape { new_shape: None }, &[y], "flat", &[1, 18]);
    let w = b.weights("matrix", 2, &[3, 18]);
    let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "matrix", &[1, 3]);
    let report = weights(&b.network(y), Some(20.0), &Options::default()).1;
    assert!(report.snr_db > 20.0 && report.warnings.is_empty(), "{report:#?}");
    assert!(report.layers.iter().all(|layer| !layer.snr_db.is_nan()), "{report:#?}");
}

#[test]
fn does_not_warn_of_near_ties_and_saturated_outputs() {
    // An output of many nearly equal elements, as of an autoencoder, is not that of a classifier.
    let mut b = Build::default();
    let x = b.input(&[1, 8]);
    let w = b.weights("wide", 1, &[200, 8]);
    let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "wide", &[1, 200]);
    let y = b.node(Op::Tanh, &[y], "tanh", &[1, 200]);
    let report = compile(&b.network(y), &Quantize::default()).1;
    assert!(report.agreement < Some(0.9) && report.warnings.is_empty(), "{report:#?}");

    // Scores so far from 0 that their changes are lost. After softmax that does not matter if they are far from each
    // other; otherwise it does.
    for (first, second, warned) in [(2000.0, 0.0, false), (2000.0, 2000.0, true), (0.0, 0.0, false)] {
        let mut b = Build::default();
        let x = b.input(&[1, 4]);
        let (w, bias) = (b.weights("matrix", 2, &[2, 4]), b.constant(&[2], &[first, second]));
        let y = b.node(Op::FullyConnected(Activation::None), &[x, w, bias], "matrix", &[1, 2]);
        let y = b.node(Op::Softmax { beta: 1.0 }, &[y], "softmax", &[1, 2]);
        let report = compile(&b.network(y), &Quantize::default()).1;
        assert_eq!(!report.warnings.is_empty(), warned, "{first} and {second}: {report:#?}");
    }
}

#[test]
fn measures_a_network_without_outputs() {
    let mut b = Build::default();
    let x = b.input(&[1, 4]);
    b.node(Op::Relu, &[x], "relu", &[1, 4]);
    let samples = [numbers(3, 4), numbers(4, 4)];
    // Without an output there are no places to check for loud samples.
    let (compiled, _) = compile_float(&b.0, &samples, &Quantize::default(), b"", &Options::default()).unwrap();
    assert_eq!(Model::parse(&compiled.bytes).unwrap().output_count(), 0);
}

/// Layers in a row, more than may be live at a time.
fn long_chain(layers: usize) -> Graph {
    let mut b = Build::default();
    let mut y = b.input(&[1, 4]);
    for k in 0..layers {
        let name = format!("layer{k}");
        y = b.node(Op::LeakyRelu { alpha: 0.99 }, &[y], &name, &[1, 4]);
        if k % 3 == 0 {
            y = b.node(Op::Reshape { new_shape: None }, &[y], &format!("{name}/flat"), &[1, 4]);
        }
    }
    b.network(y)
}

#[test]
fn quantizes_a_network_of_more_layers_than_may_be_live_at_once() {
    let (network, quantize) = (long_chain(300), Quantize { bias_correction: Some(false), ..ranges(Ranges::MinMax) });
    assert!(network.nodes.len() > tealight_format::MAX_LIVE);
    let (_, report) = compile_float(&network, &samples(&network, 4), &quantize, b"", &Options::default()).unwrap();
    // Consecutive tables may have been fused.
    assert!(report.layers.len() > tealight_format::MAX_LIVE, "{}", report.layers.len());
    assert_eq!(report.layers.last().unwrap().name, "layer299");
    assert!(report.layers[0].snr_db > 30.0, "{:?}", report.layers[0]);
}

#[test]
fn every_tensor_of_a_float_network_is_read_while_it_is_there() {
    let network = long_chain(7);
    let float = FloatRun::new(&network, &Options::default()).unwrap();
    let streams = [samples(&network, 3)];
    let check = |sample: samples::Sample<'_>, values: &[&[f32]]| {
        assert_eq!(values.len(), float.ids.len());
        let mut wanted = sample.numbers.to_vec();
        for (id, found) in float.ids.iter().zip(values).skip(1) {
            if !network.tensors[*id].name.ends_with("flat") {
                wanted.iter_mut().filter(|number| **number < 0.0).for_each(|number| *number *= 0.99);
            }
            assert_eq!(found, &wanted);
        }
        Ok(())
    };
    float.run(Samples::new(&network, &streams).unwrap().iter(), check).unwrap();
}

#[test]
fn memory_to_run_in_is_limited() {
    let mut b = Build::default();
    let (x, y) = (b.input(&[1024, 1]), b.input(&[1, 1024]));
    let y = b.node(Op::Add(Activation::None), &[x, y], "sum", &[1024, 1024]);
    let network = b.network(y);
    let compile = |max_memory| {
        let options = Options { max_memory: Some(max_memory), ..Options::default() };
        let quantize = Quantize { bias_correction: Some(false), ..ranges(Ranges::MinMax) };
        compile_float(&network, &samples(&network, 2), &quantize, b"", &options)
    };
    for (max_memory, what) in
        [(1 << 20, "running the float network on the inputs"), (9 << 20, "every quantized variant of it")]
    {
        let error = compile(max_memory).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(&max_memory.to_string()), "{error}");
        assert!(error.contains("--max-memory"), "{error}");
    }
    assert!(compile(16 << 20).is_ok());
}

#[test]
fn memory_for_observation_counts_against_the_limit() {
    let network = long_chain(300);
    let options = Options { max_memory: Some(3 << 20), ..Options::default() };
    let error = compile_float(&network, &samples(&network, 2), &Quantize::default(), b"", &options).unwrap_err();
    assert!(error.to_string().contains("observing 301 groups of tensors"), "{error}");
}

#[test]
fn constants_that_many_layers_share_are_counted_for_each() {
    let mut b = Build::default();
    let mut y = b.input(&[1, 100]);
    let w = b.weights("w", 1, &[100, 100]);
    for k in 0..100 {
        y = b.node(Op::FullyConnected(Activation::None), &[y, w], &format!("layer{k}"), &[1, 100]);
    }
    let network = b.network(y);
    let options = Options { max_memory: Some(3 << 20), ..Options::default() };
    let error = compile_float(&network, &samples(&network, 2), &Quantize::default(), b"", &options).unwrap_err();
    assert!(error.to_string().contains("a copy of `w`"), "{error}");
}

#[test]
fn a_result_that_has_no_value_is_refused() {
    let network = |build: &dyn Fn(&mut Build, TensorId) -> TensorId| {
        let mut b = Build::default();
        let (x, constant) = (b.input(&[1, 4]), b.constant(&[1, 4], &[1.0, 2.0, 3.0, 4.0]));
        let passed = build(&mut b, constant);
        let again = b.node(Op::AddN, &[passed], "again", &[1, 4]);
        let y = b.node(Op::Add(Activation::None), &[x, again], "y", &[1, 4]);
        b.network(y)
    };
    // Sums of constants are folded.
    let sum = network(&|b, constant| b.node(Op::AddN, &[constant], "passed", &[1, 4]));
    assert!(compile_float(&sum, &samples(&sum, 4), &Quantize::default(), b"", &Options::default()).is_ok());
    // A shape that only the running network knows keeps it from being folded.
    let shaped = network(&|b, constant| {
        let shape = b.ints(&[2], &[1, 4]);
        b.0.tensors[shape].content = Content::State(None);
        b.node(Op::Reshape { new_shape: None }, &[constant, shape], "passed", &[1, 4])
    });
    let by_shape = refused(&shaped, &samples(&shaped, 4));
    // An operator of one input lists two.
    let by_reader = {
        let mut b = Build::default();
        let x = b.input(&[1, 4]);
        let unread = b.node(Op::Relu, &[x], "unread", &[1, 4]);
        let y = b.node(Op::LeakyRelu { alpha: 0.5 }, &[x, unread], "y", &[1, 4]);
        let network = b.network(y);
        refused(&network, &samples(&network, 4))
    };
    for error in [by_shape, by_reader] {
        assert!(error.contains("node 0") && error.contains("results that depend on an input"), "{error}");
    }
}
