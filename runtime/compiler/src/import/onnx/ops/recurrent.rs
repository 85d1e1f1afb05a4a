//! Recurrent layers, unrolled: LSTM, GRU and RNN.
//!
//! The model file has no operator for a sequence. Each step becomes one layer for each gate, which reads the step's input
//! and the state side by side. All steps read the same weights, input and recurrent ones side by side, so they are stored
//! once.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant};
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::{ElementType, TensorId};
use crate::ir::{Activation, Op};
use crate::limit::MAX_STEPS;
use tealight_format::MAX_INPUTS;
use tealight_format::ops::UnaryFunction as F;

/// A function of a gate or a state.
#[derive(Debug, Clone)]
enum Function {
    Of(Op),
    /// `clamp(alpha * x + beta, 0, 1)`.
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
}

/// The weights of a gate, `[H, inputs]`, and the sums of its biases.
#[derive(Debug, Clone, Copy)]
struct Gate {
    weights: TensorId,
    bias: Option<TensorId>,
}

/// What the steps of one direction have in common.
struct Direction {
    /// B, H.
    shape: Vec<u32>,
    /// For an LSTM i, o, f, c; for a GRU z, r, h, and for one that is linear before its reset the recurrent part of h;
    /// for an RNN one.
    gates: Vec<Gate>,
    /// Weights of the cell in an LSTM's gates i, o, f.
    peepholes: Vec<Value>,
    functions: Vec<Function>,
    /// Whether a GRU's reset multiplies the product, not the state.
    linear_before_reset: bool,
}

/// The states of a direction, joined while they are computed: few of them need to be kept at a time.
#[derive(Debug)]
struct Sequence {
    reverse: bool,
    /// At level n pieces of 8^n states.
    levels: Vec<Vec<TensorId>>,
}

impl Sequence {
    fn push(&mut self, n: &mut Network<'_>, mut piece: TensorId) -> Result<()> {
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(piece);
            if self.levels[level].len() < MAX_INPUTS {
                break;
            }
            piece = n.rows(std::mem::take(&mut self.levels[level]), self.reverse)?;
        }
        Ok(())
    }

    fn finish(self, n: &mut Network<'_>) -> Result<TensorId> {
        n.rows(self.levels.into_iter().rev().flatten().collect(), self.reverse)
    }
}

impl Network<'_> {
    fn apply_function(&mut self, function: &Function, value: &Value) -> Result<Value> {
        match function {
            Function::Of(op) => self.apply(value, op.clone()),
            &Function::HardSigmoid { alpha, beta } => {
                let scaled = self.with_number(Op::Mul(Activation::None), value, alpha)?;
                let shifted = self.with_number(Op::Add(Activation::None), &scaled, beta)?;
                self.function(&shifted, F::Clamp([0.0, 1.0]))
            }
        }
    }

    /// Emits the layer of a gate.
    fn gate(&mut self, gate: Gate, input: TensorId, shape: &[u32]) -> Result<Value> {
        let inputs = vec![Some(input), Some(gate.weights), gate.bias];
        let output = self.emit_optional(Op::FullyConnected(Activation::None), inputs, shape.to_vec())?;
        Ok(self.plain(output))
    }

    /// Returns rows of two values side by side.
    fn beside(&mut self, a: &Value, b: &Value) -> Result<TensorId> {
        let both = self.join(&[a.clone(), b.clone()], &[], 1)?;
        self.in_order(&both, "")
    }

    fn add(&mut self, a: &Value, b: &Value) -> Result<Value> {
        self.pairwise(Op::Add(Activation::None), [a, b], ["", ""])
    }

    fn mul(&mut self, a: &Value, b: &Value) -> Result<Value> {
        self.pairwise(Op::Mul(Activation::None), [a, b], ["", ""])
    }

    /// Emits a step of an LSTM, and returns the state and the cell after it.
    fn lstm_step(&mut self, of: &Direction, x: &Value, h: &Value, c: &Value) -> Result<[Value; 2]> {
        let input = self.beside(x, h)?;
        let gate = |n: &mut Self, k: usize, cell: &Value| -> Result<Value> {
            let mut sums = n.gate(of.gates[k], input, &of.shape)?;
            if let Some(peephole) = of.peepholes.get(k) {
                let seen = n.mul(cell, peephole)?;
                sums = n.add(&sums, &seen)?;
            }
            n.apply_function(&of.functions[usize::from(k == 3)], &sums)
        };
        let (i, f) = (gate(self, 0, c)?, gate(self, 2, c)?);
        let new = gate(self, 3, c)?;
        let (kept, written) = (self.mul(&f, c)?, self.mul(&i, &new)?);
        let c = self.add(&kept, &written)?;
        let o = gate(self, 1, &c)?;
        let seen = self.apply_function(&of.functions[2], &c)?;
        Ok([self.mul(&o, &seen)?, c])
    }

    /// Emits a step of a GRU, and returns the state after it.
    fn gru_step(&mut self, of: &Direction, x: &Value, h: &Value) -> Result<Value> {
        let input = self.beside(x, h)?;
        let z = self.gate(of.gates[0], input, &of.shape)?;
        let z = self.apply_function(&of.functions[0], &z)?;
        let r = self.gate(of.gates[1], input, &of.shape)?;
        let r = self.apply_function(&of.functions[0], &r)?;
        let new = if of.linear_before_reset {
            let (x, h) = (self.in_order(x, "")?, self.in_order(h, "")?);
            let recurrent = self.gate(of.gates[3], h, &of.shape)?;
            let recurrent = self.mul(&r, &recurrent)?;
            let new = self.gate(of.gates[2], x, &of.shape)?;
            self.add(&new, &recurrent)?
        } else {
            let reset = self.mul(&r, h)?;
            let input = self.beside(x, &reset)?;
            self.gate(of.gates[2], input, &of.shape)?
        };
        let new = self.apply_function(&of.functions[1], &new)?;
        // (1 - z) new + z h.
        let change = self.pairwise(Op::Sub(Activation::None), [h, &new], ["", ""])?;
        let change = self.mul(&z, &change)?;
        self.add(&new, &change)
    }

    fn rnn_step(&mut self, of: &Direction, x: &Value, h: &Value) -> Result<Value> {
        let input = self.beside(x, h)?;
        let sums = self.gate(of.gates[0], input, &of.shape)?;
        self.apply_function(&of.functions[0], &sums)
    }

    /// Returns the joined rows of one or more matrices of states.
    fn rows(&mut self, mut ids: Vec<TensorId>, reverse: bool) -> Result<TensorId> {
        if reverse {
            ids.reverse();
        }
        if let &[only] = &ids[..] {
            return Ok(only);
        }
        let rows = ids.iter().fold(0u32, |n, &id| n.saturating_add(self.graph.tensors[id].shape[0]));
        let shape = vec![rows, self.graph.tensors[ids[0]].shape[1]];
        self.emit(Op::Concat { axis: 0, activation: Activation::None }, &ids, shape)
    }

    /// Returns the part `[H, columns]` of weights `[D, gates * H, columns]`.
    fn gate_weights(&mut self, weights: &Constant, direction: usize, gate: usize, hidden: u32) -> Result<Constant> {
        let columns = weights.shape[2];
        self.make(4 * hidden as usize * columns as usize)?;
        let begin = [direction as i64, gate as i64 * i64::from(hidden), 0];
        let part = weights.sliced(&begin, &[1; 3], &[1, hidden, columns]);
        let part = part.ok_or_else(|| self.invalid("its weights do not fit"))?.reshaped(vec![hidden, columns]);
        self.remember_joined(&[weights], &part);
        Ok(part)
    }

    /// Returns the index `d` of the first dimension of an initial state, or zeros.
    fn first_state(&mut self, initial: Option<&Value>, d: usize, shape: &[u32]) -> Result<Value> {
        match initial {
            Some(initial) => {
                let state = self.along(initial, 0, d as i64, 1, 1)?;
                self.with_shape(&state, shape.to_vec())
            }
            None => {
                let elements = constant::count(shape).unwrap_or(usize::MAX);
                self.make(elements.saturating_mul(4))?;
                Ok(Value::Constant(Constant::floats(shape, &vec![0.0; elements])))
            }
        }
    }
}

/// Returns the functions of each direction, `each` of them.
fn functions(n: &Network<'_>, node: &Node, directions: usize, defaults: &[&str]) -> Result<Vec<Vec<Function>>> {
    let list = |name: &str| node.attribute(name).map(|attribute| attribute.floats.clone()).unwrap_or_default();
    let (alphas, betas) = (list("activation_alpha"), list("activation_beta"));
    let (mut alphas, mut betas) = (alphas.into_iter(), betas.into_iter());
    let stated: &[String] = node.attribute("activations").map_or(&[], |attribute| &attribute.strings);
    let names: Vec<&str> = match stated {
        [] => std::iter::repeat_n(defaults, directions).flatten().copied().collect(),
        stated if stated.len() == defaults.len() * directions => stated.iter().map(String::as_str).collect(),
        stated => {
            let needed = defaults.len() * directions;
            return Err(n.invalid(format!("it has {} activations instead of {needed}", stated.len())));
        }
    };
    let of = |name: &str| -> Result<Function> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "sigmoid" => Function::Of(Op::Logistic),
            "tanh" => Function::Of(Op::Tanh),
            "relu" => Function::Of(Op::Relu),
            "softplus" => Function::Of(Op::Unary(F::Softplus)),
            "leakyrelu" => Function::Of(Op::LeakyRelu { alpha: alphas.next().unwrap_or(0.01) }),
            "elu" => Function::Of(Op::Unary(F::Elu(alphas.next().unwrap_or(1.0)))),
            "hardsigmoid" => {
                Function::HardSigmoid { alpha: alphas.next().unwrap_or(0.2), beta: betas.next().unwrap_or(0.5) }
            }
            _ => {
                let accepted = "the activations Sigmoid, Tanh, Relu, LeakyRelu, Elu, HardSigmoid and Softplus, not";
                return Err(n.refuse(format!("{accepted} `{}`", &name[..name.floor_char_boundary(64)])));
            }
        })
    };
    let all = names.into_iter().map(of).collect::<Result<Vec<_>>>()?;
    Ok(all.chunks(defaults.len()).map(<[Function]>::to_vec).collect())
}

/// Returns the floats of input `k`, of this shape; `None` if it is omitted.
fn of_shape(n: &Network<'_>, node: &Node, k: usize, shape: &[u32]) -> Result<Option<Vec<f32>>> {
    let Some(list) = n.numbers(node, k)? else { return Ok(None) };
    let found = &n.constant(node, k)?.shape;
    if found != shape {
        return Err(n.invalid(format!("input {k} has the shape {found:?} instead of {shape:?}")));
    }
    Ok(Some(list))
}

pub(super) fn recurrent(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (w, r) = (n.constant(node, 1)?.clone(), n.constant(node, 2)?.clone());
    unrolled(n, node, &w, &r)
}

/// Emits the steps of a layer with the weights `w`, `[D, gates * H, I]`, and `r`, `[D, gates * H, H]`.
pub(super) fn unrolled(n: &mut Network<'_>, node: &Node, w: &Constant, r: &Constant) -> Outputs {
    let kind = match node.op.as_str() {
        "GRU" | "RNN" => node.op.as_str(),
        _ => "LSTM",
    };
    let (count, defaults): (usize, &[&str]) = match kind {
        "LSTM" => (4, &["Sigmoid", "Tanh", "Tanh"]),
        "GRU" => (3, &["Sigmoid", "Tanh"]),
        _ => (1, &["Tanh"]),
    };
    if node.attribute("clip").is_some() || node.int("input_forget", 0) != 0 {
        return Err(n.refuse("no clip, and no input_forget"));
    }
    let reversed: &[bool] = match node.text("direction").unwrap_or("forward") {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(n.invalid(format!("its direction is `{}`", &other[..other.floor_char_boundary(64)]))),
    };
    let directions = reversed.len() as u32;
    let batch_first = node.int("layout", 0) != 0;
    // [T, B, I], and states [D, B, H].
    let turned = |n: &mut Network<'_>, value: &Value| -> Result<Value> {
        if batch_first && n.shape(value).len() == 3 { n.moved(value, &[1, 0, 2]) } else { Ok(value.clone()) }
    };
    let x = turned(n, n.input(node, 0)?)?;
    let (&[steps, batch, inputs], &[_, _, hidden]) = (&n.shape(&x)[..], &r.shape[..]) else {
        return Err(n.invalid("its input or its recurrent weights do not have 3 dimensions"));
    };
    let rows = hidden.saturating_mul(count as u32);
    let fits = w.shape == [directions, rows, inputs] && r.shape == [directions, rows, hidden];
    if !fits || hidden == 0 || node.int("hidden_size", hidden.into()) != i64::from(hidden) {
        let what = format!(
            "its weights {:?} and {:?} do not fit an input {:?} and {directions} directions",
            w.shape,
            r.shape,
            n.shape(&x)
        );
        return Err(n.invalid(what));
    }
    if [steps, batch, inputs].contains(&0) || node.outputs.len() > if kind == "LSTM" { 3 } else { 2 } {
        return Err(n.invalid(format!("it has {} outputs, and the input {:?}", node.outputs.len(), n.shape(&x))));
    }
    n.float(&x)?;
    if w.dtype != ElementType::F32 || r.dtype != ElementType::F32 {
        return Err(n.refuse("float32 weights"));
    }
    if let Some(lengths) = n.integers(node, 4)?
        && (lengths.len() != batch as usize || lengths.iter().any(|&length| length != i64::from(steps)))
    {
        return Err(n.refuse(format!("sequences of {steps} steps, the length of its input, not {lengths:?}")));
    }
    n.steps = n.steps.saturating_add(steps as usize * reversed.len());
    if n.steps > MAX_STEPS {
        let accepted = format!("recurrent layers of {MAX_STEPS} steps in all, which are unrolled, not {}", n.steps);
        return Err(n.refuse(format!("{accepted}; export it with a shorter sequence")));
    }
    let biases = of_shape(n, node, 3, &[directions, 2 * rows])?;
    let peepholes = if kind == "LSTM" { of_shape(n, node, 7, &[directions, 3 * hidden])? } else { None };
    let mut initial = Vec::new();
    for k in if kind == "LSTM" { 5..7 } else { 5..6 } {
        initial.push(match node.inputs.get(k).and_then(Option::as_ref) {
            None => None,
            Some(state) => {
                let state = turned(n, state)?;
                if n.shape(&state) != [directions, batch, hidden] {
                    let what =
                        format!("input {k} is {:?} instead of {:?}", n.shape(&state), [directions, batch, hidden]);
                    return Err(n.invalid(what));
                }
                n.float(&state)?;
                Some(state)
            }
        });
    }
    let functions = functions(n, node, reversed.len(), defaults)?;
    let linear_before_reset = kind == "GRU" && node.int("linear_before_reset", 0) != 0;
    let shape = vec![batch, hidden];
    // Features last, so that a step is a row.
    let x = if n.order(&x).last() == Some(&2) {
        x
    } else {
        let id = n.in_order(&x, "")?;
        n.plain(id)
    };
    let wanted = |k: usize| node.outputs.get(k).is_some_and(|name| !name.is_empty());
    let (mut sequences, mut states, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (d, (&reverse, functions)) in reversed.iter().zip(functions).enumerate() {
        let gates = gates(n, node, [w, r], [d, count], biases.as_deref(), linear_before_reset)?;
        let hidden = hidden as usize;
        let peepholes = peepholes.iter().flat_map(|list| list[3 * d * hidden..][..3 * hidden].chunks(hidden));
        let peepholes = peepholes.map(|list| Value::Constant(Constant::floats(&[hidden as u32], list))).collect();
        let of = Direction { shape: shape.clone(), gates, peepholes, functions, linear_before_reset };
        let mut h = n.first_state(initial[0].as_ref(), d, &shape)?;
        let mut c = if kind == "LSTM" { n.first_state(initial[1].as_ref(), d, &shape)? } else { Value::Failed };
        let mut sequence = Sequence { reverse, levels: Vec::new() };
        for t in 0..steps {
            let t = if reverse { steps - 1 - t } else { t };
            let slice = n.along(&x, 0, t.into(), 1, 1)?;
            let slice = n.with_shape(&slice, vec![batch, inputs])?;
            let slice = n.in_order(&slice, "")?;
            let slice = n.plain(slice);
            match kind {
                "LSTM" => [h, c] = n.lstm_step(&of, &slice, &h, &c)?,
                "GRU" => h = n.gru_step(&of, &slice, &h)?,
                _ => h = n.rnn_step(&of, &slice, &h)?,
            }
            if wanted(0) {
                let state = n.in_order(&h, "")?;
                sequence.push(n, state)?;
            }
        }
        if wanted(0) {
            let all = sequence.finish(n)?;
            let all = n.reshape(all, vec![steps, 1, batch, hidden as u32])?;
            sequences.push(n.plain(all));
        }
        states.push(n.in_order(&h, "")?);
        if wanted(2) {
            cells.push(n.in_order(&c, "")?);
        }
    }
    let mut outputs = vec![Value::Failed; 3];
    if wanted(0) {
        let all = n.join(&sequences, &[], 1)?;
        // [T, D, B, H], or [B, T, D, H].
        outputs[0] = if batch_first { n.moved(&all, &[2, 0, 1, 3])? } else { all };
    }
    for (k, pieces) in [(1, states), (2, cells)].into_iter().filter(|&(k, _)| wanted(k)) {
        let all = n.rows(pieces, false)?;
        let all = n.plain(all);
        let all = n.with_shape(&all, vec![directions, batch, hidden])?;
        outputs[k] = turned(n, &all)?;
    }
    Ok(outputs)
}

/// Adds the weights of the gates of direction `d`.
fn gates(
    n: &mut Network<'_>,
    node: &Node,
    [w, r]: [&Constant; 2],
    [d, count]: [usize; 2],
    biases: Option<&[f32]>,
    linear_before_reset: bool,
) -> Result<Vec<Gate>> {
    let hidden = r.shape[2];
    let bias = |n: &mut Network<'_>, parts: &[usize]| -> Result<Option<TensorId>> {
        let Some(list) = biases else { return Ok(None) };
        let part = |k: usize| &list[(2 * count * d + k) * hidden as usize..][..hidden as usize];
        let sums = (0..hidden as usize).map(|i| parts.iter().map(|&k| part(k)[i]).sum::<f32>()).collect::<Vec<_>>();
        n.make(4 * sums.len())?;
        n.add_constant(node.name(3), &Constant::floats(&[hidden], &sums)).map(Some)
    };
    let mut gates = Vec::new();
    for gate in 0..count {
        let input = n.gate_weights(w, d, gate, hidden)?;
        let recurrent = n.gate_weights(r, d, gate, hidden)?;
        if linear_before_reset && gate == 2 {
            for (weights, name, part) in [(input, node.name(1), gate), (recurrent, node.name(2), count + gate)] {
                gates.push(Gate { weights: n.add_constant(name, &weights)?, bias: bias(n, &[part])? });
            }
            continue;
        }
        n.make(input.bytes.len() + recurrent.bytes.len())?;
        let both = constant::concat(&[&input, &recurrent], 1).ok_or_else(|| n.invalid("its weights do not fit"))?;
        n.remember_joined(&[&input, &recurrent], &both);
        let weights = n.add_constant(node.name(1), &both)?;
        gates.push(Gate { weights, bias: bias(n, &[gate, count + gate])? });
    }
    Ok(gates)
}
