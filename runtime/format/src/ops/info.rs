//! Facts about an operator that do not depend on the values of its attributes.
//!
//! Each attribute struct states them once, in its own file, with [`OpInfo`] and the functions beside it; [`Operator`]
//! and [`OpCode`](super::OpCode) look them up. Nothing has a default: an operator with a missing item does not compile.

/// The role of an operator's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// A value computed by the network; it may also be a constant.
    Activation,
    /// Constant weights of a fixed type.
    Weights,
    /// Constant weights of an f32 layer: stored as F32 or as F16.
    FloatWeights,
    /// Constant weights of an f32 layer with output channels: stored as F32, as F16, or as I8 or I4 with a scale for each
    /// channel.
    ChannelWeights,
    /// One constant number for each output channel; the scale too, if the weights are I8 or I4.
    Bias,
    /// The channel table of (bias, multiplier, shift).
    Channels,
    /// A table of the results for all inputs.
    Table,
    /// State that the operator writes as well as reads.
    State,
}

/// An input of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its role.
    pub role: Role,
    /// The name of a constant used as this input: the last part of the tensor's name in a model file.
    pub name: &'static str,
}

impl Input {
    /// The name of a constant used as an input without a name of its own.
    pub const CONSTANT: &'static str = "constant";
    /// An activation.
    pub(super) const ACTIVATION: Self = Self::new(Role::Activation, Self::CONSTANT);
    /// State.
    pub(super) const STATE: Self = Self::new(Role::State, Self::CONSTANT);

    pub(super) const fn new(role: Role, name: &'static str) -> Self {
        Self { role, name }
    }
}

/// The fused activation of an operator: the range to which its output is clamped, in two attribute words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fused {
    /// No fused activation.
    No,
    /// An int8 range, whose first word has this index.
    Int8(u8),
    /// An int16 range, whose first word has this index.
    Int16(u8),
    /// An f32 range, whose first word has this index.
    F32(u8),
}

/// An operator's row in the table of SPEC.md, in the notation of its section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The inputs and the output.
    pub inputs: &'static str,
    /// The attribute words, in order, separated by `;`.
    pub attributes: &'static str,
    /// The number of rows of the output.
    pub rows: &'static str,
    /// The cost of a row.
    pub cost: &'static str,
}

/// Facts about an operator that do not depend on the values of its attributes. Besides this trait, each attribute
/// struct has `parse`, `emit`, `check`, `row_access`, `block_type` and `workspace`, which cannot be `const fn` in a
/// trait.
pub trait OpInfo {
    /// The inputs, in order. For an operator with a variable number of inputs, the last describes all further ones.
    const INPUTS: &'static [Input];
    /// The fused activation.
    const FUSED: Fused;
    /// Whether the operator has preparation before some of its rows. Its cost is the record's preparation cost.
    const PREPARES: bool;
    /// The row in SPEC.md.
    const SPEC: Spec;
}

/// The first input with this role.
pub(super) const fn input_with(inputs: &[Input], role: Role) -> Option<usize> {
    let mut k = 0;
    while k < inputs.len() {
        if inputs[k].role as u8 == role as u8 {
            return Some(k);
        }
        k += 1;
    }
    None
}

/// A mask of the inputs that are weights of an f32 layer: bit k for input k.
pub(super) const fn float_weights(inputs: &[Input]) -> u8 {
    let (mut mask, mut k) = (0, 0);
    while k < inputs.len() {
        if matches!(inputs[k].role, Role::FloatWeights | Role::ChannelWeights) {
            mask |= 1 << k;
        }
        k += 1;
    }
    mask
}

/// Implements `row_access` for an operator whose output shares memory with no input.
macro_rules! output_apart {
    ($op:ident) => {
        impl $op {
            pub(super) const fn row_access(
                &self,
                _: &$crate::Value,
                _: &super::Operands,
                _: usize,
            ) -> Option<super::RowAccess> {
                None
            }
        }
    };
}

/// Implements `window2d` for a convolution: attributes with stride, dilation and pad, and the kernel of its weights.
macro_rules! window_of_weights {
    ($op:ident) => {
        impl $op {
            /// The window over the image, of weights `[_, KH, KW, _]`; for checked attributes.
            #[inline]
            pub const fn window2d(&self, weights: &$crate::Shape) -> tealight_types::Window2d {
                let kernel = [weights.dim(1) as usize, weights.dim(2) as usize];
                tealight_types::Window2d {
                    kernel,
                    stride: super::sizes(self.stride),
                    dilation: super::sizes(self.dilation),
                    pad: super::sizes(self.pad),
                }
            }
        }
    };
}

/// Implements `block_type` and `workspace` for an operator without block-quantized weights and without a workspace.
macro_rules! without_blocks {
    ($op:ident) => {
        impl $op {
            pub(super) const fn block_type(&self) -> Option<super::BlockType> {
                None
            }

            pub(super) const fn workspace(&self, _: &super::Operands) -> Option<super::Workspace> {
                None
            }
        }
    };
}
