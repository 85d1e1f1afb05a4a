//! Comparisons, logic, and choices between values.
//!
//! Truth values are float32 numbers, 0 or 1. Whether a difference is positive is a multiplication by 2^200, clamped to 0
//! and 1: also the smallest subnormal number then is above 1, where the core has such numbers. The difference of two
//! infinities is none, so values that may be infinite are first clamped to the largest numbers, which they then equal. A
//! choice is a maximum of minima: where the condition holds, the minimum of the first value and ∞ is the value itself,
//! and that of the second and -∞ is -∞. A NaN is in the result of both.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant};
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::ElementType;
use crate::ir::{Activation, Op};
use tealight_format::ops::UnaryFunction as F;

/// 2^100: the smallest number times its square is above 1.
const LARGE: f32 = 1.267_650_6e30;

impl Network<'_> {
    /// Returns a value with its constants as float32: bool, and integers that float32 holds.
    fn as_float(&self, value: &Value) -> Result<Value> {
        let Value::Constant(constant) = value else { return Ok(value.clone()) };
        self.make(4 * constant.elements().min(constant::MAX_ELEMENTS))?;
        let exact = |list: Vec<i64>| list.iter().all(|&number| number as f32 as i64 == number);
        let fits = constant.dtype == ElementType::F32 || constant.as_ints().is_some_and(exact);
        let float = constant::cast(constant, ElementType::F32).filter(|_| fits);
        float.map(Value::Constant).ok_or_else(|| self.refuse("numbers that float32 holds"))
    }

    /// Returns 1 where `value`, a finite number or an infinity, is above 0, and 0 elsewhere.
    fn step(&mut self, value: &Value) -> Result<Value> {
        let large = self.with_number(Op::Mul(Activation::None), value, LARGE)?;
        let large = self.with_number(Op::Mul(Activation::None), &large, LARGE)?;
        self.function(&large, F::Clamp([0.0, 1.0]))
    }

    /// Returns the truth values of a comparison.
    pub(super) fn compare(&mut self, op: &str, operands: [&Value; 2], names: [&str; 2]) -> Result<Value> {
        let mut operands = [self.as_float(operands[0])?, self.as_float(operands[1])?];
        let finite = |value: &Value| match value {
            Value::Constant(constant) => {
                constant.as_floats().is_some_and(|floats| floats.iter().all(|number| number.is_finite()))
            }
            _ => false,
        };
        // The difference of two infinities is no number.
        if !operands.iter().any(finite) {
            for operand in &mut operands {
                *operand = match &*operand {
                    Value::Constant(constant) => {
                        let floats = constant.as_floats().unwrap_or_default();
                        let floats: Vec<f32> = floats.iter().map(|x| x.clamp(f32::MIN, f32::MAX)).collect();
                        Value::Constant(Constant::floats(&constant.shape, &floats))
                    }
                    value => self.function(value, F::Clamp([f32::MIN, f32::MAX]))?,
                };
            }
        }
        let [a, b] = &operands;
        let (first, second, negated) = match op {
            "Greater" => (a, b, false),
            "Less" => (b, a, false),
            "GreaterOrEqual" => (b, a, true),
            "LessOrEqual" => (a, b, true),
            _ => (a, b, true),
        };
        let names = if std::ptr::eq(first, a) { names } else { [names[1], names[0]] };
        let mut difference = self.pairwise(Op::Sub(Activation::None), [first, second], names)?;
        if op == "Equal" {
            difference = self.function(&difference, F::Abs)?;
        }
        let step = self.step(&difference)?;
        if negated { self.not(&step) } else { Ok(self.truth(step)) }
    }

    /// Returns the opposite of truth values.
    pub(super) fn not(&mut self, value: &Value) -> Result<Value> {
        let result = self.pairwise(Op::Sub(Activation::None), [&Self::scalar(1.0), value], ["", ""])?;
        Ok(self.truth(result))
    }

    /// Returns ∞ where truth values hold and -∞ elsewhere.
    fn infinities(&mut self, condition: &Value) -> Result<Value> {
        if let Value::Constant(constant) = condition {
            self.make(4 * constant.elements())?;
            let floats = constant.as_floats().unwrap_or_default();
            let floats: Vec<f32> =
                floats.iter().map(|&holds| if holds != 0.0 { f32::INFINITY } else { f32::NEG_INFINITY }).collect();
            return Ok(Value::Constant(Constant::floats(&constant.shape, &floats)));
        }
        let half = self.with_number(Op::Sub(Activation::None), condition, 0.5)?;
        self.with_number(Op::Mul(Activation::None), &half, f32::INFINITY)
    }

    /// Returns the smaller elements of two values; computed, if both are constants.
    fn smaller(&mut self, a: &Value, b: &Value) -> Result<Value> {
        if let (Value::Constant(a), Value::Constant(b)) = (a, b)
            && let Some(result) = constant::binary("Min", a, b)
        {
            self.make(result.bytes.len())?;
            return Ok(Value::Constant(result));
        }
        self.pairwise(Op::Minimum, [a, b], ["", ""])
    }

    /// Returns the elements of `a` where truth values hold, and of `b` elsewhere.
    pub(super) fn choose(&mut self, condition: &Value, a: &Value, b: &Value) -> Result<Value> {
        let condition = self.as_float(condition)?;
        let mask = self.infinities(&condition)?;
        let opposite = match &mask {
            Value::Constant(constant) => Value::Constant(
                constant::unary("Neg", constant).ok_or_else(|| self.refuse("a condition of fewer elements"))?,
            ),
            mask => self.function(mask, F::Neg)?,
        };
        let (a, b) = (self.smaller(a, &mask)?, self.smaller(b, &opposite)?);
        self.pairwise(Op::Maximum, [&a, &b], ["", ""])
    }
}

/// Checks that a value holds truth values.
fn truth<'v>(n: &Network<'_>, value: &'v Value) -> Result<&'v Value> {
    match value {
        Value::Stored(stored) if n.is_truth(stored.id) => Ok(value),
        Value::Constant(constant) if constant.dtype == ElementType::Bool => Ok(value),
        _ => Err(n.invalid("an input is not bool")),
    }
}

pub(super) fn comparison(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (a, b) = (n.input(node, 0)?, n.input(node, 1)?);
    Ok(vec![n.compare(&node.op, [a, b], [node.name(0), node.name(1)])?])
}

pub(super) fn logic(n: &mut Network<'_>, node: &Node) -> Outputs {
    let a = truth(n, n.input(node, 0)?)?;
    if node.op == "Not" {
        return Ok(vec![n.not(a)?]);
    }
    let b = truth(n, n.input(node, 1)?)?;
    let (a, b) = (n.as_float(a)?, n.as_float(b)?);
    let op = match node.op.as_str() {
        "And" => Op::Minimum,
        "Or" => Op::Maximum,
        _ => Op::Sub(Activation::None),
    };
    let mut result = n.pairwise(op, [&a, &b], [node.name(0), node.name(1)])?;
    if node.op == "Xor" {
        result = n.function(&result, F::Abs)?;
    }
    Ok(vec![n.truth(result)])
}

pub(super) fn choice(n: &mut Network<'_>, node: &Node) -> Outputs {
    let condition = truth(n, n.input(node, 0)?)?;
    let (a, b) = (n.input(node, 1)?, n.input(node, 2)?);
    for value in [a, b] {
        if matches!(value, Value::Constant(constant) if constant.dtype != ElementType::F32) {
            return Err(n.refuse("float32 values, or constants"));
        }
    }
    Ok(vec![n.choose(condition, a, b)?])
}

/// Functions that differ above and below a number.
pub(super) fn piecewise(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let zero = Network::scalar(0.0);
    Ok(vec![match node.op.as_str() {
        "ThresholdedRelu" => {
            let above = n.compare("Greater", [value, &Network::scalar(node.float("alpha", 1.0))], ["", ""])?;
            n.choose(&above, value, &zero)?
        }
        _ => {
            let (bound, bias) = (node.float("lambd", 0.5), node.float("bias", 0.0));
            let above = n.compare("Greater", [value, &Network::scalar(bound)], ["", ""])?;
            let below = n.compare("Less", [value, &Network::scalar(-bound)], ["", ""])?;
            let less = n.with_number(Op::Sub(Activation::None), value, bias)?;
            let more = n.with_number(Op::Add(Activation::None), value, bias)?;
            let inner = n.choose(&above, &less, &zero)?;
            n.choose(&below, &more, &inner)?
        }
    }])
}

/// 1 at the first of the largest elements along an axis, and 0 elsewhere.
pub(super) fn hardmax(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let default = if node.opset < 13 { 1.min(shape.len() as i64 - 1) } else { -1 };
    let at = super::movement::axis(n, node.int("axis", default), shape.len())?;
    // Before version 13, all dimensions from the axis on are one.
    let (value, at) = if node.opset < 13 && shape[at + 1..].iter().any(|&dim| dim != 1) {
        let product = |dims: &[u32]| dims.iter().fold(1u32, |n, &dim| n.saturating_mul(dim));
        (n.with_shape(value, vec![product(&shape[..at]), product(&shape[at..])])?, 1)
    } else {
        (value.clone(), at)
    };
    let largest = n.reduce(Op::ReduceMax, &value, &[at], true)?;
    let equal = n.compare("GreaterOrEqual", [&value, &largest], ["", ""])?;
    let before = n.running_sum(&equal, at, true, false)?;
    let first = n.pairwise(Op::Sub(Activation::None), [&equal, &before], ["", ""])?;
    let first = n.function(&first, F::Clamp([0.0, 1.0]))?;
    Ok(vec![n.with_shape(&first, shape)?])
}
