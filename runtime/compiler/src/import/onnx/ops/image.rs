//! Convolutions, pools, and their weights.
//!
//! Images of one spatial dimension are images of one row.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::Constant;
use crate::import::onnx::network::{NHWC, Network, Node, Value};
use crate::ir::graph::{NodeOp, TensorId};
use crate::ir::{Activation, Op, Padding, Window};
use tealight_format::Operator;
use tealight_format::ops::ConvTranspose2dF32;

const SPATIAL: &str = "1 or 2 spatial dimensions";

/// A window of a convolution or pool over an image of H and W.
#[derive(Debug)]
struct Sliding {
    size: [u32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    /// Above, left, below, right.
    pad: [i64; 4],
    output: [u32; 2],
}

impl Sliding {
    fn extent(&self, axis: usize) -> i64 {
        (i64::from(self.size[axis]) - 1).saturating_mul(i64::from(self.dilation[axis])).saturating_add(1)
    }

    /// Returns whether the model file can hold the padding: each window begins above the end of the image, and the first
    /// one reaches it.
    fn fits(&self, input: [u32; 2]) -> bool {
        (0..2).all(|axis| {
            let last = (i64::from(self.output[axis]) - 1).saturating_mul(i64::from(self.stride[axis]));
            self.pad[axis] < self.extent(axis) && last < i64::from(input[axis]) + self.pad[axis]
        })
    }

    /// Returns the window with the padding that gives the output its size.
    fn window(&self, size: [i32; 2]) -> Window {
        let [top, left, bottom, right] = self.pad.map(|pad| u32::try_from(pad).unwrap_or(0));
        Window {
            padding: Padding::Valid,
            stride: self.stride,
            dilation: self.dilation,
            size,
            explicit: [top, left, bottom, right],
            activation: Activation::None,
        }
    }
}

impl Network<'_> {
    /// Returns the tensor of an image as NHWC.
    pub(super) fn image(&mut self, value: &Value) -> Result<TensorId> {
        let rank = self.shape(value).len();
        let id = match rank {
            4 => self.arrange(value, &NHWC, "")?,
            3 => {
                let id = self.arrange(value, &[0, 2, 1], "")?;
                let &[batch, width, channels] = &self.graph.tensors[id].shape[..] else {
                    return Err(self.refuse(SPATIAL));
                };
                self.reshape(id, vec![batch, 1, width, channels])?
            }
            _ => return Err(self.refuse(SPATIAL)),
        };
        match self.graph.tensors[id].dtype {
            crate::ir::graph::ElementType::F32 => Ok(id),
            other => Err(self.refuse(format!("float32 (`{}` is {other})", self.graph.tensors[id].name))),
        }
    }

    /// Returns an NHWC tensor as a value of `rank` dimensions.
    pub(super) fn of_image(&mut self, id: TensorId, rank: usize) -> Result<Value> {
        if rank == 4 {
            return Ok(Self::stored(id, NHWC.to_vec()));
        }
        let shape = &self.graph.tensors[id].shape;
        let shape = vec![shape[0], shape[2], shape[3]];
        Ok(Self::stored(self.reshape(id, shape)?, vec![0, 2, 1]))
    }

    /// Returns the attribute `name`, one number for each spatial dimension, as one for H and one for W.
    fn sides(&self, node: &Node, name: &str, default: i64, spatial: usize) -> Result<[i64; 2]> {
        match (node.ints(name), spatial) {
            (None | Some([]), _) => Ok([default; 2]),
            (Some(&[width]), 1) => Ok([default, width]),
            (Some(&[height, width]), 2) => Ok([height, width]),
            (Some(list), _) => Err(self.invalid(format!("its {name} are {list:?} for {spatial} dimensions"))),
        }
    }

    fn positive(&self, name: &str, sides: [i64; 2]) -> Result<[i32; 2]> {
        let side = |side: i64| i32::try_from(side).ok().filter(|side| (1..1 << 24).contains(side));
        match sides.map(side) {
            [Some(height), Some(width)] => Ok([height, width]),
            _ => Err(self.invalid(format!("its {name} are {sides:?}"))),
        }
    }

    /// Returns the window of `node` over an image of `input` rows and columns.
    fn sliding(&self, node: &Node, size: [u32; 2], input: [u32; 2], spatial: usize) -> Result<Sliding> {
        let stride = self.positive("strides", self.sides(node, "strides", 1, spatial)?)?;
        let dilation = self.positive("dilations", self.sides(node, "dilations", 1, spatial)?)?;
        let mut sliding = Sliding { size, stride, dilation, pad: self.pads(node, spatial)?, output: [0; 2] };
        let ceil = node.int("ceil_mode", 0) != 0;
        for axis in 0..2 {
            let (from, stride, extent) = (i64::from(input[axis]), i64::from(stride[axis]), sliding.extent(axis));
            let auto = node.text("auto_pad").unwrap_or("NOTSET");
            let (mut before, mut after) = (sliding.pad[axis], sliding.pad[2 + axis]);
            match auto {
                "NOTSET" | "" => {}
                "VALID" => (before, after) = (0, 0),
                "SAME_UPPER" | "SAME_LOWER" => {
                    let total = (((from + stride - 1) / stride - 1) * stride + extent - from).max(0);
                    let (small, large) = (total / 2, total - total / 2);
                    (before, after) = if auto == "SAME_UPPER" { (small, large) } else { (large, small) };
                }
                other => return Err(self.invalid(format!("its auto_pad is `{other}`"))),
            }
            let room = from + before + after - extent;
            let mut output =
                if ceil { (room + stride - 1).div_euclid(stride) + 1 } else { room.div_euclid(stride) + 1 };
            // A window that would begin in the padding after the image is none.
            if ceil && (output - 1) * stride >= from + before {
                output -= 1;
            }
            sliding.output[axis] = u32::try_from(output).ok().filter(|&output| output > 0).ok_or_else(|| {
                self.invalid(format!(
                    "its window of {extent} does not fit an image of {from} and padding {before}, {after}"
                ))
            })?;
            sliding.pad[axis] = before;
            sliding.pad[2 + axis] = ((output - 1) * stride + extent - from - before).max(0);
        }
        Ok(sliding)
    }

    /// Returns the explicit padding above, left, below, right.
    fn pads(&self, node: &Node, spatial: usize) -> Result<[i64; 4]> {
        let pads = match (node.ints("pads"), spatial) {
            (None | Some([]), _) => [0; 4],
            (Some(&[left, right]), 1) => [0, left, 0, right],
            (Some(&[top, left, bottom, right]), 2) => [top, left, bottom, right],
            (Some(list), _) => return Err(self.invalid(format!("its pads are {list:?}"))),
        };
        if pads.iter().any(|pad| !(0..1 << 24).contains(pad)) {
            return Err(self.refuse(format!("padding of 0 or more, not {pads:?}")));
        }
        Ok(pads)
    }

    /// Emits a border of zeros around an image.
    fn border(&mut self, image: TensorId, pad: [i64; 4]) -> Result<TensorId> {
        if pad == [0; 4] {
            return Ok(image);
        }
        let [top, left, bottom, right] = pad;
        let mut shape = self.graph.tensors[image].shape.clone();
        for (dim, more) in shape[1..].iter_mut().zip([top + bottom, left + right]) {
            let side = u32::try_from(more).ok().and_then(|more| dim.checked_add(more));
            *dim = side.ok_or_else(|| self.invalid("its padding is too large"))?;
        }
        let pads = self.axes(&[0, 0, top, bottom, left, right, 0, 0])?;
        self.emit(Op::Pad, &[image, pads], shape)
    }

    /// Adds a constant to the sums of the layer that computes `value`, if it has no bias yet and no activation.
    pub(super) fn add_bias(&mut self, value: &Value, bias: &Value, name: &str) -> Result<Option<Value>> {
        let (Value::Stored(stored), Value::Constant(bias)) = (value, bias) else { return Ok(None) };
        let shape = self.shape(value);
        let Some(at) = self.producer(stored.id) else { return Ok(None) };
        let channel = match &self.graph.nodes[at].op {
            NodeOp::Ir(Op::FullyConnected(Activation::None)) => shape.len().wrapping_sub(1),
            NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) if window.activation == Activation::None => 1,
            _ => return Ok(None),
        };
        let node = &self.graph.nodes[at];
        let output = self.graph.tensors[node.outputs[0]].shape.last().copied();
        let padded = crate::import::onnx::constant::padded(&bias.shape, shape.len());
        let along = padded.len() == shape.len()
            && padded.iter().enumerate().all(|(i, &dim)| if i == channel { Some(dim) == output } else { dim == 1 });
        if !along || node.inputs.get(2).is_some_and(Option::is_some) || shape.get(channel).copied() != output {
            return Ok(None);
        }
        let bias = bias.reshaped(vec![bias.elements() as u32]);
        if bias.as_floats().is_none() {
            return Ok(None);
        }
        let id = self.add_constant(name, &bias)?;
        let inputs = &mut self.graph.nodes[at].inputs;
        inputs.resize(3, None);
        inputs[2] = Some(id);
        Ok(Some(value.clone()))
    }

    /// Multiplies the outputs of the layer that computes `value` by a factor for each channel and adds a term, if it has
    /// no activation.
    fn scale_channels(&mut self, value: &Value, factors: &[f32], terms: &[f32]) -> Result<bool> {
        let Value::Stored(stored) = value else { return Ok(false) };
        let Some(at) = self.producer(stored.id) else { return Ok(false) };
        let is_image = self.shape(value).len() > 2;
        let node = &self.graph.nodes[at];
        let scales = match &node.op {
            NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) => window.activation == Activation::None,
            NodeOp::Ir(Op::FullyConnected(Activation::None)) => !is_image,
            NodeOp::Kernel(Operator::ConvTranspose2dF32(_)) => true,
            _ => false,
        };
        if scales { self.scale_layer(at, factors, Some(terms)) } else { Ok(false) }
    }

    /// Returns the node of the graph that is the layer that computes `value`, if that has no activation and nothing else
    /// reads it, and the dimension of the value that is its output channels.
    pub(super) fn layer_of(&self, value: &Value) -> Option<(usize, usize)> {
        let Value::Stored(stored) = value else { return None };
        let at = self.producer(stored.id)?;
        let channel = match &self.graph.nodes[at].op {
            NodeOp::Ir(Op::FullyConnected(Activation::None)) => self.shape(value).len().checked_sub(1)?,
            NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) if window.activation == Activation::None => 1,
            _ => return None,
        };
        Some((at, channel))
    }

    /// Multiplies the weights of a layer by a factor for each output channel, and its bias, to which it adds a term.
    /// Returns whether it has weights for so many channels.
    pub(super) fn scale_layer(&mut self, at: usize, factors: &[f32], terms: Option<&[f32]>) -> Result<bool> {
        let node = &self.graph.nodes[at];
        let by_tap = matches!(node.op, NodeOp::Ir(Op::DepthwiseConv2d(_)));
        let (Some(&Some(id)), bias) = (node.inputs.get(1), node.inputs.get(2).copied().flatten()) else {
            return Ok(false);
        };
        let (weights, has_bias) = (&self.graph.tensors[id], bias.is_some());
        let bias = bias.map(|id| &self.graph.tensors[id]);
        let (name, shape) = (weights.name.clone(), weights.shape.clone());
        let bias_name = bias.map_or_else(|| format!("{name}.bias"), |bias| bias.name.clone());
        let (Some(mut values), channels) = (weights.f32_values(), factors.len()) else { return Ok(false) };
        let biases = bias.map_or_else(|| Some(vec![0.0; channels]), crate::ir::graph::Tensor::f32_values);
        let Some(biases) = biases.filter(|biases| biases.len() == channels && values.len().is_multiple_of(channels))
        else {
            return Ok(false);
        };
        self.make(4 * values.len())?;
        let each = (values.len() / channels).max(1);
        for (index, weight) in values.iter_mut().enumerate() {
            *weight *= factors[if by_tap { index % channels } else { index / each }];
        }
        let scaled = Constant::floats(&shape, &values);
        self.remember_scaled(id, &scaled, factors);
        let weights = self.add_constant(&name, &scaled)?;
        self.graph.nodes[at].inputs[1] = Some(weights);
        if !has_bias && terms.is_none() {
            return Ok(true);
        }
        let term = |channel: usize| terms.map_or(0.0, |terms| terms[channel]);
        let biases = biases.iter().zip(factors).enumerate();
        let biases: Vec<f32> = biases.map(|(channel, (&bias, &factor))| bias * factor + term(channel)).collect();
        let biases = self.add_constant(&bias_name, &Constant::floats(&[channels as u32], &biases))?;
        let inputs = &mut self.graph.nodes[at].inputs;
        inputs.resize(3, None);
        inputs[2] = Some(biases);
        Ok(true)
    }

    /// Returns the weights of a convolution, `[M, C, H, W]`.
    fn kernel(&self, node: &Node, spatial: usize) -> Result<Constant> {
        let weights = self.constant(node, 1)?;
        if weights.as_floats().is_none() {
            return Err(self.refuse(format!("float32 weights, not {}", weights.dtype)));
        }
        let shape = match (&weights.shape[..], spatial) {
            (&[outputs, inputs, width], 1) => vec![outputs, inputs, 1, width],
            (shape @ &[_, _, _, _], 2) => shape.to_vec(),
            (shape, _) => return Err(self.invalid(format!("its weights have the shape {shape:?}"))),
        };
        if shape.contains(&0) {
            return Err(self.invalid("it has no weights"));
        }
        if let Some(stated) = node.ints("kernel_shape")
            && !stated.iter().copied().eq(shape[4 - spatial..].iter().map(|&side| i64::from(side)))
        {
            return Err(self.invalid(format!("its kernel_shape is {stated:?}, but its weights are {shape:?}")));
        }
        Ok(weights.reshaped(shape))
    }

    /// Adds the bias of a layer of `channels` outputs.
    pub(super) fn bias(&mut self, node: &Node, k: usize, channels: u32) -> Result<Option<TensorId>> {
        if node.inputs.get(k).and_then(Option::as_ref).is_none() {
            return Ok(None);
        }
        let bias = self.constant(node, k)?;
        if bias.shape != [channels] || bias.as_floats().is_none() {
            return Err(
                self.invalid(format!("its bias {:?} is not one float32 for each of {channels} channels", bias.shape))
            );
        }
        self.add_constant(node.name(k), bias).map(Some)
    }
}

pub(super) fn conv(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let rank = n.shape(value).len();
    if !(3..=4).contains(&rank) {
        return Err(n.refuse(SPATIAL));
    }
    let weights = n.kernel(node, rank - 2)?;
    let &[outputs, depth, height, width] = &weights.shape[..] else { return Err(n.refuse(SPATIAL)) };
    let mut image = n.image(value)?;
    let &[batch, rows, columns, channels] = &n.graph.tensors[image].shape[..] else { return Err(n.refuse(SPATIAL)) };
    let groups = u32::try_from(node.int("group", 1)).ok().filter(|&groups| groups > 0);
    let Some(groups) =
        groups.filter(|groups| depth.checked_mul(*groups) == Some(channels) && outputs.is_multiple_of(*groups))
    else {
        let what = format!(
            "its weights {:?} in {} groups do not fit {channels} channels",
            weights.shape,
            node.int("group", 1)
        );
        return Err(n.invalid(what));
    };
    let mut sliding = n.sliding(node, [height, width], [rows, columns], rank - 2)?;
    if !sliding.fits([rows, columns]) {
        image = n.border(image, sliding.pad)?;
        sliding.pad = [0; 4];
    }
    let depthwise = depth == 1 && groups > 1;
    // OHWI, or 1HWO for a depthwise convolution.
    let weights = n.transposed(&weights, if depthwise { &[1, 2, 3, 0] } else { &[0, 2, 3, 1] })?;
    let weights = n.add_constant(node.name(1), &weights)?;
    let bias = n.bias(node, 2, outputs)?;
    let window = sliding.window([0, 0]);
    let op = if depthwise { Op::DepthwiseConv2d(window) } else { Op::Conv2d(window) };
    let shape = vec![batch, sliding.output[0], sliding.output[1], outputs];
    let output = n.emit_optional(op, vec![Some(image), Some(weights), bias], shape)?;
    Ok(vec![n.of_image(output, rank)?])
}

pub(super) fn conv_transpose(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let rank = n.shape(value).len();
    if !(3..=4).contains(&rank) {
        return Err(n.refuse(SPATIAL));
    }
    let spatial = rank - 2;
    let weights = n.kernel(node, spatial)?;
    let &[inputs, per_group, height, width] = &weights.shape[..] else { return Err(n.refuse(SPATIAL)) };
    let image = n.image(value)?;
    let &[batch, rows, columns, channels] = &n.graph.tensors[image].shape[..] else { return Err(n.refuse(SPATIAL)) };
    let groups =
        u32::try_from(node.int("group", 1)).ok().filter(|&groups| groups > 0 && channels.is_multiple_of(groups));
    let (Some(groups), true) = (groups, inputs == channels) else {
        return Err(n.invalid(format!("its weights {:?} do not fit {channels} channels", weights.shape)));
    };
    let outputs = per_group.checked_mul(groups).ok_or_else(|| n.invalid("it has too many channels"))?;
    let stride = n.positive("strides", n.sides(node, "strides", 1, spatial)?)?;
    let dilation = n.positive("dilations", n.sides(node, "dilations", 1, spatial)?)?;
    let more = n.sides(node, "output_padding", 0, spatial)?;
    let stated = n.sides(node, "output_shape", 0, spatial)?;
    let pads = n.pads(node, spatial)?;
    let auto = node.text("auto_pad").unwrap_or("NOTSET");
    let (mut pad, mut sides) = ([0; 2], [0; 2]);
    for axis in 0..2 {
        let (input, size) = (i64::from([rows, columns][axis]), i64::from([height, width][axis]));
        let full = (input - 1) * i64::from(stride[axis]) + (size - 1) * i64::from(dilation[axis]) + 1;
        let full = full + if spatial == 2 || axis == 1 { more[axis] } else { 0 };
        let wanted = match auto {
            _ if stated[axis] > 0 && (spatial == 2 || axis == 1) => Some(stated[axis]),
            "SAME_UPPER" | "SAME_LOWER" => Some(input * i64::from(stride[axis])),
            "NOTSET" | "VALID" | "" => None,
            other => return Err(n.invalid(format!("its auto_pad is `{other}`"))),
        };
        let (before, side) = match wanted {
            None if auto == "VALID" => (0, full),
            None => (pads[axis], full - pads[axis] - pads[2 + axis]),
            Some(side) => {
                let total = (full - side).max(0);
                (if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 }, side)
            }
        };
        let fits = i32::try_from(before).ok().zip(u32::try_from(side).ok().filter(|&side| side > 0));
        (pad[axis], sides[axis]) =
            fits.ok_or_else(|| n.invalid(format!("its output would have {side} rows or columns")))?;
    }
    // The channels of group g are g * M/g and on: from [C, M/g, H, W] to [M, H, W, C/g].
    let depth = channels / groups;
    let split = weights.reshaped(vec![groups * depth, per_group, height, width]);
    let mut parts = Vec::new();
    for group in 0..groups {
        let begin = [i64::from(group * depth), 0, 0, 0];
        n.make(weights.bytes.len() / groups as usize)?;
        let part = split.sliced(&begin, &[1; 4], &[depth, per_group, height, width]);
        let part = part.and_then(|part| part.transposed(&[1, 2, 3, 0]));
        parts.push(part.ok_or_else(|| n.invalid("its weights do not fit"))?);
    }
    let parts: Vec<&Constant> = parts.iter().collect();
    let weights =
        crate::import::onnx::constant::concat(&parts, 0).ok_or_else(|| n.invalid("its weights do not fit"))?;
    let weights = n.add_constant(node.name(1), &weights)?;
    let bias = n.bias(node, 2, outputs)?;
    let operator = ConvTranspose2dF32 { stride, dilation, pad, activation: [f32::NEG_INFINITY, f32::INFINITY] };
    let shape = vec![batch, sides[0], sides[1], outputs];
    let inputs = vec![Some(image), Some(weights), bias];
    let output = n.emit_optional(Operator::ConvTranspose2dF32(operator), inputs, shape)?;
    Ok(vec![n.of_image(output, rank)?])
}

pub(super) fn batch_normalization(n: &mut Network<'_>, node: &Node) -> Outputs {
    if node.int("training_mode", 0) != 0 || node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
        return Err(n.refuse("inference (export the network in evaluation mode: `model.eval()`)"));
    }
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let Some(&channels) = shape.get(1) else { return Err(n.refuse("an input of 2 dimensions or more")) };
    let mut lists = Vec::new();
    for k in 1..5 {
        let list = n.numbers(node, k)?.filter(|list| list.len() == channels as usize);
        lists.push(
            list.ok_or_else(|| n.invalid(format!("input {k} is not one float32 for each of {channels} channels")))?,
        );
    }
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let (scale, bias, mean, variance) = (&lists[0], &lists[1], &lists[2], &lists[3]);
    let (mut factors, mut terms) = (Vec::new(), Vec::new());
    for channel in 0..channels as usize {
        let factor = f64::from(scale[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        factors.push(factor as f32);
        terms.push((f64::from(bias[channel]) - f64::from(mean[channel]) * factor) as f32);
    }
    if n.scale_channels(value, &factors, &terms)? {
        return Ok(vec![value.clone()]);
    }
    let along: Vec<u32> = (0..shape.len()).map(|i| if i == 1 { channels } else { 1 }).collect();
    let factors = Value::Constant(Constant::floats(&along, &factors));
    let terms = Value::Constant(Constant::floats(&along, &terms));
    let scaled = n.pairwise(Op::Mul(Activation::None), [value, &factors], ["", node.name(1)])?;
    Ok(vec![n.pairwise(Op::Add(Activation::None), [&scaled, &terms], ["", node.name(2)])?])
}

pub(super) fn pool(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let rank = n.shape(value).len();
    if !(3..=4).contains(&rank) {
        return Err(n.refuse(SPATIAL));
    }
    if node.outputs.get(1).is_some_and(|name| !name.is_empty()) {
        return Err(n.refuse("no second output (indices)"));
    }
    let size = n.positive("kernel_shape", n.sides(node, "kernel_shape", 1, rank - 2)?)?;
    let mut image = n.image(value)?;
    let &[batch, rows, columns, channels] = &n.graph.tensors[image].shape[..] else { return Err(n.refuse(SPATIAL)) };
    let mut input = [rows, columns];
    let mut sliding = n.sliding(node, size.map(i32::cast_unsigned), input, rank - 2)?;
    if sliding.dilation != [1, 1] {
        return Err(n.refuse("dilations of 1"));
    }
    let average = node.op == "AveragePool";
    if average && node.int("count_include_pad", 0) != 0 && sliding.pad != [0; 4] {
        // The border counts, and what lies after it does not.
        let stated = match node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" | "" => n.pads(node, rank - 2)?,
            _ => sliding.pad,
        };
        image = n.border(image, stated)?;
        if let &[_, rows, columns, _] = &n.graph.tensors[image].shape[..] {
            input = [rows, columns];
        }
        for (axis, &side) in input.iter().enumerate() {
            sliding.pad[axis] = 0;
            let last = (i64::from(sliding.output[axis]) - 1) * i64::from(sliding.stride[axis]);
            sliding.pad[2 + axis] = (last + sliding.extent(axis) - i64::from(side)).max(0);
        }
    }
    if !sliding.fits(input) {
        return Err(n.refuse("padding that is less than the window"));
    }
    let window = sliding.window(size);
    let op = if average { Op::AvgPool2d(window) } else { Op::MaxPool2d(window) };
    let output = n.emit(op, &[image], vec![batch, sliding.output[0], sliding.output[1], channels])?;
    Ok(vec![n.of_image(output, rank)?])
}
