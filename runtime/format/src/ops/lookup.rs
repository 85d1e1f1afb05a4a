//! A function of one 8-bit value, as a table of all 256 results.

use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, elementwise_outer,
    overlap,
};
use crate::{DType, Value};

/// The function that a table computes. It is only informative: the result depends on the table alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Function {
    /// Change of scale, zero point or 8-bit type.
    Requantize = 0,
    /// ReLU, with or without an upper bound.
    Relu = 1,
    /// ReLU with a slope for negative values.
    LeakyRelu = 2,
    /// `1 / (1 + exp(-x))`.
    Logistic = 3,
    /// Hyperbolic tangent.
    Tanh = 4,
    /// `x * relu6(x + 3) / 6`.
    HardSwish = 5,
    /// Several of these one after another.
    Composed = 6,
    /// Any other function.
    Other = 7,
}

impl Function {
    /// The function with this code.
    pub const fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            0 => Self::Requantize,
            1 => Self::Relu,
            2 => Self::LeakyRelu,
            3 => Self::Logistic,
            4 => Self::Tanh,
            5 => Self::HardSwish,
            6 => Self::Composed,
            7 => Self::Other,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requantize => "Requantize",
            Self::Relu => "Relu",
            Self::LeakyRelu => "LeakyRelu",
            Self::Logistic => "Logistic",
            Self::Tanh => "Tanh",
            Self::HardSwish => "HardSwish",
            Self::Composed => "Composed",
            Self::Other => "Other",
        }
    }
}

/// Attributes of Lookup. Output byte = `table[input byte]`, bytes taken as unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What the table computes.
    pub function: Function,
}

impl OpInfo for Lookup {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Table, "table")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "8-bit, same shape; table U8 `[256]`",
        attributes: "what the table computes (0 Requantize, 1 Relu, 2 LeakyRelu, 3 Logistic, 4 Tanh, 5 HardSwish, 6 several, 7 another)",
        rows: "E",
        cost: "2 + 2 an element",
    };
}

without_blocks!(Lookup);

impl Lookup {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl Lookup {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let function = match Function::from_code(attrs[0]) {
            Some(function) => function,
            None if CHECK => return Err(OpFault::Attribute { index: 0 }),
            None => Function::Requantize,
        };
        Ok(Self { function })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.function as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let Some(input) = operands.input(0) else { return Err(OpFault::Inputs) };
        let table = tri!(operands.constant(1, DType::U8));
        ensure!(input.dtype.is_8_bit(), OpFault::Type { operand: 0 });
        ensure!(operands.output.dtype.is_8_bit(), OpFault::Type { operand: OUTPUT });
        ensure!(table.len == 256, OpFault::Shape { operand: 1 });
        ensure!(input.shape.is(&operands.output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&operands.output, 2)
    }
}
