//! A float32 `.tflite` file, to be calibrated and quantized.

use super::convert::{convert, fuse_activations};
use super::float_graph::{FloatRun, aligned, arena, internal, load, parse};
use super::observe::Observed;
use super::range::Params;
use super::report::{Layer, SAMPLES, Sums};
use super::sharing::reals;
use super::{Quantize, QuantizeError, Ranges, Report, Result, Trial};
use crate::graph::{ElementType, Graph, Op, TensorId};
use crate::names::stem;
use crate::tflite::{self, TfliteOp};
use crate::{Compiled, Options, compile_graph, pass};
use tealight::{Budget, Model};

/// A float32 network of one input, from a `.tflite` file.
#[derive(Debug)]
pub struct FloatTflite {
    graph: Graph,
    source: Vec<u8>,
}

impl FloatTflite {
    /// Reads a file.
    ///
    /// # Errors
    /// The file is no float32 network of one input.
    pub fn import(bytes: &[u8]) -> Result<Self> {
        let graph = pass::variables::resolve(tflite::import(bytes)?)?;
        let graph = pass::dead::remove_dead(pass::fold::fold(graph)?);
        let written = graph.nodes.iter().flat_map(|node| &node.outputs);
        for &id in graph.inputs.iter().chain(written) {
            let tensor = &graph.tensors[id];
            if tensor.dtype != ElementType::F32 {
                let (tensor, found) = (tensor.name.clone(), tensor.dtype.to_string());
                return Err(QuantizeError::Quantized { tensor, found });
            }
        }
        if graph.inputs.len() != 1 {
            return Err(QuantizeError::Inputs { count: graph.inputs.len() });
        }
        Ok(Self { graph: fuse_activations(graph), source: bytes.to_vec() })
    }

    /// The input's name.
    pub fn input_name(&self) -> &str {
        &self.graph.tensors[self.graph.inputs[0]].name
    }

    /// The input's dimensions.
    pub fn input_shape(&self) -> &[u32] {
        &self.graph.tensors[self.graph.inputs[0]].shape
    }

    /// Calibrates with `samples`, inputs of the network, quantizes and compiles.
    ///
    /// # Errors
    /// [`QuantizeError`] names the sample, tensor or node at fault.
    pub fn compile(&self, samples: &[Vec<f32>], quantize: &Quantize, options: &Options) -> Result<(Compiled, Report)> {
        let float = FloatRun::new(&self.graph)?;
        let observed = Observed::collect(&self.graph, &float, samples, quantize.input_range)?;
        let mut candidates = Vec::new();
        for (ranges, correct) in quantize.trials() {
            let graph = convert(&self.graph, &observed, ranges, correct, quantize.float_io)?;
            let options = Options { keep_tensor_map: true, ..options.clone() };
            let compiled = compile_graph(graph.clone(), "quantize", &self.source, &options, &mut |_, _| {})?;
            candidates.push(Candidate { graph, compiled, ranges, correct });
        }
        let measured = self.measure(&float, &observed, &candidates, samples)?;
        let trials: Vec<Trial> = measured.iter().map(|report| report.chosen).collect();
        let pairs = candidates.into_iter().zip(measured);
        // The first of equal ones, so the simplest.
        let best = pairs.reduce(|best, next| if next.1.snr_db > best.1.snr_db { next } else { best });
        let (best, report) = best.ok_or(QuantizeError::Empty)?;
        // The chosen one again, without the values that only measuring needed.
        let compiled = compile_graph(best.graph, "quantize", &self.source, options, &mut |_, _| {})?;
        Ok((compiled, Report { trials, warnings: observed.warnings, ..report }))
    }

    /// Runs the float network once, all candidates beside it, and compares every tensor that they keep.
    fn measure(
        &self,
        float: &FloatRun,
        observed: &Observed,
        candidates: &[Candidate],
        samples: &[Vec<f32>],
    ) -> Result<Vec<Report>> {
        let mut files: Vec<_> = candidates.iter().map(|candidate| aligned(&candidate.compiled.bytes)).collect();
        let models = files.iter_mut().zip(candidates);
        let models: Vec<Model<'_>> =
            models.map(|(file, candidate)| parse(file, candidate.compiled.bytes.len())).collect::<Result<_>>()?;
        let mut arenas: Vec<_> = models.iter().map(arena).collect();
        let sessions = models.iter().zip(&mut arenas);
        let mut sessions: Vec<_> = sessions.map(|(model, arena)| load(model, arena)).collect::<Result<_>>()?;
        let mut tallies: Vec<Tally> =
            candidates.iter().map(|candidate| Tally::new(candidate, observed, float)).collect();
        let step = samples.len().div_ceil(SAMPLES).max(1);
        float.run(samples.iter().map(Vec::as_slice).enumerate().step_by(step), |_, wanted| {
            for ((session, tally), model) in sessions.iter_mut().zip(&mut tallies).zip(&models) {
                let copied = if model.value(model.input(0)).dtype == tealight_format::DType::F32 {
                    session.input(0).copy_from(wanted[0])
                } else {
                    let input: Vec<i8> = wanted[0].iter().map(|&real| tally.params[0].quantize(real)).collect();
                    session.input(0).copy_from(&input)
                };
                copied.map_err(|error| internal(&format!("{error:?}")))?;
                for op in 0..model.op_count() {
                    let _ = session.poll(Budget::layer());
                    let written = usize::from(model.op(op).output);
                    for &(at, value) in &tally.pairs {
                        // What it wrote, and views of that.
                        if model.value(value).alias.map_or(value, usize::from) == written {
                            let params = tally.params[at];
                            let found: Vec<f32> =
                                session.value(value).as_i8().iter().map(|&byte| params.dequantize(byte)).collect();
                            tally.sums[at].add(wanted[at], found.iter().copied());
                            if float.ids[at] == self.graph.outputs[0] {
                                tally.agreed += usize::from(greatest(wanted[at]) == greatest(&found));
                            }
                        }
                    }
                }
                tally.samples += 1;
            }
            Ok(())
        })?;
        Ok(candidates.iter().zip(&tallies).map(|(candidate, tally)| self.report(float, candidate, tally)).collect())
    }

    fn report(&self, float: &FloatRun, candidate: &Candidate, tally: &Tally) -> Report {
        let place = |id: TensorId| float.ids.iter().position(|&of| of == id);
        let sums_of = |id: TensorId| place(id).map(|at| tally.sums[at]).filter(|sums| sums.count > 0);
        let mut layers = Vec::new();
        for node in &self.graph.nodes {
            let Some(&output) = node.outputs.first() else { continue };
            let Some(sums) = sums_of(output) else { continue };
            let constants = node.inputs.iter().flatten().map(|&id| &self.graph.tensors[id]);
            let weights = constants.filter(|tensor| tensor.is_constant() && tensor.dtype == ElementType::F32);
            let bytes = match node.op {
                // One byte for a weight, twelve for a channel: bias, multiplier, shift.
                Op::Tflite(TfliteOp::Conv2d(_) | TfliteOp::DepthwiseConv2d(_) | TfliteOp::FullyConnected(_)) => {
                    let sizes = node.inputs.iter().flatten().skip(1).map(|&id| self.graph.tensors[id].elements());
                    sizes.zip([1, 12]).map(|(count, each)| count * each).sum()
                }
                _ => weights.map(crate::graph::Tensor::elements).sum(),
            };
            let name = &self.graph.tensors[output].name;
            layers.push(Layer {
                name: stem(name).unwrap_or_else(|| name.clone()),
                kind: kind(node.op.name()),
                snr_db: sums.snr_db(),
                worst: sums.worst,
                bytes,
            });
        }
        let output = self.graph.outputs[0];
        // Probabilities saturate, so softmax's input tells more.
        let last = self.graph.nodes.iter().find(|node| node.outputs.contains(&output));
        let telling = match last {
            Some(node) if matches!(node.op, Op::Tflite(TfliteOp::Softmax { .. })) => reals(&self.graph, node).next(),
            _ => None,
        };
        let sums = telling.and_then(sums_of).or_else(|| sums_of(output)).unwrap_or_default();
        let several = self.graph.tensors[output].elements() > 1 && sums_of(output).is_some();
        let snr_db = sums.snr_db();
        Report {
            layers,
            snr_db,
            chosen: Trial { ranges: candidate.ranges, bias_correction: candidate.correct, snr_db },
            trials: Vec::new(),
            samples: tally.samples,
            agreement: several.then(|| tally.agreed as f64 / tally.samples.max(1) as f64),
            warnings: Vec::new(),
        }
    }
}

/// A way of quantizing, compiled.
struct Candidate {
    graph: Graph,
    compiled: Compiled,
    ranges: Ranges,
    correct: bool,
}

/// How one candidate did; lists go by the place of a tensor in [`FloatRun::ids`].
struct Tally {
    /// (place of a tensor, value of the plan)
    pairs: Vec<(usize, usize)>,
    params: Vec<Params>,
    sums: Vec<Sums>,
    agreed: usize,
    samples: usize,
}

impl Tally {
    fn new(candidate: &Candidate, observed: &Observed, float: &FloatRun) -> Self {
        let pair = |(at, &id): (usize, &TensorId)| {
            let value = candidate.compiled.tensors.iter().find(|(tensor, _)| *tensor == id);
            value.map(|&(_, value)| (at, value))
        };
        Self {
            pairs: float.ids.iter().enumerate().filter_map(pair).collect(),
            params: float.ids.iter().map(|&id| observed.params(id, candidate.ranges)).collect(),
            sums: vec![Sums::default(); float.ids.len()],
            agreed: 0,
            samples: 0,
        }
    }
}

/// The index of the first greatest number.
fn greatest(numbers: &[f32]) -> Option<usize> {
    let greatest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    numbers.iter().position(|&number| number == greatest)
}

/// `DepthwiseConv2d` from `DEPTHWISE_CONV_2D`: the name that operators have everywhere here.
fn kind(tflite: &str) -> String {
    let tflite = tflite.replace("AVERAGE_", "AVG_").replace("CONCATENATION", "CONCAT");
    let word = |word: &str| word[..1].to_string() + &word[1..].to_lowercase();
    tflite.split('_').map(|part| if part == "2D" { "2d".into() } else { word(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Node, Tensor};
    use crate::tflite::{Activation, Padding, Window};

    /// Numbers from -1 to 1 by a rule.
    fn numbers(seed: u32, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[derive(Default)]
    struct Build(Graph);

    impl Build {
        fn real(&mut self, name: &str, shape: &[u32]) -> TensorId {
            self.0.add(Tensor::computed(name, ElementType::F32, shape.to_vec()))
        }

        fn constant(&mut self, shape: &[u32], data: &[f32]) -> TensorId {
            let bytes: Vec<u8> = data.iter().flat_map(|number| number.to_le_bytes()).collect();
            let name = format!("constant_{}", self.0.tensors.len());
            self.0.add(Tensor::constant(name, ElementType::F32, shape.to_vec(), bytes))
        }

        fn weights(&mut self, seed: u32, shape: &[u32]) -> TensorId {
            self.constant(shape, &numbers(seed, shape.iter().product::<u32>() as usize))
        }

        fn ints(&mut self, shape: &[u32], data: &[i32]) -> TensorId {
            let bytes: Vec<u8> = data.iter().flat_map(|number| number.to_le_bytes()).collect();
            self.0.add(Tensor::constant("ints", ElementType::I32, shape.to_vec(), bytes))
        }

        fn node(&mut self, op: TfliteOp, inputs: &[TensorId], name: &str, shape: &[u32]) -> TensorId {
            let output = self.real(name, shape);
            let origin = self.0.nodes.len();
            let inputs = inputs.iter().copied().map(Some).collect();
            self.0.nodes.push(Node { op: Op::Tflite(op), inputs, outputs: vec![output], origin });
            output
        }

        fn network(mut self, output: TensorId) -> FloatTflite {
            self.0.outputs = vec![output];
            FloatTflite { graph: fuse_activations(self.0), source: Vec::new() }
        }
    }

    fn window(padding: Padding, stride: i32, size: i32) -> Window {
        let (stride, size) = ([stride; 2], [size; 2]);
        Window { padding, stride, dilation: [1; 2], size, explicit: [0; 4], activation: Activation::None }
    }

    /// Every rule of quantization at least once, with branches that meet.
    fn everything() -> FloatTflite {
        let mut b = Build::default();
        let x = b.real("x", &[1, 8, 8, 2]);
        b.0.inputs = vec![x];
        let pads = b.ints(&[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
        let padded = b.node(TfliteOp::Pad, &[x, pads], "pad", &[1, 10, 10, 2]);
        let (w, bias) = (b.weights(1, &[4, 3, 3, 2]), b.weights(2, &[4]));
        let y = b.node(TfliteOp::Conv2d(window(Padding::Valid, 2, 0)), &[padded, w, bias], "conv", &[1, 4, 4, 4]);
        let a = b.node(TfliteOp::Relu, &[y], "relu", &[1, 4, 4, 4]);
        let w = b.weights(3, &[1, 3, 3, 4]);
        let y = b.node(TfliteOp::DepthwiseConv2d(window(Padding::Same, 1, 0)), &[a, w], "dw", &[1, 4, 4, 4]);
        let c = b.node(TfliteOp::Tanh, &[y], "tanh", &[1, 4, 4, 4]);
        let concat = TfliteOp::Concatenation { axis: 3, activation: Activation::None };
        let y = b.node(concat, &[a, c], "concat", &[1, 4, 4, 8]);
        let scale = b.constant(&[1, 1, 1, 8], &[0.5, 1.5, -1.0, 2.0, 0.1, 0.7, 1.0, 1.0]);
        let y = b.node(TfliteOp::Mul(Activation::None), &[y, scale], "mul", &[1, 4, 4, 8]);
        let y = b.node(TfliteOp::LeakyRelu { alpha: 0.1 }, &[y], "leaky", &[1, 4, 4, 8]);
        let y = b.node(TfliteOp::MaxPool2d(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 2, 2, 8]);
        let gate = b.node(TfliteOp::Logistic, &[y], "gate", &[1, 2, 2, 8]);
        let y = b.node(TfliteOp::Sub(Activation::None), &[y, gate], "sub", &[1, 2, 2, 8]);
        let y = b.node(TfliteOp::Relu6, &[y], "relu6", &[1, 2, 2, 8]);
        let axes = b.ints(&[2], &[1, 2]);
        let y = b.node(TfliteOp::Mean, &[y, axes], "mean", &[1, 8]);
        let (w, bias) = (b.weights(4, &[3, 8]), b.weights(5, &[3]));
        let y = b.node(TfliteOp::FullyConnected(Activation::None), &[y, w, bias], "fc", &[1, 3]);
        let y = b.node(TfliteOp::Softmax { beta: 1.0 }, &[y], "softmax", &[1, 3]);
        b.network(y)
    }

    fn samples(network: &FloatTflite, count: u32) -> Vec<Vec<f32>> {
        let elements = network.input_shape().iter().product::<u32>() as usize;
        (0..count).map(|seed| numbers(seed * 77 + 5, elements)).collect()
    }

    fn compile(network: &FloatTflite, quantize: &Quantize) -> (Compiled, Report) {
        network.compile(&samples(network, 40), quantize, &Options::default()).unwrap()
    }

    #[test]
    fn every_layer_stays_near_the_float_network() {
        let (compiled, report) = compile(&everything(), &Quantize::default());
        let mut file = aligned(&compiled.bytes);
        let model = parse(&mut file, compiled.bytes.len()).unwrap();
        assert_eq!(model.value(model.input(0)).dtype, tealight_format::DType::I8);
        assert_eq!(report.trials.len(), 6);
        assert!(report.trials.iter().all(|trial| trial.snr_db <= report.snr_db));
        assert!(report.snr_db > 25.0 && report.snr_db.is_finite(), "{report:#?}");
        assert!(report.layers.len() > 8, "{report:#?}");
        for layer in &report.layers {
            assert!(layer.snr_db > 22.0, "{report:#?}");
        }
        assert_eq!(report.agreement, Some(1.0));
        assert_eq!(report.warnings, Vec::<String>::new());
    }

    #[test]
    fn float_ends_take_and_give_real_numbers() {
        let network = everything();
        let quantize = Quantize { float_io: true, ..Quantize::default() };
        let (compiled, report) = compile(&network, &quantize);
        assert!(report.snr_db > 25.0, "{report:#?}");
        let mut file = aligned(&compiled.bytes);
        let model = parse(&mut file, compiled.bytes.len()).unwrap();
        let mut memory = arena(&model);
        let mut session = load(&model, &mut memory).unwrap();
        let sample = &samples(&network, 1)[0];
        session.input(0).copy_from(sample).unwrap();
        session.run();
        FloatRun::new(&network.graph)
            .unwrap()
            .run(std::iter::once((0, &sample[..])), |_, values| {
                for (found, wanted) in session.output(0).as_f32().iter().zip(*values.last().unwrap()) {
                    assert!((found - wanted).abs() < 0.03, "{found} instead of {wanted}");
                }
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn correcting_biases_takes_the_mean_error_away() {
        // Inputs that are all positive, so that rounding errors of the weights add up to a shift.
        let mut b = Build::default();
        let x = b.real("x", &[1, 64]);
        b.0.inputs = vec![x];
        let mut weights = vec![0.3; 63];
        weights.push(90.0);
        let w = b.constant(&[1, 64], &weights);
        let y = b.node(TfliteOp::FullyConnected(Activation::None), &[x, w], "fc", &[1, 1]);
        let network = b.network(y);
        let samples: Vec<Vec<f32>> =
            (0..30).map(|seed| numbers(seed, 63).iter().map(|x| x.abs()).chain([0.01]).collect()).collect();
        let snr = |correct| {
            let quantize = Quantize { bias_correction: Some(correct), ..Quantize::default() };
            network.compile(&samples, &quantize, &Options::default()).unwrap().1.snr_db
        };
        let [plain, corrected] = [snr(false), snr(true)];
        assert!(corrected > plain + 6.0, "{corrected} against {plain}");
    }

    fn refused(network: &FloatTflite, samples: &[Vec<f32>]) -> String {
        network.compile(samples, &Quantize::default(), &Options::default()).unwrap_err().to_string()
    }

    #[test]
    fn bad_calibration_data_is_named() {
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
        assert!(refused(&network, &vec![vec![0.5; 128]; 3]).contains("constant: every number is 0.5"));
    }

    #[test]
    fn a_tensor_that_never_changes_is_warned_of_by_name() {
        let mut b = Build::default();
        let x = b.real("x", &[1, 2]);
        b.0.inputs = vec![x];
        let w = b.constant(&[1, 2], &[-1.0, -1.0]);
        let y = b.node(TfliteOp::FullyConnected(Activation::Relu), &[x, w], "silent", &[1, 1]);
        let network = b.network(y);
        let samples = [vec![0.5, 1.0], vec![2.0, 0.1]];
        let report = network.compile(&samples, &Quantize::default(), &Options::default()).unwrap().1;
        assert!(report.warnings[0].starts_with("tensor `silent` is 0 throughout"), "{:?}", report.warnings);
    }

    #[test]
    fn damaged_weights_and_unknown_operators_are_named() {
        let mut b = Build::default();
        let x = b.real("x", &[1, 2]);
        b.0.inputs = vec![x];
        let w = b.constant(&[1, 2], &[1.0, f32::NAN]);
        let y = b.node(TfliteOp::FullyConnected(Activation::None), &[x, w], "fc", &[1, 1]);
        let network = b.network(y);
        let error = refused(&network, &[vec![0.5, 1.0]]);
        assert!(error.contains("`fc` gives NaN") || error.contains("`constant_1` is NaN at index 1"), "{error}");

        let mut b = Build::default();
        let x = b.real("x", &[1, 2]);
        b.0.inputs = vec![x];
        let y = b.node(TfliteOp::Elu, &[x], "elu", &[1, 2]);
        let error = refused(&b.network(y), &[vec![0.5, 1.0]]);
        assert!(error.starts_with("node 0 (ELU) is not supported"), "{error}");
    }

    #[test]
    fn an_int8_network_is_not_calibrated_again() {
        let error = FloatTflite::import(include_bytes!("../../tests/relu.tflite")).unwrap_err().to_string();
        assert!(error.contains("quantized already") && error.contains("int8"), "{error}");
    }
}
