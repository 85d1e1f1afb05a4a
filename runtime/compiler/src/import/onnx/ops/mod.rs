//! ONNX's operators, one row each: the name, and how it becomes operators of the graph.

mod dense;
mod einsum;
mod elementwise;
mod image;
mod logic;
mod movement;
mod pieces;
mod quantized;
mod recurrent;
mod resize;

use super::constant::{self, Constant};
use super::network::{Network, Node, Value};
use super::tensor::{Reader, computed_type};
use crate::diag::Result;
use crate::ir::graph::{ElementType, broadcast_shape};
use crate::ir::{Comparison, Op};
use rten_onnx::onnx::DataType;

/// The values that a node computes.
type Outputs = Result<Vec<Value>>;

type Build = fn(&mut Network<'_>, &Node) -> Outputs;

/// One operator.
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it is only computed from constants and shapes, when the network is compiled.
    of_constants: bool,
    build: Build,
}

impl Row {
    const fn computed(name: &'static str, build: Build) -> Self {
        Self { name, of_constants: false, build }
    }

    const fn constant(name: &'static str) -> Self {
        Self { name, of_constants: true, build: constants_only }
    }
}

/// Returns the names of the operators that are compiled, as text: a line for each kind.
pub(crate) fn names() -> String {
    let names = |of_constants: bool| {
        let rows = OPERATORS.iter().filter(|row| row.of_constants == of_constants);
        rows.map(|row| row.name).collect::<Vec<_>>().join(", ")
    };
    format!("float32: {}\nconstants: {}", names(false), names(true))
}

/// The operators. What is computed from constants is in [`fold`].
pub(super) const OPERATORS: [Row; 156] = [
    Row::computed("Abs", elementwise::unary),
    Row::computed("Acos", elementwise::composed),
    Row::computed("Acosh", elementwise::composed),
    Row::computed("Add", elementwise::binary),
    Row::computed("And", logic::logic),
    Row::computed("ArgMax", dense::arg_min_max),
    Row::computed("ArgMin", dense::arg_min_max),
    Row::computed("Asin", elementwise::composed),
    Row::computed("Asinh", elementwise::composed),
    Row::computed("Atan", elementwise::composed),
    Row::computed("Atanh", elementwise::composed),
    Row::computed("AveragePool", image::pool),
    Row::computed("BatchNormalization", image::batch_normalization),
    Row::computed("Cast", cast),
    Row::computed("CastLike", cast),
    Row::computed("Ceil", elementwise::unary),
    Row::computed("Celu", elementwise::composed),
    Row::computed("Clip", elementwise::clip),
    Row::computed("Compress", pieces::compress),
    Row::computed("Concat", movement::concat),
    Row::computed("Conv", image::conv),
    Row::computed("ConvInteger", quantized::integer_layer),
    Row::computed("ConvTranspose", image::conv_transpose),
    Row::computed("Cos", elementwise::unary),
    Row::computed("Cosh", elementwise::composed),
    Row::computed("CumSum", pieces::cumulative_sum),
    Row::computed("DepthToSpace", movement::blocks),
    Row::computed("DequantizeLinear", quantized::dequantize),
    Row::computed("Div", elementwise::binary),
    Row::computed("Dropout", elementwise::identity),
    Row::computed("DynamicQuantizeLinear", quantized::dynamic_quantize),
    Row::computed("Einsum", einsum::einsum),
    Row::computed("Elu", elementwise::unary),
    Row::computed("Equal", logic::comparison),
    Row::computed("Erf", elementwise::unary),
    Row::computed("Exp", elementwise::unary),
    Row::computed("Expand", movement::expand),
    Row::computed("Flatten", movement::reshape),
    Row::computed("Floor", elementwise::unary),
    Row::computed("GRU", recurrent::recurrent),
    Row::computed("Gather", movement::gather),
    Row::computed("GatherElements", pieces::gather_elements),
    Row::computed("GatherND", pieces::gather_nd),
    Row::computed("Gelu", elementwise::unary),
    Row::computed("Gemm", dense::gemm),
    Row::computed("GlobalAveragePool", dense::global_pool),
    Row::computed("GlobalMaxPool", dense::global_pool),
    Row::computed("Greater", logic::comparison),
    Row::computed("GreaterOrEqual", logic::comparison),
    Row::computed("HardSigmoid", elementwise::hard_sigmoid),
    Row::computed("HardSwish", elementwise::unary),
    Row::computed("Hardmax", logic::hardmax),
    Row::computed("Identity", elementwise::identity),
    Row::computed("InstanceNormalization", dense::instance_normalization),
    Row::computed("IsInf", elementwise::composed),
    Row::computed("IsNaN", elementwise::composed),
    Row::computed("LRN", dense::local_response),
    Row::computed("LSTM", recurrent::recurrent),
    Row::computed("LayerNormalization", dense::layer_normalization),
    Row::computed("LeakyRelu", elementwise::unary),
    Row::computed("Less", logic::comparison),
    Row::computed("LessOrEqual", logic::comparison),
    Row::computed("Log", elementwise::unary),
    Row::computed("LogSoftmax", dense::softmax),
    Row::computed("MatMul", dense::mat_mul),
    Row::computed("MatMulInteger", quantized::integer_layer),
    Row::computed("Max", elementwise::variadic),
    Row::computed("MaxPool", image::pool),
    Row::computed("Mean", elementwise::variadic),
    Row::computed("MeanVarianceNormalization", dense::mean_variance),
    Row::computed("Min", elementwise::variadic),
    Row::computed("Mish", elementwise::composed),
    Row::computed("Mod", elementwise::binary),
    Row::computed("Mul", elementwise::binary),
    Row::computed("Neg", elementwise::unary),
    Row::computed("Not", logic::logic),
    Row::computed("OneHot", logic::one_hot),
    Row::computed("Or", logic::logic),
    Row::computed("PRelu", elementwise::binary),
    Row::computed("Pad", movement::pad),
    Row::computed("Pow", elementwise::binary),
    Row::computed("QLinearConv", quantized::qlinear_conv),
    Row::computed("QLinearMatMul", quantized::qlinear_mat_mul),
    Row::computed("QuantizeLinear", quantized::quantize),
    Row::computed("RNN", recurrent::recurrent),
    Row::computed("Reciprocal", elementwise::unary),
    Row::computed("ReduceL1", dense::reduction),
    Row::computed("ReduceL2", dense::reduction),
    Row::computed("ReduceLogSum", dense::reduction),
    Row::computed("ReduceLogSumExp", dense::reduction),
    Row::computed("ReduceMax", dense::reduction),
    Row::computed("ReduceMean", dense::reduction),
    Row::computed("ReduceMin", dense::reduction),
    Row::computed("ReduceProd", dense::reduction),
    Row::computed("ReduceSum", dense::reduction),
    Row::computed("ReduceSumSquare", dense::reduction),
    Row::computed("Relu", elementwise::unary),
    Row::computed("Reshape", movement::reshape),
    Row::computed("Resize", resize::resize),
    Row::computed("ReverseSequence", pieces::reverse_sequence),
    Row::computed("Round", elementwise::unary),
    Row::computed("Scatter", pieces::scatter),
    Row::computed("ScatterElements", pieces::scatter),
    Row::computed("ScatterND", pieces::scatter),
    Row::computed("Selu", elementwise::composed),
    Row::computed("Shrink", logic::piecewise),
    Row::computed("Sigmoid", elementwise::unary),
    Row::computed("Sign", elementwise::unary),
    Row::computed("Sin", elementwise::unary),
    Row::computed("Sinh", elementwise::composed),
    Row::computed("Slice", movement::slice),
    Row::computed("Softmax", dense::softmax),
    Row::computed("Softplus", elementwise::unary),
    Row::computed("Softsign", elementwise::composed),
    Row::computed("SpaceToDepth", movement::blocks),
    Row::computed("Split", movement::split),
    Row::computed("Sqrt", elementwise::unary),
    Row::computed("Squeeze", movement::reshape),
    Row::computed("Sub", elementwise::binary),
    Row::computed("Sum", elementwise::variadic),
    Row::computed("Tan", elementwise::composed),
    Row::computed("Tanh", elementwise::unary),
    Row::computed("ThresholdedRelu", logic::piecewise),
    Row::computed("Tile", movement::expand),
    Row::computed("TopK", dense::top_k),
    Row::computed("Transpose", movement::transpose),
    Row::computed("Trilu", pieces::triangle),
    Row::computed("Unsqueeze", movement::reshape),
    Row::computed("Upsample", resize::resize),
    Row::computed("Where", logic::choice),
    Row::computed("Xor", logic::logic),
    Row::computed("com.microsoft.DequantizeLinear", quantized::dequantize),
    Row::computed("com.microsoft.DynamicQuantizeLSTM", quantized::lstm),
    Row::computed("com.microsoft.DynamicQuantizeMatMul", quantized::dynamic_mat_mul),
    Row::computed("com.microsoft.MatMulIntegerToFloat", quantized::dynamic_mat_mul),
    Row::computed("com.microsoft.QGemm", quantized::qgemm),
    Row::computed("com.microsoft.QLinearAdd", quantized::qlinear),
    Row::computed("com.microsoft.QLinearAveragePool", quantized::qlinear),
    Row::computed("com.microsoft.QLinearConcat", quantized::qlinear_concat),
    Row::computed("com.microsoft.QLinearGlobalAveragePool", quantized::qlinear),
    Row::computed("com.microsoft.QLinearLeakyRelu", quantized::qlinear),
    Row::computed("com.microsoft.QLinearMul", quantized::qlinear),
    Row::computed("com.microsoft.QLinearSigmoid", quantized::qlinear),
    Row::computed("com.microsoft.QLinearSoftmax", quantized::qlinear),
    Row::computed("com.microsoft.QuantizeLinear", quantized::quantize),
    Row::constant("BitShift"),
    Row::constant("BlackmanWindow"),
    Row::constant("Constant"),
    Row::constant("ConstantOfShape"),
    Row::constant("EyeLike"),
    Row::constant("HammingWindow"),
    Row::constant("HannWindow"),
    Row::constant("If"),
    Row::constant("Range"),
    Row::constant("Shape"),
    Row::constant("Size"),
];

/// Returns the row of an operator.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    OPERATORS.iter().find(|row| row.name == name)
}

/// Compiles a node: computes it, if that is possible, or adds it to the graph.
pub(super) fn compile(n: &mut Network<'_>, reader: &mut Reader<'_>, node: &Node, row: &Row) -> Outputs {
    if node.inputs.iter().flatten().any(|value| n.is_dynamic(value)) {
        return quantized::of_dynamic(n, node, row);
    }
    if let Some(values) = quantized::of_codes(n, node, row)? {
        return Ok(values);
    }
    if let Some(constant) = fold(n, reader, node)? {
        return Ok(vec![Value::Constant(constant)]);
    }
    let integers = |value: &Value| matches!(value, Value::Constant(constant) if constant.dtype != ElementType::F32);
    let moves = [
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Transpose",
        "Slice",
        "Identity",
        "Dropout",
        "QuantizeLinear",
        "DequantizeLinear",
        "OneHot",
        "Pad",
        "GatherElements",
        "GatherND",
        "Scatter",
        "ScatterElements",
        "ScatterND",
        "Compress",
        "ReverseSequence",
        "Trilu",
    ];
    let of_constants = node.inputs.iter().flatten().all(|value| matches!(value, Value::Constant(_)));
    // Shapes that are not computed would be of no use in the graph.
    if of_constants
        && !node.inputs.is_empty()
        && !moves.contains(&node.op.as_str())
        && node.inputs.iter().flatten().any(integers)
        && !row.name.starts_with("Reduce")
    {
        return Err(n.refuse("another form where all inputs are constants"));
    }
    (row.build)(n, node)
}

fn constants_only(n: &mut Network<'_>, _: &Node) -> Outputs {
    Err(n.refuse("constant inputs (it is computed when the network is compiled)"))
}

/// Conversions. Floating-point numbers of all types are computed in float32.
fn cast(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let to = match node.op.as_str() {
        "Cast" => computed_type(DataType(i32::try_from(node.int("to", 0)).unwrap_or(0))),
        _ => match n.input(node, 1)? {
            Value::Constant(constant) => Some(constant.dtype),
            Value::Stored(like) if n.is_truth(like.id) => Some(ElementType::Bool),
            Value::Stored(like) => Some(n.graph.tensors[like.id].dtype),
            Value::Failed => None,
        },
    };
    let Value::Stored(stored) = value else { return Err(n.refuse("numbers")) };
    let (from, is_truth) = (n.graph.tensors[stored.id].dtype, n.is_truth(stored.id));
    Ok(vec![match (from, to) {
        (ElementType::F32, Some(ElementType::Bool)) if is_truth => value.clone(),
        // A number of its own: what reads it does not take it for a truth value.
        (ElementType::F32, Some(ElementType::F32)) if is_truth => {
            let order = n.order(value);
            let id = n.arrange(value, &order, "")?;
            let shape = n.graph.tensors[id].shape.clone();
            let copy = n.emit(Op::Reshape { new_shape: None }, &[id], shape)?;
            Network::stored(n.number(copy), order)
        }
        (ElementType::I8 | ElementType::U8, Some(ElementType::F32)) => n.float_of_byte(value)?,
        (ElementType::F32, Some(ElementType::Bool)) => {
            let zero = Network::scalar(0.0);
            let equal = n.compare(Comparison::Equal, [value, &zero], ["", ""])?;
            n.not(&equal)?
        }
        (ElementType::I32, Some(ElementType::Bool)) => {
            let equal = n.compare(Comparison::Equal, [value, &Network::scalar_i32(0)], ["", ""])?;
            n.not(&equal)?
        }
        (ElementType::I32, Some(ElementType::F32)) => n.cast_to(value, ElementType::F32)?,
        // The model has no int64.
        (ElementType::F32, Some(ElementType::I32 | ElementType::I64)) => n.cast_to(value, ElementType::I32)?,
        (from, Some(to)) if from == to => value.clone(),
        // Indices, which are int32 in the model.
        (ElementType::I32, Some(ElementType::I64)) => value.clone(),
        (from, to) => {
            let to = to.map_or("that type".into(), |to| to.to_string());
            return Err(n.refuse(format!(
                "float types, bool, int32, int64, 8-bit integers to float, or constants; not {from} to {to}"
            )));
        }
    }])
}

impl Network<'_> {
    /// Returns the number as a constant of int32.
    pub(super) fn scalar_i32(number: i32) -> Value {
        Value::Constant(Constant { dtype: ElementType::I32, shape: Vec::new(), bytes: number.to_le_bytes().into() })
    }

    /// Takes the elements of a value as numbers of another type: from float32 without their fraction.
    fn cast_to(&mut self, value: &Value, dtype: ElementType) -> Result<Value> {
        let order = self.order(value);
        let id = self.arrange(value, &order, "")?;
        let shape = self.graph.tensors[id].shape.clone();
        let cast = self.emit(Op::Cast, &[id], shape)?;
        self.graph.tensors[cast].dtype = dtype;
        Ok(Self::stored(cast, order))
    }
}

/// Computes a node of which all that it needs is known; `None` if it must run, or cannot be computed.
fn fold(n: &mut Network<'_>, reader: &mut Reader<'_>, node: &Node) -> Result<Option<Constant>> {
    match node.op.as_str() {
        "Constant" => return constant_of(n, reader, node).map(Some),
        "Shape" | "Size" => {
            let shape: Vec<i64> = n.shape(n.input(node, 0)?).into_iter().map(i64::from).collect();
            let rank = shape.len() as i64;
            if node.op == "Size" {
                let size = shape.iter().try_fold(1i64, |n, &dim| n.checked_mul(dim));
                let size = size.ok_or_else(|| n.invalid("its input is too large"))?;
                return Ok(Some(Constant::list(&[size]).reshaped(Vec::new())));
            }
            let at = |index: i64| (if index < 0 { index.saturating_add(rank) } else { index }).clamp(0, rank) as usize;
            let (start, end) = (at(node.int("start", 0)), at(node.int("end", rank)));
            return Ok(Some(Constant::list(shape.get(start..end).unwrap_or_default())));
        }
        "EyeLike" => {
            let shape = n.shape(n.input(node, 0)?);
            let stated = node.attribute("dtype").map(|_| computed_type(DataType(node.int("dtype", 0) as i32)));
            let own = || match n.input(node, 0) {
                Ok(Value::Constant(constant)) => Some(constant.dtype),
                Ok(Value::Stored(stored)) => Some(n.graph.tensors[stored.id].dtype),
                _ => None,
            };
            let dtype = stated.unwrap_or_else(own).ok_or_else(|| n.refuse("a type of numbers"))?;
            n.make(constant::count(&shape).map_or(usize::MAX, |count| count.saturating_mul(8)))?;
            let eye = constant::eye(&shape, node.int("k", 0)).and_then(|eye| constant::cast(&eye, dtype));
            return eye.map(Some).ok_or_else(|| n.refuse("a small matrix"));
        }
        _ => {}
    }
    let inputs: Option<Vec<&Constant>> = node
        .inputs
        .iter()
        .map(|value| match value {
            Some(Value::Constant(constant)) => Some(constant),
            _ => None,
        })
        .collect();
    let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else { return Ok(None) };
    if inputs.iter().any(|constant| constant.elements() > constant::MAX_ELEMENTS) {
        return Ok(None);
    }
    n.make(inputs.iter().map(|constant| constant.bytes.len()).sum())?;
    let rank = inputs[0].shape.len();
    let along = |default: i64| movement::axis(n, node.int("axis", default), rank);
    let result = match (node.op.as_str(), &inputs[..]) {
        ("Cast", &[input]) => {
            let to = computed_type(DataType(i32::try_from(node.int("to", 0)).unwrap_or(0)));
            to.and_then(|to| constant::cast(input, to))
        }
        ("CastLike", &[input, like]) => constant::cast(input, like.dtype),
        ("Concat", parts) => constant::concat(parts, along(0)?),
        ("Gather", &[input, indices]) => constant::gather(input, indices, along(0)?),
        ("Where", &[condition, a, b]) => constant::select(condition, a, b),
        ("Clip", &[input, ref bounds @ ..]) if input.dtype != ElementType::F32 => {
            let bounds = [("Max", bounds.first()), ("Min", bounds.get(1))];
            bounds.into_iter().try_fold(input.clone(), |input, (op, bound)| match bound {
                Some(bound) => constant::binary(op, &input, bound),
                None => Some(input),
            })
        }
        ("BitShift", &[a, b]) => match node.text("direction") {
            Some("RIGHT") => constant::binary("ShiftRight", a, b),
            _ => constant::binary("ShiftLeft", a, b),
        },
        ("HannWindow" | "HammingWindow" | "BlackmanWindow", &[size]) => {
            let periodic = node.int("periodic", 1) != 0;
            let size = size.as_ints().and_then(|list| usize::try_from(*list.first()?).ok());
            size.and_then(|size| constant::window(&node.op, size, periodic))
        }
        ("Range", &[start, limit, delta]) => constant::range(start, limit, delta),
        ("Expand", &[input, shape]) => {
            let dims = shape.as_ints().unwrap_or_default();
            let dims: Option<Vec<u32>> = dims.iter().map(|&dim| u32::try_from(dim).ok()).collect();
            let shape = dims.and_then(|dims| broadcast_shape(&input.shape, &dims));
            shape.and_then(|shape| input.broadcast(&shape))
        }
        ("ConstantOfShape", &[shape]) => {
            let dims = shape.as_ints().unwrap_or_default();
            let dims: Option<Vec<u32>> = dims.iter().map(|&dim| u32::try_from(dim).ok()).collect();
            let value = node.attribute("value").and_then(|attribute| attribute.t.clone());
            let value = match value {
                Some(tensor) => reader.read(tensor, "value")?,
                None => Constant::floats(&[1], &[0.0]),
            };
            dims.and_then(|dims| value.reshaped(Vec::new()).broadcast(&dims))
        }
        // The sign of the dividend, as C does.
        ("Mod", &[a, b]) if node.int("fmod", 0) != 0 => constant::binary("Fmod", a, b),
        (op, &[a, b]) => constant::binary(op, a, b),
        (op, &[a]) => constant::unary(op, a),
        _ => None,
    };
    if let Some(result) = &result {
        n.make(result.bytes.len())?;
    }
    Ok(result)
}

/// Returns the value of a Constant node.
fn constant_of(n: &Network<'_>, reader: &mut Reader<'_>, node: &Node) -> Result<Constant> {
    let Some(attribute) = node.attributes.first() else { return Err(n.invalid("it has no value")) };
    let name = node.outputs.first().map_or("", String::as_str);
    Ok(match attribute.name.as_deref().unwrap_or_default() {
        "value" => match attribute.t.clone() {
            Some(tensor) => reader.read(tensor, name)?,
            None => return Err(n.invalid("it has no value")),
        },
        "value_float" => Constant::floats(&[], &[attribute.f.unwrap_or(0.0)]),
        "value_floats" => Constant::floats(&[attribute.floats.len() as u32], &attribute.floats),
        "value_int" => Constant::list(&[attribute.i.unwrap_or(0)]).reshaped(Vec::new()),
        "value_ints" => Constant::list(&attribute.ints),
        other => return Err(n.refuse(format!("a dense tensor or numbers, not `{other}`"))),
    })
}

#[cfg(test)]
mod tests {
    use super::OPERATORS;
    use std::collections::HashSet;

    #[test]
    fn an_operator_has_one_row() {
        let names: HashSet<_> = OPERATORS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), OPERATORS.len());
    }
}
