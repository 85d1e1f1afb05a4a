//! Functions of each element, and of pairs of elements.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant, padded};
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::{ElementType, NodeOp, TensorId, broadcast_shape};
use crate::ir::{Activation, Comparison, Op};
use crate::lower::integer_function;
use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
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
        self.combined(op, operands, names)
    }

    /// Returns whether a value is computed in int32: indices, inputs of integers, and what is computed of them.
    pub(super) fn is_i32(&self, value: &Value) -> bool {
        matches!(value, Value::Stored(stored) if self.graph.tensors[stored.id].dtype == ElementType::I32)
    }

    /// Returns a value whose integers are int32 if it is a constant.
    fn as_i32(&self, value: &Value) -> Result<Value> {
        let Value::Constant(constant) = value else { return Ok(value.clone()) };
        self.make(4 * constant.elements().min(constant::MAX_ELEMENTS))?;
        let list = constant.as_ints().filter(|_| constant.elements() <= constant::MAX_ELEMENTS);
        let integers = list.and_then(|list| Constant::ints(ElementType::I32, &constant.shape, &list));
        integers.map(Value::Constant).ok_or_else(|| self.refuse("numbers that int32 holds, beside int32"))
    }

    /// Applies an operator to the elements of several values, which are broadcast to one shape. Beside integers that are
    /// computed, constants are int32.
    pub(super) fn combined<const N: usize>(
        &mut self,
        op: Op,
        operands: [&Value; N],
        names: [&str; N],
    ) -> Result<Value> {
        let shapes = operands.map(|value| self.shape(value));
        let Some(shape) = shapes.iter().try_fold(Vec::new(), |all: Vec<u32>, shape| broadcast_shape(&all, shape))
        else {
            let shapes = shapes.map(|shape| format!("{shape:?}")).join(" and ");
            return Err(self.invalid(format!("the shapes {shapes} do not fit together")));
        };
        let rank = shape.len();
        let turned = |order: &Vec<usize>| order.len() == rank && !order.is_sorted();
        let order = operands.iter().map(|value| self.order(value)).find(turned);
        let order = order.unwrap_or_else(|| (0..rank).collect());
        let chosen = usize::from(matches!(op, Op::Select { .. }));
        let is_integer = |value: &Value| matches!(value, Value::Constant(list) if list.dtype != ElementType::F32);
        let of_i32 = operands[chosen..].iter().any(|value| self.is_i32(value))
            || chosen == 1 && operands[chosen..].iter().all(|value| is_integer(value));
        let computes = chosen == 1 || matches!(op, Op::Compare(_)) || integer_function(&op).is_some();
        let mut ids = [0; N];
        for (k, value) in operands.into_iter().enumerate() {
            let integers = of_i32 && computes && k >= chosen;
            let value = if integers { self.as_i32(value)? } else { value.clone() };
            let value = self.of_rank(&value, rank)?;
            ids[k] = self.arrange(&value, &order, names[k])?;
            let expected = if integers { ElementType::I32 } else { ElementType::F32 };
            if self.graph.tensors[ids[k]].dtype != expected {
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

    /// The angle with this tangent: `π/4 + atan(u)` with `u = (t - 1) / (t + 1)` between -1 and 1 for the magnitude t, by the
    /// polynomial of Abramowitz and Stegun, 4.4.49, which is off by at most 2e-8.
    fn arc_tangent(&mut self, value: &Value) -> Result<Value> {
        const TERMS: [f32; 9] = [
            0.002_866_226,
            -0.016_165_737,
            0.042_909_614,
            -0.075_289_64,
            0.106_562_64,
            -0.142_089,
            0.199_935_51,
            -0.333_331_45,
            1.0,
        ];
        let size = self.function(value, F::Abs)?;
        let above = self.with_number(Op::Add(Activation::None), &size, 1.0)?;
        let part = self.pairwise(Op::Div(Activation::None), [&Self::scalar(2.0), &above], ["", ""])?;
        let ratio = self.pairwise(Op::Sub(Activation::None), [&Self::scalar(1.0), &part], ["", ""])?;
        let square = self.function(&ratio, F::Square)?;
        let mut sum = self.with_number(Op::Mul(Activation::None), &square, TERMS[0])?;
        for (i, &term) in TERMS.iter().enumerate().skip(1) {
            sum = self.with_number(Op::Add(Activation::None), &sum, term)?;
            let factor = if i + 1 == TERMS.len() { &ratio } else { &square };
            sum = self.pairwise(Op::Mul(Activation::None), [&sum, factor], ["", ""])?;
        }
        let angle = self.with_number(Op::Add(Activation::None), &sum, FRAC_PI_4)?;
        let sign = self.function(value, F::Sign)?;
        self.pairwise(Op::Mul(Activation::None), [&angle, &sign], ["", ""])
    }

    /// Returns truth values in which what is not a number is false.
    fn settled(&mut self, value: &Value) -> Result<Value> {
        let bytes = self.byte_of_truth(value)?;
        self.truth_of_byte(&bytes)
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
    if let ("Neg" | "Abs", true) = (node.op.as_str(), n.is_i32(value)) {
        let opposite = n.pairwise(Op::Sub(Activation::None), [&Network::scalar_i32(0), value], ["", ""])?;
        return Ok(vec![match node.op.as_str() {
            "Abs" => n.pairwise(Op::Maximum, [value, &opposite], ["", ""])?,
            _ => opposite,
        }]);
    }
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
        "Floor" => Op::Unary(F::Floor),
        "Ceil" => Op::Unary(F::Ceil),
        "Round" => Op::Unary(F::Round),
        "Sign" => Op::Unary(F::Sign),
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
        "Tan" => {
            let (sine, cosine) = (n.function(value, F::Sin)?, n.function(value, F::Cos)?);
            n.pairwise(Op::Div(Activation::None), [&sine, &cosine], ["", ""])?
        }
        "Atan" => n.arc_tangent(value)?,
        "Asin" | "Acos" => {
            // The tangent of the angle is x / √(1 - x²).
            let square = n.function(value, F::Square)?;
            let rest = n.pairwise(Op::Sub(Activation::None), [&Network::scalar(1.0), &square], ["", ""])?;
            let root = n.function(&rest, F::Sqrt)?;
            let tangent = n.pairwise(Op::Div(Activation::None), [value, &root], ["", ""])?;
            let angle = n.arc_tangent(&tangent)?;
            if node.op == "Asin" {
                return Ok(vec![angle]);
            }
            n.pairwise(Op::Sub(Activation::None), [&Network::scalar(FRAC_PI_2), &angle], ["", ""])?
        }
        "IsNaN" => {
            // 1, or not a number, which becomes the byte 0.
            let inside = n.function(value, F::Clamp([0.0, 1.0]))?;
            let zero = n.with_number(Op::Mul(Activation::None), &inside, 0.0)?;
            let one = n.with_number(Op::Add(Activation::None), &zero, 1.0)?;
            let number = n.settled(&one)?;
            n.not(&number)?
        }
        "IsInf" => {
            let (positive, negative) = (node.int("detect_positive", 1) != 0, node.int("detect_negative", 1) != 0);
            let size = match (positive, negative) {
                (true, true) => n.function(value, F::Abs)?,
                (true, false) => value.clone(),
                (false, true) => n.function(value, F::Neg)?,
                (false, false) => return Err(n.refuse("infinities of a sign")),
            };
            let infinite = n.compare(Comparison::Greater, [&size, &Network::scalar(f32::MAX)], ["", ""])?;
            n.settled(&infinite)?
        }
        "Sinh" | "Cosh" => {
            let opposite = n.function(value, F::Neg)?;
            let (up, down) = (n.function(value, F::Exp)?, n.function(&opposite, F::Exp)?);
            let op = if node.op == "Cosh" { Op::Add(Activation::None) } else { Op::Sub(Activation::None) };
            let sum = n.pairwise(op, [&up, &down], ["", ""])?;
            n.with_number(Op::Mul(Activation::None), &sum, 0.5)?
        }
        "Asinh" | "Acosh" => {
            // ln(|x| + √(x² ± 1)); Asinh has the sign of x.
            let size = n.function(value, F::Abs)?;
            let square = n.function(value, F::Square)?;
            let offset = if node.op == "Asinh" { 1.0 } else { -1.0 };
            let square = n.with_number(Op::Add(Activation::None), &square, offset)?;
            let root = n.function(&square, F::Sqrt)?;
            if node.op == "Acosh" {
                let sum = n.pairwise(Op::Add(Activation::None), [value, &root], ["", ""])?;
                return Ok(vec![n.function(&sum, F::Log)?]);
            }
            let sum = n.pairwise(Op::Add(Activation::None), [&size, &root], ["", ""])?;
            let log = n.function(&sum, F::Log)?;
            let opposite = n.function(&log, F::Neg)?;
            let negative = n.compare(Comparison::Less, [value, &Network::scalar(0.0)], ["", ""])?;
            n.choose(&negative, &opposite, &log)?
        }
        "Atanh" => {
            let opposite = n.function(value, F::Neg)?;
            let above = n.with_number(Op::Add(Activation::None), value, 1.0)?;
            let below = n.with_number(Op::Add(Activation::None), &opposite, 1.0)?;
            let ratio = n.pairwise(Op::Div(Activation::None), [&above, &below], ["", ""])?;
            let log = n.function(&ratio, F::Log)?;
            n.with_number(Op::Mul(Activation::None), &log, 0.5)?
        }
        _ => return Err(n.refuse("")),
    }])
}

pub(super) fn clip(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    if node.opset >= 11 && node.inputs.iter().skip(1).flatten().any(|bound| matches!(bound, Value::Stored(_))) {
        return clip_to_computed(n, node, value);
    }
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

/// A clip to bounds of which one is computed, as decibels are that end so many below the largest.
fn clip_to_computed(n: &mut Network<'_>, node: &Node, value: &Value) -> Outputs {
    let mut result = value.clone();
    for (k, (op, attribute, none)) in
        [(Op::Maximum, "min", f32::MIN), (Op::Minimum, "max", f32::MAX)].into_iter().enumerate()
    {
        let Some(Some(bound)) = node.inputs.get(k + 1) else { continue };
        if constant::count(&n.shape(bound)) != Some(1) {
            return Err(n.invalid(format!("its {attribute} is not one number")));
        }
        if number(bound) != Some(none) {
            result = n.pairwise(op, [&result, bound], [node.name(0), node.name(k + 1)])?;
        }
    }
    Ok(vec![result])
}

pub(super) fn prelu(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (value, slope) = (n.input(node, 0)?, Value::Constant(n.constant(node, 1)?.clone()));
    let rank = n.shape(value).len();
    if broadcast_shape(&n.shape(value), &n.shape(&slope)) != Some(n.shape(value)) {
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
        // The sign of the dividend, as C does, or of the divisor.
        "Mod" => Op::Remainder(if node.int("fmod", 0) != 0 { F::Trunc } else { F::Floor }),
        "PRelu" => return prelu(n, node),
        "Pow" => return power(n, node),
        _ => return Err(n.refuse("")),
    };
    Ok(vec![n.pairwise(op, [a, b], [node.name(0), node.name(1)])?])
}

fn power(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let exponents = node.inputs.get(1).and_then(Option::as_ref);
    let Some(exponent) = exponents.and_then(number) else {
        // Powers of integers are integers.
        let exponents = n.as_float(n.input(node, 1)?)?;
        return Ok(vec![n.pairwise(Op::Pow, [value, &exponents], [node.name(0), node.name(1)])?]);
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
        whole if whole.fract() == 0.0 && whole.abs() <= 64.0 => {
            // By its binary digits, the highest first.
            let digits = whole.abs() as u32;
            let mut power = value.clone();
            for digit in (0..digits.checked_ilog2().unwrap_or(0)).rev() {
                power = n.function(&power, F::Square)?;
                if digits >> digit & 1 == 1 {
                    power = n.pairwise(Op::Mul(Activation::None), [&power, value], ["", ""])?;
                }
            }
            match whole {
                0.0 => {
                    let shape = n.shape(value);
                    n.make(4 * constant::count(&shape).unwrap_or(0).min(constant::MAX_ELEMENTS))?;
                    let one = Constant::floats(&[], &[1.0]).broadcast(&shape);
                    Value::Constant(one.ok_or_else(|| n.refuse("fewer elements"))?)
                }
                1.0.. => power,
                _ => n.function(&power, F::Reciprocal)?,
            }
        }
        other => n.with_number(Op::Pow, value, other)?,
    }])
}

/// Operators of any number of values.
pub(super) fn variadic(n: &mut Network<'_>, node: &Node) -> Outputs {
    let mut result = n.input(node, 0)?.clone();
    for k in 1..node.inputs.len() {
        let value = n.input(node, k)?;
        let [low, high] = [number(value), Some(f32::INFINITY)];
        result = match (node.op.as_str(), low.zip(high)) {
            ("Max", Some((0.0, _))) if matches!(result, Value::Stored(_)) && !n.is_i32(&result) => {
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
        let given = node.inputs.get(2).and_then(Option::as_ref).is_some();
        let training = given && n.integers(node, 2)? != Some(vec![0]);
        let ratio = if training { n.numbers(node, 1)?.and_then(|list| list.first().copied()) } else { None };
        if training && ratio != Some(0.0) {
            return Err(n.refuse("inference (export the network in evaluation mode)"));
        }
        let shape = n.shape(n.input(node, 0)?);
        let mut outputs = vec![n.input(node, 0)?.clone()];
        if node.outputs.get(1).is_some_and(|name| !name.is_empty()) {
            // Nothing is dropped.
            n.make(constant::count(&shape).unwrap_or(0).min(constant::MAX_ELEMENTS))?;
            let all = Constant::ints(ElementType::Bool, &[], &[1]).and_then(|one| one.broadcast(&shape));
            outputs.push(Value::Constant(all.ok_or_else(|| n.refuse("a smaller mask"))?));
        }
        return Ok(outputs);
    }
    Ok(vec![n.input(node, 0)?.clone()])
}
