//! Checks of the numbers in a graph: the quantization of its tensors and the float attributes of its operators.
//!
//! Everything after the import relies on them. NaN is in no range, so it fails every check.

use super::op::Op;
use crate::diag::{CompileError, Result, Site};
use crate::ir::graph::{Content, ElementType, Graph, NodeOp, Tensor, TensorQuantization};

/// The largest scale. With it an 8-bit tensor holds values up to about 10^12, which no real network has.
const LARGEST_SCALE: f32 = 4_294_967_296.0;

/// The largest slope of a leaky ReLU below zero (of either sign), and the largest `beta` of a softmax.
const LARGEST_FACTOR: f32 = 65536.0;

/// Checks every tensor and operator of `graph`.
pub(crate) fn check(graph: &Graph) -> Result<()> {
    for tensor in &graph.tensors {
        if let Some(quantization) = &tensor.quantization {
            check_quantization(tensor, quantization)
                .map_err(|what| CompileError::InvalidModel { site: Site::Graph, what })?;
        }
    }
    for node in &graph.nodes {
        let NodeOp::Ir(op) = &node.op else { continue };
        let (what, value, low) = match *op {
            Op::Softmax { beta } => ("beta", beta, 0.0),
            Op::LeakyRelu { alpha } => ("slope (alpha)", alpha, -LARGEST_FACTOR),
            _ => continue,
        };
        if !(low..=LARGEST_FACTOR).contains(&value) {
            let what = format!("its {what} is {value}; accepted: {low} to {LARGEST_FACTOR}");
            return Err(graph.invalid(node, what));
        }
    }
    Ok(())
}

/// Checks the quantization of `tensor`; the error describes what is wrong with it.
fn check_quantization(tensor: &Tensor, quantization: &TensorQuantization) -> std::result::Result<(), String> {
    let TensorQuantization { scales, zero_points, axis } = quantization;
    let name = &tensor.name;
    if let Some(scale) = scales.iter().find(|scale| !(0.0..=LARGEST_SCALE).contains(*scale)) {
        return Err(format!("a scale of tensor `{name}` is {scale}; accepted: 0 to 2^32"));
    }
    let range = match tensor.dtype {
        ElementType::I8 => [-128, 127],
        ElementType::U8 => [0, 255],
        ElementType::I16 => [i32::from(i16::MIN), i32::from(i16::MAX)],
        _ => [i32::MIN, i32::MAX],
    };
    if let Some(zero_point) = zero_points.iter().find(|zero_point| !(range[0]..=range[1]).contains(zero_point)) {
        let (dtype, [low, high]) = (tensor.dtype, range);
        return Err(format!("a zero point of tensor `{name}` is {zero_point}; {dtype} holds {low} to {high}"));
    }
    let dimension = tensor.shape.get(*axis).map(|&dim| dim as usize);
    if scales.len() > 1 && dimension != Some(scales.len()) {
        let (count, shape) = (scales.len(), &tensor.shape);
        return Err(format!("tensor `{name}` {shape:?} has {count} scales along dimension {axis}"));
    }
    Ok(())
}

/// Checks that each constant, and each initial value of a state, has as many bytes as its type and shape require.
pub(crate) fn check_constants(graph: &Graph) -> Result<()> {
    for tensor in &graph.tensors {
        let (Content::Constant(bytes) | Content::State(Some(bytes))) = &tensor.content else { continue };
        let needed = tensor.dtype.size().and_then(|size| tensor.elements().checked_mul(size));
        if needed != Some(bytes.len()) {
            let what = format!("`{}` {}{:?} has {} bytes", tensor.name, tensor.dtype, tensor.shape, bytes.len());
            return Err(CompileError::InvalidModel { site: Site::Graph, what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::ir::Op;
    use crate::testing::Builder;

    fn with_scale(scale: f32, zero_point: i32) -> Result<(), String> {
        let mut b = Builder::default();
        b.int8_with(&[4], scale, zero_point);
        check(&b.graph).map_err(|error| error.to_string())
    }

    #[test]
    fn rejects_scales_that_are_not_finite_negative_or_too_large() {
        for scale in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5, -f32::MIN_POSITIVE, 1e30, f32::MAX] {
            let error = with_scale(scale, 0).unwrap_err();
            assert!(error.contains(&format!("a scale of tensor `t0` is {scale}")), "{error}");
        }
        for scale in [0.0, f32::from_bits(1), 1e-30, 0.5, 1e9] {
            with_scale(scale, 0).unwrap();
        }
    }

    #[test]
    fn zero_points_outside_the_type_are_refused() {
        assert!(with_scale(0.5, -128).is_ok() && with_scale(0.5, 127).is_ok());
        for zero_point in [-129, 128, i32::MIN, i32::MAX] {
            assert!(with_scale(0.5, zero_point).unwrap_err().contains("int8 holds -128 to 127"));
        }
    }

    #[test]
    fn scales_along_a_dimension_are_as_many_as_it_is_long() {
        let mut b = Builder::default();
        let id = b.int8(&[2, 3]);
        let mut checked = |scales: usize, axis: usize| {
            let quantization = b.graph.tensors[id].quantization.as_mut().unwrap();
            (quantization.scales, quantization.zero_points, quantization.axis) =
                (vec![0.5; scales], vec![0; scales], axis);
            check(&b.graph).is_ok()
        };
        assert!(checked(2, 0) && checked(3, 1) && checked(1, 9));
        assert!(!checked(3, 0) && !checked(2, 2) && !checked(2, usize::MAX));
    }

    #[test]
    fn rejects_attributes_that_are_not_finite_or_too_large() {
        let with = |op: Op| {
            let mut b = Builder::default();
            let (x, y) = (b.input(&[4]), b.int8(&[4]));
            b.node(op, &[x], &[y]);
            check(&b.graph)
        };
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e10, -1e10] {
            assert!(with(Op::Softmax { beta: value }).is_err(), "{value}");
            let error = with(Op::LeakyRelu { alpha: value }).unwrap_err().to_string();
            assert!(error.starts_with(&format!("node 0 (LeakyRelu): its slope (alpha) is {value}")), "{error}");
        }
        assert!(with(Op::Softmax { beta: -1.0 }).is_err());
        assert!(with(Op::Softmax { beta: 1.0 }).is_ok() && with(Op::LeakyRelu { alpha: -0.2 }).is_ok());
    }
}
