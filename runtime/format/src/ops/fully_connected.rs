//! Matrix product of activations with constant weights: int8, int16 with int8 weights, and f32.

use super::work::{product, sum, weight_cost};
use super::{
    ActivationRange, ActivationRangeI16, Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, Spec, Work,
    activation, activation_i16, attrs_of, bits, range,
};
use crate::{DType, Value};
use tealight_types::can_pair;

/// Attributes of a fully connected layer. Weights of type U8 are int8 weights in pairs, as the format's specification says.
/// The `channels` table is as in [`Conv2d`](super::Conv2d), with
/// `in * input_zero_point * weights_zero_point` folded into the bias as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullyConnected {
    /// Zero point of the weights: 0 for symmetric weights, which the TensorFlow Lite specification requires.
    pub weights_zero_point: i32,
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl OpInfo for FullyConnected {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Channels, "channels")];
    const FUSED: Fused = Fused::Int8(1);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, length a multiple of I; weights I8, I4, or U8: in pairs, `[O, I]`; channels I32 `[O, 3]`",
        attributes: "zero point of the weights; act",
        rows: "length / I · O",
        cost: "30 + I, with weights I4 80 + 2·I, in pairs 50 + 3·I; with a zero point of the weights 60 + I more",
    };
}

without_blocks!(FullyConnected);
output_apart!(FullyConnected);

impl FullyConnected {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let weights_zero_point = attrs[0];
        ensure!(!CHECK || (-128 <= weights_zero_point && weights_zero_point <= 127), OpFault::Attribute { index: 0 });
        Ok(Self { weights_zero_point, activation: tri!(activation::<CHECK>(attrs, 1)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [min, max] = self.activation.bounds();
        attrs_of(&[self.weights_zero_point, min, max])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let weights = match operands.input(1) {
            Some(value) if value.dtype.is(DType::U8) => tri!(operands.constant(1, DType::U8)),
            _ => tri!(operands.int8_weights(1)),
        };
        let output = tri!(operands.quantized_output());
        ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (units, depth) = (weights.shape.dim(0), weights.shape.dim(1));
        ensure!(units > 0 && depth > 0, OpFault::Shape { operand: 1 });
        tri!(operands.channels(2, units));
        if weights.dtype.is(DType::U8) {
            ensure!(can_pair([units as usize, depth as usize]), OpFault::Shape { operand: 1 });
            ensure!(self.weights_zero_point == 0, OpFault::Attribute { index: 0 });
        }
        // A zero point of the weights needs the sum of the activations.
        let each = match (self.weights_zero_point, weights.dtype) {
            (0, DType::I4) => [80, 2],
            (_, DType::I4) => [140, 3],
            (_, DType::U8) => [50, 3],
            (0, _) => [30, 1],
            _ => [90, 2],
        };
        product_work(&input, &output, units, depth, each)
    }
}

/// Attributes of a fully connected layer of int16 activations with int8 weights. The `channels` table is as in
/// [`Conv2dI16`](super::Conv2dI16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullyConnectedI16 {
    /// The range of the output (the fused activation).
    pub activation: ActivationRangeI16,
}

impl OpInfo for FullyConnectedI16 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Channels, "channels")];
    const FUSED: Fused = Fused::Int16(0);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h, elements a multiple of I; weights I8 `[O, I]`; channels as 54",
        attributes: "act16",
        rows: "elements / I · O",
        cost: "60 + 2·I",
    };
}

without_blocks!(FullyConnectedI16);
output_apart!(FullyConnectedI16);

impl FullyConnectedI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { activation: tri!(activation_i16::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&self.activation.bounds())
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let weights = tri!(operands.constant(1, DType::I8));
        let output = tri!(operands.quantized_output_as(DType::I16));
        ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (units, depth) = (weights.shape.dim(0), weights.shape.dim(1));
        ensure!(units > 0 && depth > 0, OpFault::Shape { operand: 1 });
        tri!(operands.channels_of_i16(2, units));
        product_work(&input, &output, units, depth, [60, 2])
    }
}

/// Attributes of a fully connected layer in f32. The bias is one number for each neuron, or absent; with weights of
/// type I8 or I4, each neuron has a scale and a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullyConnectedF32 {
    /// Minimum and maximum of the output (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl OpInfo for FullyConnectedF32 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::ChannelWeights, "weights"), Input::new(Role::Bias, "bias")];
    const FUSED: Fused = Fused::F32(0);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, elements a multiple of I; weights F32 `[O, I]`; bias as 20",
        attributes: "range",
        rows: "elements / I · O",
        cost: "35 + I·f, and 10 more for fewer than 4 outputs",
    };
}

without_blocks!(FullyConnectedF32);
output_apart!(FullyConnectedF32);

impl FullyConnectedF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { activation: tri!(range::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits(self.activation))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let weights = tri!(operands.channel_weights(1));
        let output = tri!(operands.f32_output());
        ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (units, depth) = (weights.shape.dim(0), weights.shape.dim(1));
        ensure!(units > 0 && depth > 0, OpFault::Shape { operand: 1 });
        tri!(operands.f32_channels(2, &weights, units));
        // Few outputs share what each row of the input takes by itself.
        let fixed = if units < 4 { 45 } else { 35 };
        product_work(&input, &output, units, depth, [fixed, weight_cost(weights.dtype)])
    }
}

/// The work of a product with `units` weight rows of length `depth`; an output row is one element. Only the element
/// counts matter: `[batches.., depth]` becomes `[batches.., units]`. A row costs `fixed`, and `each` for every product.
pub(super) const fn product_work(
    input: &Value,
    output: &Value,
    units: u32,
    depth: u32,
    [fixed, each]: [u64; 2],
) -> Result<Work, OpFault> {
    let (from, to) = (input.len / input.dtype.size(), output.len / output.dtype.size());
    ensure!(depth > 0 && from.is_multiple_of(depth), OpFault::Shape { operand: 0 });
    ensure!(to as u64 == (from / depth) as u64 * units as u64, OpFault::Shape { operand: OUTPUT });
    Work::new(to as u64, output.dtype.size() as u64, sum(&[fixed, product(&[each, depth as u64])]), depth as u64)
}
