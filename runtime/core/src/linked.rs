//! The kernels that a session links.

use core::marker::PhantomData;
use tealight_format::{DType, Model, Op, OpSet, OpSetOf, Operator, Shape};
use tealight_kernels::{DepthwiseConv2d, FullyConnected, LinkedPaths, Loops, Paths};

/// A set of kernels as a type: the kernels that a [`Session`](crate::Session) links. It can only run models that need
/// no others.
///
/// [`include_model!`](crate::include_model) declares one for each model: exactly the kernels that the model needs. A
/// program that loads models at run time takes [`AllOps`], or names a smaller set:
///
/// ```
/// use tealight::{BlockType, OpCode, OpSet, Ops, Session};
///
/// struct Small;
///
/// impl Ops for Small {
///     const SET: OpSet = OpSet::of(&[OpCode::FullyConnectedBlock, OpCode::UnaryF32]).with_blocks(&[BlockType::Q8_0]);
/// }
///
/// struct Controller<'m> {
///     net: Session<'m, Small>,
/// }
/// ```
pub trait Ops {
    /// The set.
    const SET: OpSet;
    /// The paths of the kernels that only some layers take, and that are linked.
    #[doc(hidden)]
    const PATHS: Paths = Paths::ALL;
}

/// The paths that the layers of a model take.
#[doc(hidden)]
pub const fn paths_of(model: &Model<'_>) -> Paths {
    paths_on(model, Loops::HERE)
}

/// The paths that the layers of a model take where the instruction set has these loops.
#[doc(hidden)]
pub const fn paths_on(model: &Model<'_>, loops: Loops) -> Paths {
    let (mut paths, mut i) = (Paths::NONE, 0);
    while i < model.op_count() {
        paths = paths.with(paths_of_op_on(model, &model.op(i), loops));
        i += 1;
    }
    paths
}

/// The paths that an operator takes.
pub(crate) const fn paths_of_op(model: &Model<'_>, op: &Op) -> Paths {
    paths_of_op_on(model, op, Loops::HERE)
}

const fn paths_of_op_on(model: &Model<'_>, op: &Op, loops: Loops) -> Paths {
    let operands = model.operands(op);
    let (Some(input), Some(weights)) = (operands.input(0), operands.input(1)) else { return Paths::NONE };
    match op.operator {
        Operator::Conv2d(conv) => Paths::of_conv2d(conv.window2d(&weights.shape).kernel, weights.shape.dim(3) as usize),
        Operator::DepthwiseConv2d(conv) => Paths::of_depthwise_conv2d(
            &DepthwiseConv2d {
                input: nhwc(&input.shape),
                output: nhwc(&operands.output.shape),
                window: conv.0.window2d(&weights.shape),
                input_zero_point: 0,
                output_zero_point: 0,
                activation: conv.0.activation,
            },
            loops,
        ),
        Operator::FullyConnected(_) if weights.dtype.is(DType::U8) => Paths::NONE,
        Operator::FullyConnected(dense) => Paths::of_fully_connected(
            &FullyConnected {
                in_features: weights.shape.dim(1) as usize,
                out_features: weights.shape.dim(0) as usize,
                weights_zero_point: dense.weights_zero_point,
                output_zero_point: 0,
                activation: dense.activation,
            },
            loops,
        ),
        _ => Paths::NONE,
    }
}

/// The four dimensions of an NHWC tensor.
const fn nhwc(shape: &Shape) -> [usize; 4] {
    [shape.dim(0) as usize, shape.dim(1) as usize, shape.dim(2) as usize, shape.dim(3) as usize]
}

impl<O: Ops> LinkedPaths for Linked<O> {
    const PATHS: Paths = O::PATHS;
}

/// The set `O`, for reading a plan's operators.
pub(crate) struct Linked<O>(PhantomData<O>);

impl<O: Ops> OpSetOf for Linked<O> {
    const SET: OpSet = O::SET;
}

/// Every operator, with weights of every type.
#[derive(Clone, Copy, Debug)]
pub struct AllOps;

impl Ops for AllOps {
    const SET: OpSet = OpSet::ALL;
}

/// The operators of int8 networks but those that few networks have, [`OpSet::INT8`]: half of the flash of
/// [`AllOps`] on a core without floating point.
#[derive(Clone, Copy, Debug)]
pub struct Int8Ops;

impl Ops for Int8Ops {
    const SET: OpSet = OpSet::INT8;
}

/// The operators of networks with int16 activations and int8 weights, [`OpSet::INT16`].
#[derive(Clone, Copy, Debug)]
pub struct Int16Ops;

impl Ops for Int16Ops {
    const SET: OpSet = OpSet::INT16;
}
