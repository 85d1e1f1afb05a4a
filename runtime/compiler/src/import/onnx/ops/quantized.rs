//! Quantized networks: conversions, operators between codes, and dynamic quantization.
//!
//! Every operator becomes its float32 form between a DEQUANTIZE and a QUANTIZE, as it is defined. [`int8`] then replaces
//! those that have an int8 form. uint8 becomes int8 with zero points less by 128, which changes no value.
//!
//! Dynamic quantization measures the range of activations in each inference. Here it rounds nothing: its codes are the
//! activations themselves, with a scale of 1, and what multiplies them by the scale of their product multiplies the
//! weights instead ([`Dynamic`](crate::import::onnx::dynamic::Dynamic)).
//!
//! [`int8`]: crate::import::onnx::int8

use super::{Outputs, Row, dense, elementwise, image, movement, recurrent};
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant};
use crate::import::onnx::int8::Scales;
use crate::import::onnx::network::{Network, Node, Stored, Value};
use crate::ir::graph::{ElementType, TensorId, TensorQuantization};
use crate::ir::{Activation, Op};

/// The quantization of a tensor of codes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Codes {
    scale: f32,
    /// As the file has it.
    zero_point: i32,
    unsigned: bool,
}

impl Codes {
    fn dtype(self) -> ElementType {
        if self.unsigned { ElementType::U8 } else { ElementType::I8 }
    }

    fn own(self) -> TensorQuantization {
        TensorQuantization { scales: vec![self.scale], zero_points: vec![self.zero_point], axis: 0 }
    }

    /// The quantization as int8.
    fn signed(self) -> TensorQuantization {
        Codes { zero_point: self.zero_point - if self.unsigned { 128 } else { 0 }, ..self }.own()
    }
}

impl Network<'_> {
    /// Returns whether input `k` is there.
    fn has(node: &Node, k: usize) -> bool {
        node.inputs.get(k).is_some_and(Option::is_some)
    }

    /// Returns the scales of input `k`, which must be finite and at least 0.
    fn scales_of(&self, node: &Node, k: usize) -> Result<Constant> {
        let scale = self.constant(node, k)?;
        let list = scale.as_floats().ok_or_else(|| self.refuse(format!("float32 scales, not {}", scale.dtype)))?;
        match list.iter().find(|scale| !(scale.is_finite() && **scale >= 0.0)) {
            Some(wrong) => Err(self.invalid(format!("a scale in `{}` is {wrong}", node.name(k)))),
            None if list.is_empty() => Err(self.invalid(format!("`{}` has no scale", node.name(k)))),
            None => Ok(scale.clone()),
        }
    }

    /// Returns the quantization of activations: one scale, input `k`, and one zero point, input `k + 1`.
    fn codes(&self, node: &Node, k: usize) -> Result<Codes> {
        let scale = self.scales_of(node, k)?;
        let zero_point = if Self::has(node, k + 1) { Some(self.constant(node, k + 1)?) } else { None };
        if scale.elements() != 1 || zero_point.is_some_and(|zero_point| zero_point.elements() != 1) {
            return Err(self.refuse(format!("one scale and zero point for activations, not {:?}", scale.shape)));
        }
        let scale = scale.as_floats().and_then(|list| list.first().copied()).unwrap_or(0.0);
        if scale == 0.0 {
            return Err(self.invalid(format!("the scale `{}` is 0", node.name(k))));
        }
        // Without a zero point, codes are uint8, unless the node states another type.
        let stated = match node.int("output_dtype", 0) {
            0 | 2 => ElementType::U8,
            3 => ElementType::I8,
            code => return Err(self.refuse(format!("int8 and uint8, not type {code}"))),
        };
        let dtype = zero_point.map_or(stated, |zero_point| zero_point.dtype);
        let unsigned = match dtype {
            ElementType::U8 => true,
            ElementType::I8 => false,
            other => return Err(self.refuse(format!("int8 and uint8, not {other}"))),
        };
        let zero_point = zero_point.and_then(Constant::as_ints).and_then(|list| list.first().copied()).unwrap_or(0);
        Ok(Codes { scale, zero_point: zero_point as i32, unsigned })
    }

    /// Adds a node whose output has another type than its input.
    fn convert(
        &mut self,
        op: Op,
        id: TensorId,
        dtype: ElementType,
        to: Option<TensorQuantization>,
    ) -> Result<TensorId> {
        let shape = self.graph.tensors[id].shape.clone();
        let output = self.emit(op, &[id], shape)?;
        let tensor = &mut self.graph.tensors[output];
        (tensor.dtype, tensor.quantization) = (dtype, to);
        Ok(output)
    }

    /// Returns the floats that codes stand for.
    fn dequantized(&mut self, value: &Value, codes: Codes, name: &str) -> Result<Value> {
        let stored = match value {
            Value::Stored(stored) => stored,
            Value::Constant(constant) => {
                let scale = Constant::floats(&[], &[codes.scale]);
                let zero_point = Constant::ints(codes.dtype(), &[], &[codes.zero_point.into()]);
                return Ok(Value::Constant(self.dequantized_constant(constant, &scale, zero_point.as_ref(), 0)?));
            }
            Value::Failed => return Ok(Value::Failed),
        };
        let tensor = &mut self.graph.tensors[stored.id];
        if tensor.dtype != codes.dtype() {
            let what = format!("`{name}` is {}, but its zero point {}", tensor.dtype, codes.dtype());
            return Err(self.invalid(what));
        }
        let own = tensor.quantization.get_or_insert_with(|| codes.own());
        if *own != codes.own() {
            let what = format!("`{name}` has {own}, but it is read with {}", codes.own());
            return Err(self.invalid(what));
        }
        let mut id = stored.id;
        if codes.unsigned {
            id = match self.signed.get(&id) {
                Some(&signed) => signed,
                None => {
                    let signed = self.convert(Op::Quantize, id, ElementType::I8, Some(codes.signed()))?;
                    self.signed.insert(id, signed);
                    signed
                }
            };
        }
        let id = self.convert(Op::Dequantize, id, ElementType::F32, None)?;
        Ok(Value::Stored(Stored { id, ..stored.clone() }))
    }

    /// Returns the codes of floats.
    fn quantized(&mut self, value: &Value, codes: Codes) -> Result<Value> {
        let stored = match value {
            Value::Stored(stored) => stored,
            Value::Constant(constant) => {
                let floats = constant.as_floats().ok_or_else(|| self.refuse("float32"))?;
                self.make(floats.len())?;
                let [low, high] = if codes.unsigned { [0.0, 255.0] } else { [-128.0, 127.0] };
                // As a byte of either type.
                let code = |real: &f32| {
                    let code = ((real / codes.scale).round_ties_even() + codes.zero_point as f32).clamp(low, high);
                    code as i32 as u8
                };
                let bytes = floats.iter().map(code).collect();
                return Ok(Value::Constant(Constant { dtype: codes.dtype(), shape: constant.shape.clone(), bytes }));
            }
            Value::Failed => return Ok(Value::Failed),
        };
        if self.graph.tensors[stored.id].dtype != ElementType::F32 {
            return Err(self.refuse(format!("float32, not {}", self.graph.tensors[stored.id].dtype)));
        }
        let mut id = self.convert(Op::Quantize, stored.id, ElementType::I8, Some(codes.signed()))?;
        if codes.unsigned {
            let signed = id;
            id = self.convert(Op::Quantize, signed, ElementType::U8, Some(codes.own()))?;
            self.signed.insert(id, signed);
        }
        Ok(Value::Stored(Stored { id, ..stored.clone() }))
    }

    /// Returns the floats of constant codes with one scale, or one for each index along `axis`.
    fn dequantized_constant(
        &mut self,
        codes: &Constant,
        scale: &Constant,
        zero_point: Option<&Constant>,
        axis: usize,
    ) -> Result<Constant> {
        let scales = scale.as_floats().unwrap_or_default();
        let zero_points = zero_point.map_or(Some(vec![0]), Constant::as_ints).unwrap_or_default();
        let along = codes.shape.get(axis).map_or(0, |&dim| dim as usize);
        let fits = |count: usize| count == 1 || count == along;
        if !fits(scales.len()) || !(fits(zero_points.len()) && (zero_points.len() == 1 || scales.len() > 1)) {
            let what = format!("it has {} scales and {} zero points", scales.len(), zero_points.len());
            return Err(self.invalid(format!("{what} for {along} indices along dimension {axis} of {:?}", codes.shape)));
        }
        if zero_point.is_some_and(|zero_point| zero_point.dtype != codes.dtype) {
            return Err(self.invalid("its codes and its zero point are of different types"));
        }
        let bytes = &codes.bytes;
        let elements: Box<dyn Iterator<Item = i64>> = match codes.dtype {
            ElementType::I8 => Box::new(bytes.iter().map(|byte| i64::from(byte.cast_signed()))),
            ElementType::U8 => Box::new(bytes.iter().map(|&byte| i64::from(byte))),
            ElementType::I32 => Box::new(bytes.as_chunks().0.iter().map(|word| i64::from(i32::from_le_bytes(*word)))),
            other => return Err(self.refuse(format!("codes of int8, uint8 or int32, not {other}"))),
        };
        self.make(codes.elements().saturating_mul(4))?;
        let inner = constant::count(codes.shape.get(axis + 1..).unwrap_or_default()).unwrap_or(1).max(1);
        let at = |list_len: usize, index: usize| if list_len == 1 { 0 } else { index / inner % list_len };
        let real = |(index, code): (usize, i64)| {
            let (scale, zero_point) = (scales[at(scales.len(), index)], zero_points[at(zero_points.len(), index)]);
            (code - zero_point) as f32 * scale
        };
        let floats: Vec<f32> = elements.enumerate().map(real).collect();
        let result = Constant::floats(&codes.shape, &floats);
        if codes.dtype != ElementType::I32 {
            let shift = if codes.dtype == ElementType::U8 { 128 } else { 0 };
            let zero_points = zero_points.iter().map(|&zero_point| zero_point as i32 - shift).collect();
            self.remember(&result, Scales { scales, zero_points }.into());
        }
        Ok(result)
    }

    /// Returns weights, input `k`, as floats, with the scale and zero point of inputs `k + 1` and `k + 2`.
    fn weights(&mut self, node: &Node, k: usize, axis: usize) -> Result<Constant> {
        let scale = self.scales_of(node, k + 1)?;
        let zero_point = if Self::has(node, k + 2) { Some(self.constant(node, k + 2)?) } else { None };
        self.dequantized_constant(self.constant(node, k)?, &scale, zero_point, axis)
    }

    /// Returns what an input with the scale and zero point after it stands for, be it computed or constant.
    fn operand(&mut self, node: &Node, k: usize) -> Result<Value> {
        let codes = self.codes(node, k + 1)?;
        self.dequantized(self.input(node, k)?, codes, node.name(k))
    }

    /// Returns the number of the dynamic scale that a value depends on.
    fn dynamic_of(&self, value: &Value) -> Option<usize> {
        match value {
            Value::Stored(stored) => self.dynamic.unscaled.get(&stored.id).copied(),
            Value::Constant(constant) => self.dynamic.scales.get(&constant.bytes.identity()).map(|(_, k)| *k),
            Value::Failed => None,
        }
    }

    /// Returns whether a value stands for codes, a scale or a zero point of dynamic quantization.
    pub(in crate::import::onnx) fn is_dynamic(&self, value: &Value) -> bool {
        self.dynamic_of(value).is_some()
    }

    /// Returns a constant that stands for dynamic scale `k`, or a multiple of it.
    fn dynamic_scale(&mut self, k: usize, constant: Constant) -> Value {
        self.dynamic.scales.insert(constant.bytes.identity(), (constant.bytes.clone(), k));
        Value::Constant(constant)
    }

    /// Marks a product of dynamic codes.
    fn unscaled(&mut self, k: usize, value: Value) -> Value {
        if let Value::Stored(stored) = &value {
            self.dynamic.unscaled.insert(stored.id, k);
        }
        value
    }

    /// Multiplies a value by constant factors: its weights, where a layer computes it.
    fn scaled(&mut self, value: &Value, factors: &Constant, name: &str) -> Result<Value> {
        let shape = self.shape(value);
        let padded = constant::padded(&factors.shape, shape.len());
        if let Some((at, channel)) = self.layer_of(value)
            && padded.len() == shape.len()
            && padded.iter().enumerate().all(|(i, &dim)| dim == 1 || (i == channel && dim == shape[i]))
            && let Some(list) = factors.as_floats()
        {
            let channels = shape[channel] as usize;
            let list = if list.len() == 1 { vec![list[0]; channels] } else { list };
            if self.scale_layer(at, &list, None)? {
                return Ok(value.clone());
            }
        }
        self.pairwise(Op::Mul(Activation::None), [value, &Value::Constant(factors.clone())], ["", name])
    }
}

pub(super) fn quantize(n: &mut Network<'_>, node: &Node) -> Outputs {
    if node.int("block_size", 0) != 0 {
        return Err(n.refuse("no blocks"));
    }
    let value = n.input(node, 0)?;
    if let (Value::Constant(floats), true) = (value, n.scales_of(node, 1)?.elements() > 1) {
        return Ok(vec![Value::Constant(quantized_by_channel(n, node, floats)?)]);
    }
    let codes = n.codes(node, 1)?;
    Ok(vec![n.quantized(value, codes)?])
}

/// Returns the codes of constant floats with a scale for each index along an axis.
fn quantized_by_channel(n: &Network<'_>, node: &Node, floats: &Constant) -> Result<Constant> {
    let axis = movement::axis(n, node.int("axis", 1), floats.shape.len())?;
    let scales = n.scales_of(node, 1)?.as_floats().unwrap_or_default();
    let (dtype, zero_points) = if Network::has(node, 2) {
        let zero_points = n.constant(node, 2)?;
        (zero_points.dtype, zero_points.as_ints().unwrap_or_default())
    } else {
        (ElementType::U8, vec![0; scales.len()])
    };
    let Some([low, high]) = dtype.range_8_bit() else { return Err(n.refuse(format!("int8 and uint8, not {dtype}"))) };
    let values = floats.as_floats().ok_or_else(|| n.refuse("float32"))?;
    if scales.len() != floats.shape[axis] as usize || zero_points.len() != scales.len() || scales.contains(&0.0) {
        return Err(n.invalid(format!("its scales are not one above 0 for each of {} indices", floats.shape[axis])));
    }
    n.make(values.len())?;
    let inner = constant::count(&floats.shape[axis + 1..]).unwrap_or(1).max(1);
    let code = |(index, real): (usize, &f32)| {
        let at = index / inner % scales.len();
        ((real / scales[at]).round_ties_even() + zero_points[at] as f32).clamp(low as f32, high as f32) as i32 as u8
    };
    Ok(Constant { dtype, shape: floats.shape.clone(), bytes: values.iter().enumerate().map(code).collect() })
}

pub(super) fn dequantize(n: &mut Network<'_>, node: &Node) -> Outputs {
    if node.int("block_size", 0) != 0 {
        return Err(n.refuse("no blocks"));
    }
    let value = n.input(node, 0)?;
    if let Value::Constant(codes) = value {
        let scale = n.scales_of(node, 1)?;
        let rank = codes.shape.len();
        let axis = if scale.elements() == 1 { 0 } else { movement::axis(n, node.int("axis", 1), rank)? };
        return Ok(vec![Value::Constant(n.weights(node, 0, axis)?)]);
    }
    let codes = n.codes(node, 1)?;
    Ok(vec![n.dequantized(value, codes, node.name(0))?])
}

/// Runs the float32 form of an operator on these inputs.
fn float(
    n: &mut Network<'_>,
    node: &Node,
    op: &str,
    build: super::Build,
    inputs: Vec<Value>,
    names: &[usize],
) -> Result<Value> {
    let float = Node {
        op: op.into(),
        opset: node.opset,
        names: names.iter().map(|&k| node.name(k).to_string()).collect(),
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: node.outputs.clone(),
        attributes: node.attributes.clone(),
    };
    match build(n, &float)?.into_iter().next() {
        Some(value) => Ok(value),
        None => Err(n.invalid("it has no output")),
    }
}

/// Returns the bias of a layer, int32 codes in the scale of input times weights, as floats.
fn bias(n: &Network<'_>, node: &Node, k: usize, input: f32, weights: &Constant, alpha: f32) -> Result<Option<Value>> {
    if !Network::has(node, k) {
        return Ok(None);
    }
    let bias = n.constant(node, k)?;
    let scales = weights.as_floats().unwrap_or_default();
    let codes = bias.as_ints().filter(|_| bias.dtype == ElementType::I32);
    let codes = codes.filter(|codes| scales.len() == 1 || scales.len() == codes.len());
    let Some(codes) = codes else {
        return Err(n.invalid(format!(
            "its bias {} {:?} does not fit {} scales",
            bias.dtype,
            bias.shape,
            scales.len()
        )));
    };
    n.make(4 * codes.len())?;
    let scale = |i: usize| scales[if scales.len() == 1 { 0 } else { i }];
    let real = |(i, &code): (usize, &i64)| code as f32 * (input * scale(i) * alpha);
    let floats: Vec<f32> = codes.iter().enumerate().map(real).collect();
    Ok(Some(Value::Constant(Constant::floats(&bias.shape, &floats))))
}

pub(super) fn qlinear_conv(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (from, to) = (n.codes(node, 1)?, n.codes(node, 6)?);
    let input = n.dequantized(n.input(node, 0)?, from, node.name(0))?;
    let weights = n.weights(node, 3, 0)?;
    let bias = bias(n, node, 8, from.scale, &n.scales_of(node, 4)?, 1.0)?;
    let inputs = [input, Value::Constant(weights)].into_iter().chain(bias).collect();
    let output = float(n, node, "Conv", image::conv, inputs, &[0, 3, 8])?;
    Ok(vec![n.quantized(&output, to)?])
}

pub(super) fn qlinear_mat_mul(n: &mut Network<'_>, node: &Node) -> Outputs {
    let to = n.codes(node, 6)?;
    let a = n.operand(node, 0)?;
    let b = match n.input(node, 3)? {
        Value::Constant(weights) if !weights.shape.is_empty() => {
            let axis = weights.shape.len() - 1;
            Value::Constant(n.weights(node, 3, axis)?)
        }
        _ => n.operand(node, 3)?,
    };
    let output = float(n, node, "MatMul", dense::mat_mul, vec![a, b], &[0, 3])?;
    Ok(vec![n.quantized(&output, to)?])
}

/// QGemm of `com.microsoft`.
pub(super) fn qgemm(n: &mut Network<'_>, node: &Node) -> Outputs {
    let from = n.codes(node, 1)?;
    let a = n.dequantized(n.input(node, 0)?, from, node.name(0))?;
    let axis = usize::from(node.int("transB", 0) == 0);
    let weights = n.weights(node, 3, axis)?;
    let bias = bias(n, node, 6, from.scale, &n.scales_of(node, 4)?, node.float("alpha", 1.0))?;
    let inputs = [a, Value::Constant(weights)].into_iter().chain(bias).collect();
    let output = float(n, node, "Gemm", dense::gemm, inputs, &[0, 3, 6])?;
    if !Network::has(node, 7) {
        return Ok(vec![output]);
    }
    let to = n.codes(node, 7)?;
    Ok(vec![n.quantized(&output, to)?])
}

/// Operators of `com.microsoft` of one or two inputs, each with its scale and zero point after it.
pub(super) fn qlinear(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (op, build, operands): (&str, super::Build, usize) = match node.op.as_str() {
        "QLinearAdd" => ("Add", elementwise::binary, 2),
        "QLinearMul" => ("Mul", elementwise::binary, 2),
        "QLinearSigmoid" => ("Sigmoid", elementwise::unary, 1),
        "QLinearLeakyRelu" => ("LeakyRelu", elementwise::unary, 1),
        "QLinearSoftmax" => ("Softmax", dense::softmax, 1),
        "QLinearAveragePool" => ("AveragePool", image::pool, 1),
        "QLinearGlobalAveragePool" => ("GlobalAveragePool", dense::global_pool, 1),
        _ => return Err(n.refuse("")),
    };
    if node.int("channels_last", 0) != 0 {
        return Err(n.refuse("channels_last of 0"));
    }
    let to = n.codes(node, 3 * operands)?;
    let mut inputs = Vec::new();
    for k in 0..operands {
        inputs.push(n.operand(node, 3 * k)?);
    }
    let output = float(n, node, op, build, inputs, &[0, 3])?;
    Ok(vec![n.quantized(&output, to)?])
}

/// QLinearConcat of `com.microsoft`: the scale and zero point of the output, then the inputs.
pub(super) fn qlinear_concat(n: &mut Network<'_>, node: &Node) -> Outputs {
    let to = n.codes(node, 0)?;
    let (mut inputs, mut names) = (Vec::new(), Vec::new());
    for k in (2..node.inputs.len()).step_by(3) {
        inputs.push(n.operand(node, k)?);
        names.push(k);
    }
    let output = float(n, node, "Concat", movement::concat, inputs, &names)?;
    Ok(vec![n.quantized(&output, to)?])
}

/// Operators that also take codes, and keep their scale: their float32 form, if the input is codes whose scale is known.
pub(super) fn of_codes(n: &mut Network<'_>, node: &Node, row: &Row) -> Result<Option<Vec<Value>>> {
    if !["MaxPool", "Concat"].contains(&node.op.as_str()) {
        return Ok(None);
    }
    let Some(Some(Value::Stored(first))) = node.inputs.first() else { return Ok(None) };
    let tensor = &n.graph.tensors[first.id];
    let (Some(own), Some(_)) = (tensor.per_tensor(), tensor.dtype.range_8_bit()) else { return Ok(None) };
    let unsigned = tensor.dtype == ElementType::U8;
    let codes = Codes { scale: own.scale, zero_point: own.zero_point, unsigned };
    let mut inputs = Vec::new();
    for (k, input) in node.inputs.iter().enumerate() {
        let Some(input) = input else { return Ok(None) };
        inputs.push(n.dequantized(input, codes, node.name(k))?);
    }
    let names: Vec<usize> = (0..inputs.len()).collect();
    let output = float(n, node, &node.op, row.build, inputs, &names)?;
    Ok(Some(vec![n.quantized(&output, codes)?]))
}

pub(super) fn dynamic_quantize(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let (order, id) = (n.order(value), n.float(value)?);
    let shape = n.graph.tensors[id].shape.clone();
    let k = n.dynamic.count;
    n.dynamic.count += 1;
    let id = n.emit(Op::Reshape { new_shape: None }, &[id], shape)?;
    let codes = n.unscaled(k, Network::stored(id, order));
    let scale = n.dynamic_scale(k, Constant::floats(&[], &[1.0]));
    let zero_point = Constant::ints(ElementType::U8, &[], &[0]).ok_or_else(|| n.invalid("it has no zero point"))?;
    Ok(vec![codes, scale, n.dynamic_scale(k, zero_point)])
}

/// What reads values of dynamic quantization.
pub(super) fn of_dynamic(n: &mut Network<'_>, node: &Node, row: &Row) -> Outputs {
    let numbers: Vec<Option<usize>> =
        node.inputs.iter().map(|value| value.as_ref().and_then(|value| n.dynamic_of(value))).collect();
    let value = |k: usize| node.inputs.get(k).and_then(Option::as_ref);
    match (node.op.as_str(), &numbers[..]) {
        ("MatMulInteger" | "ConvInteger", [Some(_), None] | [Some(_), None, _] | [Some(_), None, _, None])
            if numbers.get(2).copied().flatten().is_none_or(|k| Some(k) == numbers[0]) =>
        {
            return (row.build)(n, node);
        }
        ("MatMulIntegerToFloat", [Some(a), None, Some(b), rest @ ..]) if a == b => {
            let zero_point = rest.get(1).copied().flatten();
            if rest.first() == Some(&None) && zero_point.is_none_or(|k| k == *a) && rest.len() <= 4 {
                return (row.build)(n, node);
            }
        }
        ("Cast", [Some(k)]) => {
            if let (Some(codes @ Value::Stored(_)), 1) = (value(0), node.int("to", 0)) {
                return Ok(vec![n.unscaled(*k, codes.clone())]);
            }
        }
        ("DequantizeLinear", [Some(a), Some(b)] | [Some(a), Some(b), Some(_)]) if a == b => {
            if let Some(codes @ Value::Stored(_)) = value(0) {
                let order = n.order(codes);
                let id = n.float(codes)?;
                let shape = n.graph.tensors[id].shape.clone();
                let id = n.emit(Op::Reshape { new_shape: None }, &[id], shape)?;
                return Ok(vec![Network::stored(id, order)]);
            }
        }
        ("Mul", &[a, b]) => match (value(0), value(1), a, b) {
            (Some(Value::Constant(scale)), Some(Value::Constant(other)), Some(k), None)
            | (Some(Value::Constant(other)), Some(Value::Constant(scale)), None, Some(k)) => {
                if let Some(product) = constant::binary("Mul", scale, other) {
                    n.make(product.bytes.len())?;
                    return Ok(vec![n.dynamic_scale(k, product)]);
                }
            }
            (Some(product @ Value::Stored(stored)), Some(Value::Constant(scale)), Some(a), Some(b))
            | (Some(Value::Constant(scale)), Some(product @ Value::Stored(stored)), Some(b), Some(a))
                if a == b =>
            {
                let scaled = n.scaled(product, scale, node.name(1))?;
                if matches!(&scaled, Value::Stored(scaled) if scaled.id == stored.id) {
                    n.dynamic.unscaled.remove(&stored.id);
                }
                return Ok(vec![scaled]);
            }
            _ => {}
        },
        _ => {}
    }
    let accepted =
        "after a DynamicQuantizeLinear a MatMulInteger or ConvInteger, a Cast to float32, and a Mul by its scale";
    Err(n.refuse(accepted))
}

/// Returns the codes of weights, less their zero point, as floats.
fn centred(n: &mut Network<'_>, node: &Node, k: usize, zero_point: usize, axis: usize) -> Result<Constant> {
    let codes = n.constant(node, k)?;
    if codes.dtype.range_8_bit().is_none() {
        return Err(n.refuse(format!("int8 or uint8 weights, not {}", codes.dtype)));
    }
    let one = Constant::floats(&[], &[1.0]);
    let Some(zero_points) = (if Network::has(node, zero_point) { Some(n.constant(node, zero_point)?) } else { None })
    else {
        return n.dequantized_constant(codes, &one, None, 0);
    };
    if zero_points.elements() == 1 {
        return n.dequantized_constant(codes, &one, Some(zero_points), 0);
    }
    let ones = Constant::floats(&[zero_points.elements() as u32], &vec![1.0; zero_points.elements()]);
    n.dequantized_constant(codes, &ones, Some(zero_points), axis)
}

/// MatMulInteger and ConvInteger, of codes that [`dynamic_quantize`] has made.
pub(super) fn integer_layer(n: &mut Network<'_>, node: &Node) -> Outputs {
    let input = n.input(node, 0)?;
    let Some(k) = n.dynamic_of(input) else {
        return Err(n.refuse("the codes of a DynamicQuantizeLinear as its input"));
    };
    let is_conv = node.op == "ConvInteger";
    let axis = if is_conv { 0 } else { n.constant(node, 1)?.shape.len().saturating_sub(1) };
    let weights = centred(n, node, 1, 3, axis)?;
    n.dynamic.layers += 1;
    let inputs = vec![input.clone(), Value::Constant(weights)];
    let product = if is_conv {
        float(n, node, "Conv", image::conv, inputs, &[0, 1])?
    } else {
        float(n, node, "MatMul", dense::mat_mul, inputs, &[0, 1])?
    };
    Ok(vec![n.unscaled(k, product)])
}

/// DynamicQuantizeMatMul of `com.microsoft`, and MatMulIntegerToFloat, of dynamic codes.
pub(super) fn dynamic_mat_mul(n: &mut Network<'_>, node: &Node) -> Outputs {
    let [scale, zero_point, bias] = if node.op == "DynamicQuantizeMatMul" { [2, 3, 4] } else { [3, 5, 6] };
    let input = n.input(node, 0)?;
    if node.op != "DynamicQuantizeMatMul" && !n.is_dynamic(input) {
        return Err(n.refuse("the codes of a DynamicQuantizeLinear as its input"));
    }
    let scales = n.scales_of(node, scale)?;
    let zero_points = if Network::has(node, zero_point) { Some(n.constant(node, zero_point)?) } else { None };
    let weights = n.constant(node, 1)?;
    let axis = weights.shape.len().saturating_sub(1);
    let weights = n.dequantized_constant(weights, &scales, zero_points, axis)?;
    n.dynamic.layers += 1;
    let inputs = vec![input.clone(), Value::Constant(weights)];
    let mut product = float(n, node, "MatMul", dense::mat_mul, inputs, &[0, 1])?;
    if Network::has(node, bias) {
        let term = n.input(node, bias)?;
        product = match n.add_bias(&product, term, node.name(bias))? {
            Some(product) => product,
            None => n.pairwise(Op::Add(Activation::None), [&product, term], ["", node.name(bias)])?,
        };
    }
    Ok(vec![product])
}

/// DynamicQuantizeLSTM of `com.microsoft`, whose weights are transposed.
pub(super) fn lstm(n: &mut Network<'_>, node: &Node) -> Outputs {
    let mut weights = Vec::new();
    let by = [n.scales_of(node, 8)?, n.scales_of(node, 10)?];
    // Each gate is one layer with both matrices. With the scale of the recurrent one for both, they stay codes, and what
    // the other is multiplied with is multiplied by the ratio of the scales.
    let ratio = match [&by[0], &by[1]].map(|scales| scales.as_floats().unwrap_or_default())[..] {
        [ref input, ref recurrent] if input.len() == 1 && recurrent.len() == 1 => {
            Some(input[0] / recurrent[0]).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        }
        _ => None,
    };
    for (k, scale) in [(1, 8), (2, 10)] {
        let codes = n.constant(node, k)?;
        let scales = by[usize::from(k == 2 || ratio.is_some())].clone();
        let zero_points = if Network::has(node, scale + 1) { Some(n.constant(node, scale + 1)?) } else { None };
        let &[directions, rows, columns] = &codes.shape[..] else {
            return Err(n.invalid(format!("input {k} does not have 3 dimensions")));
        };
        // One for each direction, or for each of its columns.
        let by_direction = scales.shape == [directions] || scales.elements() == 1;
        let alike = zero_points.is_none_or(|zero_points| zero_points.shape == scales.shape);
        if !(by_direction || scales.shape == [directions, columns]) || !alike {
            return Err(n.invalid(format!("input {scale} has the shape {:?}", scales.shape)));
        }
        let floats = if by_direction {
            n.dequantized_constant(codes, &scales, zero_points, 0)?
        } else {
            let mut parts = Vec::new();
            for d in 0..directions {
                let part = |of: &Constant, shape: &[u32]| {
                    let mut begin = vec![0; of.shape.len()];
                    begin[0] = i64::from(d);
                    let part = of.sliced(&begin, &vec![1; of.shape.len()], &[&[1], &of.shape[1..]].concat());
                    part.map(|part| part.reshaped(shape.to_vec())).ok_or_else(|| n.invalid("its weights do not fit"))
                };
                n.make(codes.bytes.len())?;
                let of_direction = part(codes, &[rows, columns])?;
                let scales = part(&scales, &[columns])?;
                let zero_points = zero_points.map(|zero_points| part(zero_points, &[columns])).transpose()?;
                parts.push(n.dequantized_constant(&of_direction, &scales, zero_points.as_ref(), 1)?);
            }
            let parts: Vec<Constant> = parts.iter().map(|part| part.reshaped(vec![1, rows, columns])).collect();
            let parts: Vec<&Constant> = parts.iter().collect();
            constant::concat(&parts, 0).ok_or_else(|| n.invalid("its weights do not fit"))?
        };
        weights.push(n.transposed(&floats, &[0, 2, 1])?);
    }
    n.dynamic.layers += 1;
    let Some(ratio) = ratio else { return recurrent::unrolled(n, node, &weights[0], &weights[1]) };
    let ratio = Value::Constant(Constant::floats(&[], &[ratio]));
    let mut inputs = node.inputs.clone();
    inputs[0] = Some(n.pairwise(Op::Mul(Activation::None), [n.input(node, 0)?, &ratio], [node.name(0), ""])?);
    recurrent::unrolled(n, &Node { inputs, ..node.clone() }, &weights[0], &weights[1])
}
