//! Comparisons, logic, and choices between values.
//!
//! Truth values are float32 numbers, 0 or 1. Comparisons and choices are the IR's operators, which the pass `expand`
//! makes of others.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant};
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::{ElementType, dimension_of};
use crate::ir::{Activation, Comparison, Op};
use tealight_format::ops::UnaryFunction as F;

impl Network<'_> {
    /// Returns a value with its constants as float32: bool, and integers that float32 holds.
    pub(super) fn as_float(&self, value: &Value) -> Result<Value> {
        let Value::Constant(constant) = value else { return Ok(value.clone()) };
        self.make(4 * constant.elements().min(constant::MAX_ELEMENTS))?;
        let exact = |list: Vec<i64>| list.iter().all(|&number| number as f32 as i64 == number);
        let fits = constant.dtype == ElementType::F32 || constant.as_ints().is_some_and(exact);
        let float = constant::cast(constant, ElementType::F32).filter(|_| fits);
        float.map(Value::Constant).ok_or_else(|| self.refuse("numbers that float32 holds"))
    }

    /// Returns the truth values of a comparison.
    pub(super) fn compare(&mut self, how: Comparison, operands: [&Value; 2], names: [&str; 2]) -> Result<Value> {
        let truths = if operands.iter().any(|value| self.is_i32(value)) {
            self.pairwise(Op::Compare(how), operands, names)?
        } else {
            let [a, b] = [self.as_float(operands[0])?, self.as_float(operands[1])?];
            self.pairwise(Op::Compare(how), [&a, &b], names)?
        };
        Ok(self.truth(truths))
    }

    /// Returns the opposite of truth values.
    pub(super) fn not(&mut self, value: &Value) -> Result<Value> {
        let result = self.pairwise(Op::Sub(Activation::None), [&Self::scalar(1.0), value], ["", ""])?;
        Ok(self.truth(result))
    }

    /// Returns the elements of `a` where truth values hold, and of `b` elsewhere.
    pub(super) fn choose(&mut self, condition: &Value, a: &Value, b: &Value) -> Result<Value> {
        let condition = self.as_float(condition)?;
        self.combined(Op::Select { broadcast: true }, [&condition, a, b], [""; 3])
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
    let how = match node.op.as_str() {
        "Greater" => Comparison::Greater,
        "GreaterOrEqual" => Comparison::GreaterEqual,
        "Less" => Comparison::Less,
        "LessOrEqual" => Comparison::LessEqual,
        _ => Comparison::Equal,
    };
    Ok(vec![n.compare(how, [a, b], [node.name(0), node.name(1)])?])
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
    Ok(vec![n.choose(condition, a, b)?])
}

/// `on` where an index names a place of the new dimension, and `off` elsewhere.
pub(super) fn one_hot(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (indices, depth, values) = (n.constant(node, 0)?, n.constant(node, 1)?, n.input(node, 2)?);
    n.make(indices.elements().min(constant::MAX_ELEMENTS))?;
    let mask = constant::one_hot(indices, depth, node.int("axis", -1));
    let mask = mask.ok_or_else(|| n.refuse("constant integers as indices, and fewer elements"))?;
    n.make(mask.bytes.len())?;
    if n.shape(values) != [2] {
        return Err(n.invalid(format!("its values have the shape {:?}", n.shape(values))));
    }
    if let Value::Constant(values) = values {
        let number = |k: i64| constant::gather(values, &Constant::list(&[k]), 0);
        let chosen = number(1).zip(number(0)).and_then(|(on, off)| constant::select(&mask, &on, &off));
        return chosen.map(|chosen| vec![Value::Constant(chosen)]).ok_or_else(|| n.refuse("fewer elements"));
    }
    let (off, on) = (n.along(values, 0, 0, 1, 1)?, n.along(values, 0, 1, 1, 1)?);
    Ok(vec![n.choose(&Value::Constant(mask), &on, &off)?])
}

/// Functions that differ above and below a number.
pub(super) fn piecewise(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let zero = Network::scalar(0.0);
    Ok(vec![match node.op.as_str() {
        "ThresholdedRelu" => {
            let above =
                n.compare(Comparison::Greater, [value, &Network::scalar(node.float("alpha", 1.0))], ["", ""])?;
            n.choose(&above, value, &zero)?
        }
        _ => {
            let (bound, bias) = (node.float("lambd", 0.5), node.float("bias", 0.0));
            let above = n.compare(Comparison::Greater, [value, &Network::scalar(bound)], ["", ""])?;
            let below = n.compare(Comparison::Less, [value, &Network::scalar(-bound)], ["", ""])?;
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
        (n.with_shape(value, vec![dimension_of(&shape[..at]), dimension_of(&shape[at..])])?, 1)
    } else {
        (value.clone(), at)
    };
    let largest = n.reduce(Op::ReduceMax, &value, &[at], true)?;
    let equal = n.compare(Comparison::GreaterEqual, [&value, &largest], ["", ""])?;
    let before = n.running_sum(&equal, at, true, false)?;
    let first = n.pairwise(Op::Sub(Activation::None), [&equal, &before], ["", ""])?;
    let first = n.function(&first, F::Clamp([0.0, 1.0]))?;
    Ok(vec![n.with_shape(&first, shape)?])
}
