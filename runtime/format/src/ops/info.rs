//! What is true of an operator whatever its attributes are.
//!
//! Each attribute struct says it once, in its own file, by [`OpInfo`] and the functions beside it; [`Operator`] and
//! [`OpCode`](super::OpCode) look it up. Nothing has a default: an operator that leaves something out does not compile.

/// What an input is to its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// A value that flows through the network; a constant may stand in for it.
    Activation,
    /// Constant weights that have one type.
    Weights,
    /// Constant weights of an f32 layer: stored as F32 or as F16.
    FloatWeights,
    /// One constant number for each output channel.
    Bias,
    /// The channel table of (bias, multiplier, shift).
    Channels,
    /// A table of all results.
    Table,
    /// State that the operator writes as well as reads.
    State,
}

/// An input of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// What it is to the operator.
    pub role: Role,
    /// What a constant in its place is called: the last part of the tensor's name in a model file.
    pub name: &'static str,
}

impl Input {
    /// The name of a constant in a place that has no name.
    pub const CONSTANT: &'static str = "constant";
    /// An activation.
    pub(super) const ACTIVATION: Self = Self::new(Role::Activation, Self::CONSTANT);
    /// State.
    pub(super) const STATE: Self = Self::new(Role::State, Self::CONSTANT);

    pub(super) const fn new(role: Role, name: &'static str) -> Self {
        Self { role, name }
    }
}

/// The fused activation of an operator: a range that its output is clamped to, in two attribute words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fused {
    /// It has none.
    No,
    /// An int8 range, whose first word has this index.
    Int8(u8),
    /// An f32 range, whose first word has this index.
    F32(u8),
}

/// An operator's row in the table of SPEC.md, in the terms that its section 3 explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The inputs and the output.
    pub inputs: &'static str,
    /// The attribute words, in order, separated by `;`.
    pub attributes: &'static str,
    /// How many rows the output has.
    pub rows: &'static str,
    /// The cost of a row.
    pub cost: &'static str,
}

/// What is true of an operator whatever its attributes are. Beside this trait each attribute struct has `parse`, `emit`,
/// `check`, `row_access`, `block_type` and `workspace`, which a trait cannot have as `const fn`.
pub trait OpInfo {
    /// The inputs, in order. For an operator that takes several alike, the last is that of all further ones.
    const INPUTS: &'static [Input];
    /// The fused activation.
    const FUSED: Fused;
    /// Whether something is done before a row and not before each: its cost is a record's preparation cost.
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

/// A bit for each input with this role: bit k for input k.
pub(super) const fn inputs_with(inputs: &[Input], role: Role) -> u8 {
    let (mut mask, mut k) = (0, 0);
    while k < inputs.len() {
        if inputs[k].role as u8 == role as u8 {
            mask |= 1 << k;
        }
        k += 1;
    }
    mask
}

/// An operator whose output shares memory with no input.
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

/// An operator without weights in blocks and without a workspace.
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
