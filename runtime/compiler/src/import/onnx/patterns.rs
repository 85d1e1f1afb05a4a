//! Recognizes operators that exporters write as several simpler ones.
//!
//! Functions of one element (GELU, hard-swish and the like) are recognized by their values: an expression of a tensor and
//! of numbers is computed at samples of every magnitude, and is a function of the model file if that has the same values
//! there. How it is written does not matter. Normalizations are recognized by their form.

use crate::diag::Result;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Activation, Op};
use crate::limit::Limit;
use std::rc::Rc;
use tealight_format::Operator;
use tealight_format::ops::{LayerNormF32, RmsNormF32, UnaryFunction as F};
use tealight_kernels::float;

/// The maximum number of operators of an expression.
const MAX_OPERATORS: usize = 12;

/// The maximum number of expressions that are kept for nodes to come. More are not looked at.
const MAX_EXPRESSIONS: usize = 8192;

/// The functions that expressions are compared with.
const FUNCTIONS: [F; 10] = [
    F::Gelu,
    F::GeluTanh,
    F::HardSwish,
    F::HardSigmoid,
    F::Silu,
    F::Softplus,
    F::Logistic,
    F::Tanh,
    F::Square,
    F::Rsqrt,
];

/// How far a value may be from that of a function, relative to it and to 1. Exporters write constants as float32.
const TOLERANCE: f64 = 2e-6;

/// An expression of a tensor: its values at the samples.
#[derive(Clone)]
struct Expression {
    of: TensorId,
    operators: usize,
    values: Rc<[f64]>,
}

/// Replaces what is recognized. The nodes that it consisted of remain for other readers, if there are any.
pub(super) fn recognize(graph: &mut Graph, limit: &Limit) -> Result<()> {
    functions(graph);
    normalizations(graph, limit)
}

/// Points close to 0, between the kinks of piecewise functions, and far away.
fn samples() -> Vec<f32> {
    let near = (-64..=64).map(|i| i as f32 * 0.071);
    let far = (0..12).flat_map(|i| [5.3 * 1.5f32.powi(i), -5.1 * 1.5f32.powi(i)]);
    near.chain(far).collect()
}

fn clamp(activation: Activation, value: f64) -> Option<f64> {
    Some(match activation {
        Activation::None => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
        Activation::ReluN1To1 => value.clamp(-1.0, 1.0),
        Activation::Other(_) => return None,
    })
}

/// Returns the values of an operator of one element; `None` for other operators.
fn unary(op: &Op, x: f64) -> Option<f64> {
    let function = match *op {
        Op::Logistic => F::Logistic,
        Op::Tanh => F::Tanh,
        Op::HardSwish => F::HardSwish,
        Op::Relu => return clamp(Activation::Relu, x),
        Op::Relu6 => return clamp(Activation::Relu6, x),
        Op::ReluN1To1 => return clamp(Activation::ReluN1To1, x),
        Op::Unary(function) => function,
        _ => return None,
    };
    Some(match function {
        F::Clamp([min, max]) => x.max(min.into()).min(max.into()),
        F::Neg => -x,
        F::Square => x * x,
        F::Reciprocal => 1.0 / x,
        F::Sqrt => x.sqrt(),
        F::Rsqrt => 1.0 / x.sqrt(),
        F::Exp => x.exp(),
        F::Log => x.ln(),
        F::Tanh => x.tanh(),
        F::Logistic => 1.0 / (1.0 + (-x).exp()),
        function => {
            let mut value = [0.0];
            float::unary(function, &[x as f32], &mut value);
            value[0].into()
        }
    })
}

fn binary(op: &Op, a: f64, b: f64) -> Option<f64> {
    match *op {
        Op::Add(activation) => clamp(activation, a + b),
        Op::Sub(activation) => clamp(activation, a - b),
        Op::Mul(activation) => clamp(activation, a * b),
        Op::Div(activation) => clamp(activation, a / b),
        Op::Maximum => Some(a.max(b)),
        Op::Minimum => Some(a.min(b)),
        _ => None,
    }
}

/// Replaces expressions that are functions.
fn functions(graph: &mut Graph) {
    let at: Vec<f32> = samples();
    let known = FUNCTIONS.map(|function| {
        let mut values = vec![0.0; at.len()];
        float::unary(function, &at, &mut values);
        (function, values)
    });
    let here: Rc<[f64]> = at.iter().map(|&x| f64::from(x)).collect();
    let number = |graph: &Graph, id: TensorId| {
        let tensor = &graph.tensors[id];
        if tensor.elements() != 1 { None } else { tensor.f32_values()?.first().map(|&number| f64::from(number)) }
    };
    // For each tensor that is still to be read, its expressions of tensors before it.
    let mut all: Vec<Vec<Expression>> = vec![Vec::new(); graph.tensors.len()];
    let (mut uses, mut kept) = (graph.uses(), 0usize);
    for k in 0..graph.nodes.len() {
        let node = &graph.nodes[k];
        let (NodeOp::Ir(op), &[output]) = (&node.op, &node.outputs[..]) else { continue };
        let shape = &graph.tensors[output].shape;
        let expressions = |id: TensorId| -> Vec<Expression> {
            let tensor = &graph.tensors[id];
            if tensor.dtype != ElementType::F32 || tensor.shape != *shape || tensor.is_constant() {
                return Vec::new();
            }
            let own = Expression { of: id, operators: 0, values: here.clone() };
            all[id].iter().cloned().chain([own]).collect()
        };
        let mut found = Vec::new();
        let mut add = |of: TensorId, operators: usize, values: Option<Rc<[f64]>>| {
            if let Some(values) = values
                && operators < MAX_OPERATORS
                && found.len() < MAX_OPERATORS
            {
                found.push(Expression { of, operators: operators + 1, values });
            }
        };
        match node.inputs[..] {
            [Some(a)] => {
                for Expression { of, operators, values } in expressions(a) {
                    add(of, operators, values.iter().map(|&x| unary(op, x)).collect());
                }
            }
            [Some(a), Some(b)] if binary(op, 1.0, 1.0).is_some() => match (number(graph, a), number(graph, b)) {
                (None, Some(b)) => {
                    for Expression { of, operators, values } in expressions(a) {
                        add(of, operators, values.iter().map(|&a| binary(op, a, b)).collect());
                    }
                }
                (Some(a), None) => {
                    for Expression { of, operators, values } in expressions(b) {
                        add(of, operators, values.iter().map(|&b| binary(op, a, b)).collect());
                    }
                }
                _ => {
                    let right = expressions(b);
                    for Expression { of, operators, values } in expressions(a) {
                        let Some(other) = right.iter().find(|other| other.of == of) else { continue };
                        let pairs = values.iter().zip(&*other.values);
                        let operators = operators.max(other.operators);
                        add(of, operators, pairs.map(|(&a, &b)| binary(op, a, b)).collect());
                    }
                }
            },
            _ => {}
        }
        let matched = found.iter().find_map(|expression| {
            let is = |values: &[f32]| {
                let pairs = expression.values.iter().zip(values);
                let near = |(&a, &b): (&f64, &f32)| {
                    let b = f64::from(b);
                    (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * b.abs().max(1.0)
                };
                pairs.into_iter().all(near)
            };
            let (function, _) = known.iter().find(|(_, values)| is(values))?;
            (expression.operators > 1).then_some((expression.of, *function))
        });
        for id in graph.nodes[k].inputs.iter().flatten() {
            uses[*id] -= 1;
            if uses[*id] == 0 {
                kept -= std::mem::take(&mut all[*id]).len();
            }
        }
        if kept + found.len() <= MAX_EXPRESSIONS && uses[output] > 0 {
            kept += found.len();
            all[output] = found;
        }
        if let Some((of, function)) = matched {
            let op = match function {
                F::HardSwish => Op::HardSwish,
                F::Logistic => Op::Logistic,
                F::Tanh => Op::Tanh,
                function => Op::Unary(function),
            };
            (graph.nodes[k].op, graph.nodes[k].inputs) = (op.into(), vec![Some(of)]);
        }
    }
}

/// Finds the parts of normalizations.
struct Parts<'a> {
    graph: &'a Graph,
    producers: Vec<usize>,
    uses: Vec<usize>,
    /// The last node that reads each tensor.
    readers: Vec<usize>,
}

impl Parts<'_> {
    /// Returns the operator that computes a tensor, and its inputs.
    fn of(&self, id: TensorId) -> Option<(&Op, &[Option<TensorId>])> {
        match self.graph.nodes.get(self.producers[id]) {
            Some(Node { op: NodeOp::Ir(op), inputs, .. }) => Some((op, inputs)),
            _ => None,
        }
    }

    /// Returns what `id` is the mean of, over the last dimension.
    fn mean(&self, id: TensorId) -> Option<TensorId> {
        let node = self.graph.nodes.get(self.producers[id])?;
        let (NodeOp::Ir(Op::Mean), &[Some(of), Some(_)]) = (&node.op, &node.inputs[..]) else { return None };
        let (last, before) = self.graph.tensors[of].shape.split_last()?;
        let axes = self.graph.constant_integers(node, 1).ok()?;
        let kept = self.graph.tensors[id].shape == [before, &[1]].concat();
        (axes == [before.len() as i64] && kept && *last > 0).then_some(of)
    }

    fn number(&self, id: TensorId) -> Option<f32> {
        let tensor = &self.graph.tensors[id];
        if tensor.elements() == 1 { tensor.f32_values()?.first().copied() } else { None }
    }

    /// Returns x and epsilon if `id` is `√(mean(x²) + epsilon)`.
    fn deviation(&self, id: TensorId) -> Option<(TensorId, f32)> {
        let (Op::Unary(F::Sqrt), &[Some(sum)]) = self.of(id)? else { return None };
        self.variance(sum)
    }

    fn variance(&self, sum: TensorId) -> Option<(TensorId, f32)> {
        let (Op::Add(Activation::None), &[Some(a), Some(b)]) = self.of(sum)? else { return None };
        let (mean, epsilon) = self.number(b).map(|b| (a, b)).or_else(|| self.number(a).map(|a| (b, a)))?;
        let square = self.mean(mean)?;
        let x = match self.of(square)? {
            (Op::Unary(F::Square), &[Some(x)]) => x,
            (Op::Mul(Activation::None), &[Some(x), Some(other)]) if x == other => x,
            _ => return None,
        };
        (epsilon >= 0.0 && epsilon.is_finite()).then_some((x, epsilon))
    }

    /// Returns x and epsilon if `node` computes `x / √(mean(x²) + epsilon)`.
    fn normalized(&self, node: &Node) -> Option<(TensorId, f32)> {
        let (NodeOp::Ir(op), &[Some(a), Some(b)]) = (&node.op, &node.inputs[..]) else { return None };
        let by = |x: TensorId, divisor: Option<(TensorId, f32)>| divisor.filter(|&(of, _)| of == x);
        let inverse = |id: TensorId| match self.of(id)? {
            (Op::Unary(F::Rsqrt), &[Some(sum)]) => self.variance(sum),
            (Op::Unary(F::Reciprocal), &[Some(root)]) => self.deviation(root),
            (Op::Div(Activation::None), &[Some(one), Some(root)]) if self.number(one) == Some(1.0) => {
                self.deviation(root)
            }
            _ => None,
        };
        match op {
            Op::Div(Activation::None) => by(a, self.deviation(b)),
            Op::Mul(Activation::None) => by(a, inverse(b)).or_else(|| by(b, inverse(a))),
            _ => None,
        }
    }

    /// Returns x if `id` is `x - mean(x)`.
    fn centred(&self, id: TensorId) -> Option<TensorId> {
        let (Op::Sub(Activation::None), &[Some(x), Some(mean)]) = self.of(id)? else { return None };
        (self.mean(mean)? == x).then_some(x)
    }

    /// Returns the only reader of a tensor, if that applies `wanted` to it and a constant list of `length` along the last
    /// dimension, and the constant.
    fn then(&self, id: TensorId, wanted: &Op, length: u32) -> Option<(usize, TensorId)> {
        let at = self.readers[id];
        let (1, Some(node)) = (self.uses[id], self.graph.nodes.get(at)) else { return None };
        let (NodeOp::Ir(op), &[Some(a), Some(b)]) = (&node.op, &node.inputs[..]) else { return None };
        let list = if a == id { b } else { a };
        let tensor = &self.graph.tensors[list];
        let fits = op == wanted
            && tensor.is_constant()
            && tensor.dtype == ElementType::F32
            && tensor.shape.last() == Some(&length)
            && tensor.elements() == length as usize
            && self.graph.tensors[node.outputs[0]].shape == self.graph.tensors[id].shape;
        fits.then_some((at, list))
    }
}

/// Replaces layer normalizations and RMS norms over the last dimension, with their scale and bias.
fn normalizations(graph: &mut Graph, limit: &Limit) -> Result<()> {
    let mut readers = vec![usize::MAX; graph.tensors.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().flatten().for_each(|&id| readers[id] = at);
    }
    let parts = Parts { producers: graph.producers(), uses: graph.uses(), readers, graph };
    let mut found = Vec::new();
    for (at, node) in parts.graph.nodes.iter().enumerate() {
        let Some((of, epsilon)) = parts.normalized(node) else { continue };
        let &[output] = &node.outputs[..] else { continue };
        let Some(&length) = parts.graph.tensors[output].shape.last() else { continue };
        let (mut last, mut weights, mut bias) = (at, None, None);
        if let Some((scale, list)) = parts.then(output, &Op::Mul(Activation::None), length) {
            (last, weights) = (scale, Some(list));
        }
        let centred = parts.centred(of);
        if centred.is_some()
            && let Some((term, list)) =
                parts.then(parts.graph.nodes[last].outputs[0], &Op::Add(Activation::None), length)
        {
            (last, bias) = (term, Some(list));
        }
        found.push((last, of, centred, epsilon, length, weights, bias));
    }
    for (at, of, centred, epsilon, length, weights, bias) in found {
        let list = |graph: &mut Graph, id: Option<TensorId>| -> Result<TensorId> {
            let tensor = match id {
                Some(id) => Tensor { shape: vec![length], ..graph.tensors[id].clone() },
                None => {
                    let name = graph.tensors[of].name.clone() + ".ones";
                    limit
                        .make(4 * u64::from(length) + name.len() as u64, || format!("the constants up to `{name}`"))?;
                    let ones: Vec<u8> = std::iter::repeat_n(1f32.to_le_bytes(), length as usize).flatten().collect();
                    Tensor::constant(name, ElementType::F32, vec![length], ones)
                }
            };
            Ok(graph.add(tensor))
        };
        let weights = list(graph, weights)?;
        let bias = bias.map(|bias| list(graph, Some(bias))).transpose()?;
        let node = &mut graph.nodes[at];
        (node.op, node.inputs) = match centred {
            Some(x) => (Operator::LayerNormF32(LayerNormF32 { epsilon }).into(), vec![Some(x), Some(weights), bias]),
            None => (Operator::RmsNormF32(RmsNormF32 { epsilon }).into(), vec![Some(of), Some(weights)]),
        };
    }
    Ok(())
}
