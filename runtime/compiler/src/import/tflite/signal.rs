//! TensorFlow Lite Micro's signal operators, which make features of sound. They are custom operators, and their options
//! are maps.
//!
//! The model file has no unsigned numbers of 32 bits: it stores their bits as int32. It has none of 64 bits either, so
//! the sums of a filter bank become a part of the operator that takes their square roots. An operator of two outputs
//! becomes two operators.

use super::custom::{Row, map_of};
use super::flexbuffer::Map;
use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use tealight_format::Operator;
use tealight_format::ops::{
    SignalEnergy, SignalFftAutoScale, SignalFilterBank, SignalLog, SignalNoiseEstimate, SignalPcan, SignalRfft,
    SignalSpectralSubtraction, SignalWindow,
};

/// The operators.
const OPERATORS: &[Row] = &[
    Row { name: "SignalEnergy", build: energy },
    Row { name: "SignalFftAutoScale", build: fft_auto_scale },
    Row { name: "SignalFilterBank", build: filter_bank },
    Row { name: "SignalFilterBankLog", build: log },
    Row { name: "SignalFilterBankSpectralSubtraction", build: spectral_subtraction },
    Row { name: "SignalFilterBankSquareRoot", build: square_root },
    Row { name: "SignalPCAN", build: pcan },
    Row { name: "SignalRfft", build: rfft },
    Row { name: "SignalWindow", build: window },
];

/// Returns the row of the operator `name`.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    OPERATORS.iter().find(|row| row.name == name)
}

/// The names of all rows.
#[cfg(test)]
pub(super) fn names() -> String {
    super::custom::names_of(OPERATORS)
}

/// What a shift may be.
const SHIFT: RangeInclusive<f64> = 0.0..=31.0;

/// What numbers of 32 bits are, signed and unsigned.
const WORD: RangeInclusive<f64> = -2_147_483_648.0..=4_294_967_295.0;

/// Returns the whole number with this key, or its low 32 bits.
fn whole(graph: &Graph, node: &Node, map: &Map<'_>, key: &str, range: &RangeInclusive<f64>) -> Result<i32> {
    match map.number(key) {
        Some(value) if range.contains(&value) && value.fract() == 0.0 => Ok(value as i64 as i32),
        Some(value) => Err(graph.invalid(node, format!("its option {key} is {value}"))),
        None => Err(graph.invalid(node, format!("its option {key} is missing"))),
    }
}

/// Makes `node` the operator of the model file, of so many inputs and outputs.
fn becomes(graph: &Graph, node: &mut Node, operator: Operator, operands: (usize, usize)) -> Result<()> {
    if (node.inputs.len(), node.outputs.len()) != operands {
        let (inputs, outputs) = operands;
        return Err(graph.invalid(node, format!("it does not have {inputs} inputs and {outputs} outputs")));
    }
    node.op = NodeOp::Ir(Op::Signal(operator));
    Ok(())
}

/// Inputs: samples, window.
fn window(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let shift = whole(graph, node, &map_of(graph, node, options)?, "shift", &SHIFT)?;
    becomes(graph, node, Operator::SignalWindow(SignalWindow { shift }), (2, 1))
}

/// Outputs: scaled samples, the bits of the scale.
fn fft_auto_scale(graph: &mut Graph, node: &mut Node, _: &[u8]) -> Result<()> {
    becomes(graph, node, Operator::SignalFftAutoScale(SignalFftAutoScale), (1, 2))?;
    let bits = Node { outputs: node.outputs.split_off(1), ..node.clone() };
    graph.nodes.push(bits);
    Ok(())
}

fn rfft(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    const INT16: f64 = 7.0;
    let map = map_of(graph, node, options)?;
    if map.number("T") != Some(INT16) {
        return Err(graph.unsupported(node, "int16 samples"));
    }
    let length = whole(graph, node, &map, "fft_length", &WORD)?;
    if !(4..=SignalRfft::MAX_LENGTH).contains(&length) || length.count_ones() != 1 {
        let accepted = format!("a length that is a power of 2 from 4 to {}, not {length}", SignalRfft::MAX_LENGTH);
        return Err(graph.unsupported(node, accepted));
    }
    becomes(graph, node, Operator::SignalRfft(SignalRfft { length }), (1, 1))
}

fn energy(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let map = map_of(graph, node, options)?;
    let range = 0.0..=f64::from(i32::MAX);
    let start = whole(graph, node, &map, "start_index", &range)?;
    // Without any, TensorFlow Lite Micro computes none.
    let end = whole(graph, node, &map, "end_index", &range)?.max(start);
    becomes(graph, node, Operator::SignalEnergy(SignalEnergy { start, end }), (1, 1))
}

/// Inputs: energies, weights, weights for the next channel, and of each band the first energy, the first weight, and
/// how many there are. As long as nothing takes the square roots of its sums, it is no operator of the model file.
fn filter_bank(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let range = 1.0..=f64::from(i16::MAX);
    let channels = whole(graph, node, &map_of(graph, node, options)?, "num_channels", &range)?;
    becomes(graph, node, Operator::SignalFilterBank(SignalFilterBank), (6, 1))?;
    let sums = &graph.tensors[node.outputs[0]];
    if sums.elements() != channels.unsigned_abs() as usize {
        return Err(graph.invalid(node, format!("it has {channels} channels, and {:?} sums", sums.shape)));
    }
    Ok(())
}

/// Inputs: the sums of a filter bank, the bits of the scale.
fn square_root(graph: &mut Graph, node: &mut Node, _: &[u8]) -> Result<()> {
    becomes(graph, node, Operator::SignalFilterBank(SignalFilterBank), (2, 1))?;
    let &[Some(sums), bits] = &node.inputs[..] else { return Err(graph.invalid(node, "input 0 is missing")) };
    let bank = graph.nodes.iter().find(|bank| is_sums(bank) && bank.outputs[..] == [sums]);
    let Some(bank) = bank else {
        return Err(graph.unsupported(node, "the sums of a SignalFilterBank"));
    };
    node.inputs.clone_from(&bank.inputs);
    node.inputs.push(bits);
    Ok(())
}

/// Whether `node` is a filter bank without square roots.
fn is_sums(node: &Node) -> bool {
    matches!(node.op, NodeOp::Ir(Op::Signal(Operator::SignalFilterBank(_)))) && node.inputs.len() == 6
}

/// Outputs: what is left of the signal, the estimate of its noise. TensorFlow Lite Micro keeps the estimate for the
/// next inference.
fn spectral_subtraction(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let map = map_of(graph, node, options)?;
    let word = |key| whole(graph, node, &map, key, &WORD);
    let even = [word("smoothing")?, word("one_minus_smoothing")?];
    let odd = [word("alternate_smoothing")?, word("alternate_one_minus_smoothing")?];
    let (remaining, channels) = (word("min_signal_remaining")?, word("num_channels")?);
    let clamped = word("clamping")? != 0;
    let [smoothing_bits, bits] =
        ["smoothing_bits", "spectral_subtraction_bits"].map(|key| whole(graph, node, &map, key, &SHIFT));
    let (smoothing_bits, bits) = (smoothing_bits?, bits?);
    let subtraction = SignalSpectralSubtraction { remaining, smoothing_bits, bits };
    becomes(graph, node, Operator::SignalSpectralSubtraction(subtraction), (1, 2))?;
    let signal = graph.input(node, 0)?;
    let Tensor { name, shape, .. } = &graph.tensors[signal];
    if usize::try_from(channels) != Ok(graph.tensors[signal].elements()) {
        return Err(graph.invalid(node, format!("it has {channels} channels, and a signal of {shape:?}")));
    }
    let mut state = Tensor::computed(format!("{name}/noise"), ElementType::I32, shape.clone());
    state.content = Content::State(None);
    let state = graph.add(state);
    let estimate = SignalNoiseEstimate { weights: [even, odd], smoothing_bits, bits, clamped };
    let outputs = node.outputs.split_off(1);
    node.inputs.push(Some(outputs[0]));
    graph.nodes.push(Node {
        op: NodeOp::Ir(Op::Signal(Operator::SignalNoiseEstimate(estimate))),
        inputs: vec![Some(signal), Some(state)],
        outputs,
        origin: node.origin,
    });
    Ok(())
}

/// Inputs: the signal, the estimate of its noise, gains.
fn pcan(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let shift = whole(graph, node, &map_of(graph, node, options)?, "snr_shift", &SHIFT)?;
    becomes(graph, node, Operator::SignalPcan(SignalPcan { shift }), (3, 1))
}

fn log(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let map = map_of(graph, node, options)?;
    let shift = whole(graph, node, &map, "input_correction_bits", &SHIFT)?;
    let scale = whole(graph, node, &map, "output_scale", &WORD)?;
    becomes(graph, node, Operator::SignalLog(SignalLog { shift, scale }), (1, 1))
}

/// The type of unsigned numbers of 32 bits.
const U32: ElementType = ElementType::Other(15);

/// Makes the unsigned numbers of these operators int32, and a conversion from one of these types to the other a copy of
/// the bits. Removes filter banks whose square roots alone are read.
pub(super) fn store_as_int32(graph: &mut Graph) {
    let is_signal = |node: &Node| matches!(node.op, NodeOp::Ir(Op::Signal(_)));
    if !graph.nodes.iter().any(is_signal) {
        return;
    }
    let read: BTreeSet<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
    let Graph { tensors, nodes, outputs, notes, .. } = graph;
    nodes.retain(|node| !is_sums(node) || node.outputs.iter().any(|id| read.contains(id) || outputs.contains(id)));
    let dtype = |id: TensorId| tensors[id].dtype;
    // A number that another operator reads or writes is not the same as its bits.
    let mut kept = BTreeSet::new();
    for node in nodes.iter() {
        let copies = match (&node.op, &node.inputs[..], &node.outputs[..]) {
            (NodeOp::Ir(Op::Cast), &[Some(from)], &[to]) => {
                [from, to].iter().all(|&id| matches!(dtype(id), U32 | ElementType::I32))
            }
            (NodeOp::Ir(Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims), ..) => true,
            _ => is_signal(node),
        };
        if !copies {
            kept.extend(node.inputs.iter().flatten().chain(&node.outputs).copied());
        }
    }
    let unsigned: BTreeSet<TensorId> = (0..tensors.len())
        .filter(|id| tensors[*id].dtype == U32 && !tensors[*id].is_constant() && !kept.contains(id))
        .collect();
    for &id in &unsigned {
        tensors[id].dtype = ElementType::I32;
    }
    for node in nodes {
        if let (NodeOp::Ir(op @ Op::Cast), &[Some(from)], &[to]) = (&mut node.op, &node.inputs[..], &node.outputs[..])
            && (unsigned.contains(&from) || unsigned.contains(&to))
            && tensors[from].dtype == tensors[to].dtype
        {
            *op = Op::Reshape { new_shape: None };
        }
    }
    for &id in graph.inputs.iter().chain(outputs.iter()).filter(|id| unsigned.contains(id)) {
        notes.push(format!("`{}` is uint32 in the file; the model stores its bits as int32", tensors[id].name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::CompileError;
    use crate::driver::compile_graph;
    use crate::options::Options;
    use crate::testing::Builder;
    use std::collections::BTreeMap;
    use tealight::OwnedSession;
    use tealight_testing::rng::Rng;

    const SUMS: ElementType = ElementType::Other(12);

    /// A network of signal operators that is being written.
    #[derive(Default)]
    struct Network {
        b: Builder,
        error: Option<CompileError>,
    }

    impl Network {
        fn tensor(&mut self, dtype: ElementType, shape: &[u32]) -> TensorId {
            let name = format!("t{}", self.b.graph.tensors.len());
            self.b.graph.add(Tensor::computed(name, dtype, shape.to_vec()))
        }

        fn input(&mut self, dtype: ElementType, shape: &[u32]) -> TensorId {
            let id = self.tensor(dtype, shape);
            self.b.graph.inputs.push(id);
            id
        }

        fn output(&mut self, dtype: ElementType, shape: &[u32]) -> TensorId {
            let id = self.tensor(dtype, shape);
            self.b.graph.outputs.push(id);
            id
        }

        fn numbers(&mut self, numbers: &[i16]) -> TensorId {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            let name = format!("t{}", self.b.graph.tensors.len());
            self.b.graph.add(Tensor::constant(name, ElementType::I16, vec![numbers.len() as u32], bytes))
        }

        /// Adds an operator as the importer does.
        fn op(&mut self, name: &str, inputs: &[TensorId], outputs: &[TensorId], options: &[(&str, i64)]) {
            self.b.node(Op::Unknown { name: format!("CUSTOM {name}") }, inputs, outputs);
            let mut map = flexbuffers::Builder::default();
            let mut fields = map.start_map();
            for (key, value) in BTreeMap::from_iter(options.iter().copied()) {
                fields.push(key, value);
            }
            fields.end_map();
            let mut node = self.b.graph.nodes.pop().unwrap();
            if let Err(error) = (row(name).unwrap().build)(&mut self.b.graph, &mut node, map.view()) {
                self.error.get_or_insert(error);
            }
            self.b.graph.nodes.push(node);
        }

        /// Compiles it; returns a session and the names of the file's operators.
        fn compiled(mut self) -> Result<(OwnedSession, Vec<String>, Vec<String>)> {
            if let Some(error) = self.error {
                return Err(error);
            }
            store_as_int32(&mut self.b.graph);
            let mut names = Vec::new();
            let compiled = compile_graph(self.b.graph, "test", b"", &Options::default(), &mut |_, graph| {
                names = graph.nodes.iter().map(|node| node.op.name().to_string()).collect();
            })?;
            Ok((OwnedSession::from_bytes(&compiled.bytes).unwrap(), names, compiled.report.notes))
        }

        fn refused(self, expected: &str) {
            let error = self.compiled().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "no `{expected}` in: {error}");
        }
    }

    /// A filter bank of two channels over four energies.
    fn bank(change: impl Fn(&mut [Vec<i16>; 5])) -> (Network, TensorId, TensorId) {
        let mut n = Network::default();
        let (x, bits) = (n.input(U32, &[4]), n.input(ElementType::I32, &[]));
        // The weights of band 1 come before those of band 0.
        let mut lists = [vec![5, 6, 1, 2], vec![7, 8, 3, 4], vec![0, 2, 1], vec![2, 0, 3], vec![2, 2, 1]];
        change(&mut lists);
        let lists = lists.map(|list| n.numbers(&list));
        let (sums, y) = (n.tensor(SUMS, &[2]), n.output(U32, &[2]));
        let inputs = [&[x][..], &lists].concat();
        n.op("SignalFilterBank", &inputs, &[sums], &[("num_channels", 2)]);
        n.op("SignalFilterBankSquareRoot", &[sums, bits], &[y], &[]);
        (n, sums, y)
    }

    #[test]
    fn a_filter_bank_and_its_square_roots_are_one_operator_with_weights_in_the_order_of_bands() {
        let (mut session, names, notes) = bank(|_| {}).0.compiled().unwrap();
        assert_eq!(names, ["SignalFilterBank"]);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("uint32 in the file; the model stores its bits as int32"), "{notes:?}");
        session.input(0).unwrap().copy_from(&[1000i32, 2000, 3000, 4000]).unwrap();
        session.input(1).unwrap().copy_from(&[1i32]).unwrap();
        session.run();
        // Band 0 gives 3·1000 + 4·2000 to channel 0, band 1 5·3000 + 6·4000 to it and 7·3000 + 8·4000 to channel 1, to
        // which band 2 gives 2·2000.
        let roots = [50_000f64, 57_000.0].map(|sum| sum.sqrt().round() as i32 >> 1);
        assert_eq!(session.output(0).unwrap().as_slice::<i32>().unwrap(), roots);
    }

    #[test]
    fn a_filter_bank_whose_sums_something_else_reads_is_refused() {
        let (mut n, sums, _) = bank(|_| {});
        n.b.graph.outputs.push(sums);
        n.refused("a SignalFilterBankSquareRoot, which alone reads its sums");
        let mut n = Network::default();
        let (x, bits, y) = (n.input(SUMS, &[2]), n.input(ElementType::I32, &[]), n.output(U32, &[2]));
        n.op("SignalFilterBankSquareRoot", &[x, bits], &[y], &[]);
        n.refused("the sums of a SignalFilterBank");
    }

    #[test]
    fn bands_outside_of_energies_or_weights_are_refused() {
        let changes: [(usize, usize, i16); 5] = [(2, 1, 3), (2, 0, -1), (3, 1, 3), (3, 0, -1), (4, 2, 4)];
        for (list, at, value) in changes {
            bank(|lists| lists[list][at] = value).0.refused("its bands do not fit");
        }
        for list in 0..5 {
            bank(|lists| lists[list].truncate(1)).0.refused("its bands do not fit");
        }
        // None of them is a band of nothing.
        assert!(bank(|lists| (lists[2][2], lists[3][2], lists[4][2]) = (-1, -1, 0)).0.compiled().is_ok());
    }

    #[test]
    fn an_estimate_of_noise_lives_on_and_is_clamped_where_the_options_say_so() {
        let options = [
            ("smoothing", 256),
            ("one_minus_smoothing", 768),
            ("alternate_smoothing", 1024),
            ("alternate_one_minus_smoothing", 0),
            ("clamping", 1),
            ("min_signal_remaining", 512),
            ("num_channels", 2),
            ("smoothing_bits", 4),
            ("spectral_subtraction_bits", 10),
        ];
        let network = |change: (&'static str, i64)| {
            let mut n = Network::default();
            let (x, y, noise) = (n.input(U32, &[2]), n.output(U32, &[2]), n.output(U32, &[2]));
            let options: Vec<_> = options.into_iter().chain([change]).collect();
            n.op("SignalFilterBankSpectralSubtraction", &[x], &[y, noise], &options);
            n
        };
        let (mut session, names, _) = network(("clamping", 1)).compiled().unwrap();
        assert_eq!(names, ["SignalNoiseEstimate", "SignalSpectralSubtraction"]);
        for (x, noise, y) in [(800, 3200, 600), (400, 4000, 200), (100, 1600, 50)] {
            session.input(0).unwrap().copy_from(&[x, x]).unwrap();
            session.run();
            // Odd channels take the signal for their noise, of which a half remains.
            let outputs = [0, 1].map(|k| session.output(k).unwrap().as_slice::<i32>().unwrap().to_vec());
            assert_eq!(outputs, [vec![y, x / 2], vec![noise, 16 * x]]);
        }
        network(("num_channels", 3)).refused("it has 3 channels, and a signal of [2]");
        network(("smoothing_bits", 32)).refused("its option smoothing_bits is 32");
        network(("spectral_subtraction_bits", -1)).refused("its option spectral_subtraction_bits is -1");
        network(("smoothing", 1 << 32)).refused("its option smoothing is 4294967296");
    }

    #[test]
    fn a_scale_of_samples_is_two_operators() {
        let mut n = Network::default();
        let (x, y) = (n.input(ElementType::I16, &[3]), n.output(ElementType::I16, &[3]));
        let bits = n.output(ElementType::I32, &[]);
        n.op("SignalFftAutoScale", &[x], &[y, bits], &[]);
        let (mut session, names, _) = n.compiled().unwrap();
        assert_eq!(names, ["SignalFftAutoScale"; 2]);
        session.input(0).unwrap().copy_from(&[5i16, -100, 127]).unwrap();
        session.run();
        assert_eq!(session.output(0).unwrap().as_slice::<i16>().unwrap(), [5 << 8, -100 << 8, 127 << 8]);
        assert_eq!(session.output(1).unwrap().as_slice::<i32>().unwrap(), [8]);
    }

    /// A transform of four samples.
    fn transform(options: &[(&str, i64)]) -> Network {
        let mut n = Network::default();
        let (x, y) = (n.input(ElementType::I16, &[4]), n.output(ElementType::I16, &[10]));
        n.op("SignalRfft", &[x], &[y], options);
        n
    }

    #[test]
    fn transforms_are_of_int16_and_of_powers_of_2() {
        assert_eq!(transform(&[("T", 7), ("fft_length", 8)]).compiled().unwrap().1, ["SignalRfft"]);
        transform(&[("T", 1), ("fft_length", 8)]).refused("int16 samples");
        transform(&[("fft_length", 8)]).refused("int16 samples");
        transform(&[("T", 7)]).refused("its option fft_length is missing");
        for length in [2, 12, 65_536, -8] {
            let expected = format!("a power of 2 from 4 to 32768, not {length}");
            transform(&[("T", 7), ("fft_length", length)]).refused(&expected);
        }
        transform(&[("T", 7), ("fft_length", 16)]).refused("the shape of `t1` int16[10] does not fit");
    }

    /// Energies, which `then` reads.
    fn energies(then: impl FnOnce(&mut Network, TensorId)) -> Network {
        let mut n = Network::default();
        let (x, y) = (n.input(ElementType::I16, &[6]), n.tensor(U32, &[3]));
        n.op("SignalEnergy", &[x], &[y], &[("start_index", 1), ("end_index", 3)]);
        then(&mut n, y);
        n
    }

    #[test]
    fn a_cast_to_int32_is_a_copy_of_bits_and_other_readers_of_unsigned_numbers_are_refused() {
        let cast = |dtype: ElementType| {
            energies(|n, y| {
                let signed = n.output(dtype, &[3]);
                n.b.node(Op::Cast, &[y], &[signed]);
            })
        };
        let (mut session, names, notes) = cast(ElementType::I32).compiled().unwrap();
        assert_eq!((names.len(), notes), (1, vec![]));
        session.input(0).unwrap().copy_from(&[9i16, 9, 3, -4, -32_768, -32_768]).unwrap();
        session.run();
        assert_eq!(session.output(0).unwrap().as_slice::<i32>().unwrap(), [0, 25, i32::MIN]);
        cast(ElementType::F32).refused("uint32");
        let sum = energies(|n, y| {
            let sum = n.output(U32, &[3]);
            n.b.node(Op::Add(crate::ir::Activation::None), &[y, y], &[sum]);
        });
        sum.refused("uint32");
    }

    #[test]
    fn operators_of_other_numbers_of_operands_are_refused() {
        for row in OPERATORS {
            let mut n = Network::default();
            let (x, y) = (n.input(ElementType::I16, &[4]), n.output(ElementType::I16, &[4]));
            let keys = ["smoothing", "one_minus_smoothing", "alternate_smoothing", "alternate_one_minus_smoothing"];
            let more = ["clamping", "min_signal_remaining", "smoothing_bits", "spectral_subtraction_bits", "shift"];
            let last = ["snr_shift", "input_correction_bits", "output_scale", "start_index", "end_index"];
            let zeros = keys.into_iter().chain(more).chain(last).map(|key| (key, 0));
            let options: Vec<_> = zeros.chain([("T", 7), ("fft_length", 8), ("num_channels", 4)]).collect();
            n.op(row.name, &[x; 9], &[y; 3], &options);
            n.refused("it does not have");
        }
    }

    #[test]
    fn options_of_any_bytes_are_an_error_or_options() {
        let mut rng = Rng(7);
        for _ in 0..20_000 {
            let options: Vec<u8> = (0..rng.below(60)).map(|_| rng.below(256) as u8).collect();
            let mut n = Network::default();
            let ids: Vec<_> = (0..7).map(|_| n.tensor(U32, &[4])).collect();
            let inputs = &ids[..rng.index(4)];
            n.b.node(Op::Unknown { name: "CUSTOM".into() }, inputs, &ids[5..]);
            let node = n.b.graph.nodes.remove(0);
            for row in OPERATORS {
                let _ = (row.build)(&mut n.b.graph, &mut node.clone(), &options);
            }
        }
    }
}
