//! Functions of each element, and of pairs of elements.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant, padded};
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::{ElementType, NodeOp, TensorId};
use crate::ir::{Activation, Op};
use tealight_format::ops::UnaryFunction as F;

impl Network<'_> {
    /// Applies an operator to each element.
    pub(super) fn apply(&mut self, value: &Value, op: Op) -> Result<Value> {
        let order = self.order(value);
        let id = self.float(value)?;
        let shape = self.graph.tensors[id].shape.clone();
        Ok(Self::stored(self.emit(op, &[id], shape)?, order))
    }

    pub(super) fn function(&mut self, value: &Value, function: F) -> Result<Value> {
        self.apply(value, Op::Unary(function))
    }

    /// Returns the tensor of a value, which must be f32, in the order in which it is stored.
    pub(super) fn float(&mut self, value: &Value) -> Result<TensorId> {
        let order = self.order(value);
        let id = self.arrange(value, &order, "")?;
        match self.graph.tensors[id].dtype {
            ElementType::F32 => Ok(id),
            other => Err(self.refuse(format!("float32 (`{}` is {other})", self.graph.tensors[id].name))),
        }
    }

    /// Applies an activation: fused into the operator before it, or as an operator.
    pub(super) fn activate(&mut self, value: &Value, activation: Activation, op: Op) -> Result<Value> {
        if self.fuse_activation(value, activation) { Ok(value.clone()) } else { self.apply(value, op) }
    }

    /// Applies an operator to pairs of elements of two values, which are broadcast to one shape. They are stored in the
    /// order of the first of them that is not stored in its own.
    pub(super) fn pairwise(&mut self, op: Op, operands: [&Value; 2], names: [&str; 2]) -> Result<Value> {
        let shapes = operands.map(|value| self.shape(value));
        let Some(shape) = constant::broadcast_shape(&shapes[0], &shapes[1]) else {
            return Err(self.invalid(format!("the shapes {:?} and {:?} do not fit together", shapes[0], shapes[1])));
        };
        let rank = shape.len();
        let turned = |order: &Vec<usize>| order.len() == rank && !order.is_sorted();
        let order = operands.iter().map(|value| self.order(value)).find(turned);
        let order = order.unwrap_or_else(|| (0..rank).collect());
        let mut ids = [0; 2];
        for (k, value) in operands.into_iter().enumerate() {
            let value = self.of_rank(value, rank)?;
            ids[k] = self.arrange(&value, &order, names[k])?;
            if self.graph.tensors[ids[k]].dtype != ElementType::F32 {
                let Value::Constant(constant) = &value else { return Err(self.refuse("float32")) };
                return Err(self.refuse(format!("float32 instead of {}", constant.dtype)));
            }
        }
        let stored: Vec<u32> = order.iter().map(|&axis| shape[axis]).collect();
        Ok(Self::stored(self.emit(op, &ids, stored)?, order))
    }

    /// Returns a value with dimensions of length 1 in front, up to `rank` of them.
    pub(super) fn of_rank(&mut self, value: &Value, rank: usize) -> Result<Value> {
        let shape = self.shape(value);
        match value {
            Value::Constant(constant) => Ok(Value::Constant(constant.reshaped(padded(&shape, rank)))),
            _ if shape.len() == rank => Ok(value.clone()),
            _ => {
                let id = self.in_order(value, "")?;
                let id = self.reshape(id, padded(&shape, rank))?;
                Ok(self.plain(id))
            }
        }
    }

    pub(super) fn scalar(value: f32) -> Value {
        Value::Constant(Constant::floats(&[], &[value]))
    }

    /// Applies an operator to a value and a number.
    pub(super) fn with_number(&mut self, op: Op, value: &Value, number: f32) -> Result<Value> {
        self.pairwise(op, [value, &Self::scalar(number)], ["", ""])
    }

    /// Returns whether `value` is computed by this function of `of`, and read by this node alone.
    fn is_function_of(&self, value: &Value, of: &Value, function: impl Fn(&Op) -> bool) -> Option<usize> {
        let (Value::Stored(value), Value::Stored(of)) = (value, of) else { return None };
        let at = self.producer(value.id)?;
        let node = &self.graph.nodes[at];
        let NodeOp::Ir(op) = &node.op else { return None };
        let matches =
            function(op) && node.inputs == [Some(of.id)] && node.outputs == [value.id] && value.order == of.order;
        matches.then_some(at)
    }
}

/// Returns the only number of a constant.
fn number(value: &Value) -> Option<f32> {
    match value {
        // Exponents may be integers.
        Value::Constant(constant) if constant.elements() == 1 => match constant.as_floats() {
            Some(floats) => floats.first().copied(),
            None => constant.as_ints()?.first().map(|&number| number as f32),
        },
        _ => None,
    }
}

pub(super) fn unary(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let op = match node.op.as_str() {
        "Relu" => return Ok(vec![n.activate(value, Activation::Relu, Op::Relu)?]),
        "LeakyRelu" => Op::LeakyRelu { alpha: node.float("alpha", 0.01) },
        "Sigmoid" => Op::Logistic,
        "Tanh" => Op::Tanh,
        "HardSwish" => Op::HardSwish,
        "Elu" => match node.float("alpha", 1.0) {
            1.0 => Op::Elu,
            alpha => Op::Unary(F::Elu(alpha)),
        },
        "Gelu" => match node.text("approximate") {
            None | Some("none") => Op::Unary(F::Gelu),
            Some("tanh") => Op::Unary(F::GeluTanh),
            Some(other) => return Err(n.invalid(format!("its approximation is `{other}`"))),
        },
        "Softplus" => Op::Unary(F::Softplus),
        "Erf" => Op::Unary(F::Erf),
        "Exp" => Op::Unary(F::Exp),
        "Log" => Op::Unary(F::Log),
        "Sqrt" => Op::Unary(F::Sqrt),
        "Sin" => Op::Unary(F::Sin),
        "Cos" => Op::Unary(F::Cos),
        "Abs" => Op::Unary(F::Abs),
        "Neg" => Op::Unary(F::Neg),
        "Reciprocal" => Op::Unary(F::Reciprocal),
        _ => return Err(n.refuse("")),
    };
    Ok(vec![n.apply(value, op)?])
}

pub(super) fn hard_sigmoid(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
    // Exporters write a sixth with few digits.
    if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 {
        return Ok(vec![n.function(value, F::HardSigmoid)?]);
    }
    let scaled = n.with_number(Op::Mul(Activation::None), value, alpha)?;
    let shifted = n.with_number(Op::Add(Activation::None), &scaled, beta)?;
    Ok(vec![n.function(&shifted, F::Clamp([0.0, 1.0]))?])
}

pub(super) fn composed(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    Ok(vec![match node.op.as_str() {
        "Selu" => {
            let (alpha, gamma) = (node.float("alpha", 1.673_263_2), node.float("gamma", 1.050_701));
            let elu = n.function(value, F::Elu(alpha))?;
            n.with_number(Op::Mul(Activation::None), &elu, gamma)?
        }
        "Celu" => {
            let alpha = node.float("alpha", 1.0);
            let scaled = n.with_number(Op::Mul(Activation::None), value, 1.0 / alpha)?;
            let elu = n.function(&scaled, F::Elu(1.0))?;
            n.with_number(Op::Mul(Activation::None), &elu, alpha)?
        }
        "Softsign" => {
            let absolute = n.function(value, F::Abs)?;
            let divisor = n.with_number(Op::Add(Activation::None), &absolute, 1.0)?;
            n.pairwise(Op::Div(Activation::None), [value, &divisor], ["", ""])?
        }
        "Mish" => {
            let softplus = n.function(value, F::Softplus)?;
            let tanh = n.apply(&softplus, Op::Tanh)?;
            n.pairwise(Op::Mul(Activation::None), [value, &tanh], ["", ""])?
        }
        _ => return Err(n.refuse("")),
    }])
}

pub(super) fn clip(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let bound = |n: &Network<'_>, k: usize, attribute: &str, default: f32| -> Result<f32> {
        if node.opset < 11 {
            return Ok(node.float(attribute, default));
        }
        match n.numbers(node, k)?.as_deref() {
            None | Some([]) => Ok(default),
            Some(&[number]) => Ok(number),
            Some(_) => Err(n.invalid(format!("its {attribute} is not one number"))),
        }
    };
    let (min, max) = (bound(n, 1, "min", f32::NEG_INFINITY)?, bound(n, 2, "max", f32::INFINITY)?);
    let (min, max) =
        (if min == f32::MIN { f32::NEG_INFINITY } else { min }, if max == f32::MAX { f32::INFINITY } else { max });
    Ok(vec![match [min, max] {
        [0.0, f32::INFINITY] => n.activate(value, Activation::Relu, Op::Relu)?,
        [0.0, 6.0] => n.activate(value, Activation::Relu6, Op::Relu6)?,
        [-1.0, 1.0] => n.activate(value, Activation::ReluN1To1, Op::ReluN1To1)?,
        // Where the bounds are exchanged, all elements become the maximum.
        [min, max] if min > max => n.function(value, F::Clamp([max, max]))?,
        [min, max] if min <= max => n.function(value, F::Clamp([min, max]))?,
        _ => return Err(n.invalid("a bound is not a number")),
    }])
}

pub(super) fn prelu(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (value, slope) = (n.input(node, 0)?, Value::Constant(n.constant(node, 1)?.clone()));
    let rank = n.shape(value).len();
    if constant::broadcast_shape(&n.shape(value), &n.shape(&slope)) != Some(n.shape(value)) {
        return Err(n.refuse("a slope that is broadcast to the input"));
    }
    let order = n.order(value);
    let (id, slope) = (n.float(value)?, n.of_rank(&slope, rank)?);
    let slope = n.arrange(&slope, &order, node.name(1))?;
    let shape = n.graph.tensors[id].shape.clone();
    Ok(vec![Network::stored(n.emit(Op::Prelu, &[id, slope], shape)?, order)])
}

pub(super) fn binary(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (a, b) = (n.input(node, 0)?, n.input(node, 1)?);
    let op = match node.op.as_str() {
        "Add" => {
            if let Some(value) = n.add_bias(a, b, node.name(1))? {
                return Ok(vec![value]);
            }
            if let Some(value) = n.add_bias(b, a, node.name(0))? {
                return Ok(vec![value]);
            }
            Op::Add(Activation::None)
        }
        "Sub" => Op::Sub(Activation::None),
        "Mul" => {
            for (value, function) in [(a, b), (b, a)] {
                // x * sigmoid(x) and x * hard_sigmoid(x) are functions of their own.
                let silu =
                    n.is_function_of(function, value, |op| *op == Op::Logistic).map(|at| (at, Op::Unary(F::Silu)));
                let hard = n.is_function_of(function, value, |op| *op == Op::Unary(F::HardSigmoid));
                if let Some((at, op)) = silu.or(hard.map(|at| (at, Op::HardSwish))) {
                    n.graph.nodes[at].op = op.into();
                    return Ok(vec![function.clone()]);
                }
            }
            Op::Mul(Activation::None)
        }
        "Div" => Op::Div(Activation::None),
        "PRelu" => return prelu(n, node),
        "Pow" => return power(n, node),
        _ => return Err(n.refuse("")),
    };
    Ok(vec![n.pairwise(op, [a, b], [node.name(0), node.name(1)])?])
}

fn power(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let Some(exponent) = node.inputs.get(1).and_then(Option::as_ref).and_then(number) else {
        return Err(n.refuse("one constant exponent"));
    };
    Ok(vec![match exponent {
        2.0 => n.function(value, F::Square)?,
        0.5 => n.function(value, F::Sqrt)?,
        1.0 => value.clone(),
        -1.0 => n.function(value, F::Reciprocal)?,
        -0.5 => n.function(value, F::Rsqrt)?,
        3.0 => {
            let square = n.function(value, F::Square)?;
            n.pairwise(Op::Mul(Activation::None), [&square, value], ["", ""])?
        }
        4.0 => {
            let square = n.function(value, F::Square)?;
            n.function(&square, F::Square)?
        }
        other => return Err(n.refuse(format!("an exponent of -1, -0.5, 0.5, 1, 2, 3 or 4, not {other}"))),
    }])
}

/// Operators of any number of values.
pub(super) fn variadic(n: &mut Network<'_>, node: &Node) -> Outputs {
    let mut result = n.input(node, 0)?.clone();
    for k in 1..node.inputs.len() {
        let value = n.input(node, k)?;
        let [low, high] = [number(value), Some(f32::INFINITY)];
        result = match (node.op.as_str(), low.zip(high)) {
            ("Max", Some((0.0, _))) if matches!(result, Value::Stored(_)) => {
                n.activate(&result, Activation::Relu, Op::Relu)?
            }
            ("Max", _) => n.pairwise(Op::Maximum, [&result, value], [node.name(0), node.name(k)])?,
            ("Min", _) => n.pairwise(Op::Minimum, [&result, value], [node.name(0), node.name(k)])?,
            _ => n.pairwise(Op::Add(Activation::None), [&result, value], [node.name(0), node.name(k)])?,
        };
    }
    if node.op == "Mean" && node.inputs.len() > 1 {
        result = n.with_number(Op::Mul(Activation::None), &result, 1.0 / node.inputs.len() as f32)?;
    }
    Ok(vec![result])
}

pub(super) fn identity(n: &mut Network<'_>, node: &Node) -> Outputs {
    if node.op == "Dropout" {
        let training = node.inputs.get(2).and_then(Option::as_ref).is_some() && n.integers(node, 2)? != Some(vec![0]);
        if training || node.outputs.get(1).is_some_and(|name| !name.is_empty()) {
            return Err(n.refuse("inference, without a mask (export the network in evaluation mode)"));
        }
    }
    Ok(vec![n.input(node, 0)?.clone()])
}
