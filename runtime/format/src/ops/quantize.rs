//! Between float and 8-bit tensors. Scale and zero point are those of the 8-bit value.

use super::{Attrs, OUTPUT, OpFault, Operands, Work, is_quantized};
use crate::DType;

/// Float to 8-bit: `round(x / scale) + zero_point`, half away from zero, clamped to the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantize;

impl Quantize {
    pub(super) const fn parse(_: &Attrs) -> Self {
        Self
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.typed(0, DType::F32));
        let output = operands.output;
        ensure!(output.dtype.is_8_bit(), OpFault::Type { operand: OUTPUT });
        ensure!(is_quantized(&output), OpFault::Quantization { operand: OUTPUT });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 8)
    }
}

/// 8-bit to float: `scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dequantize;

impl Dequantize {
    pub(super) const fn parse(_: &Attrs) -> Self {
        Self
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let Some(input) = operands.input(0) else { return Err(OpFault::Inputs) };
        ensure!(input.dtype.is_8_bit(), OpFault::Type { operand: 0 });
        ensure!(is_quantized(&input), OpFault::Quantization { operand: 0 });
        ensure!(operands.output.dtype.is(DType::F32), OpFault::Type { operand: OUTPUT });
        ensure!(input.shape.is(&operands.output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&operands.output, 2)
    }
}
