//! Conversions between f32 and 8-bit or int16 tensors. Scale and zero point are those of the integers.

use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, elementwise_outer, is_quantized,
    overlap,
};
use crate::{DType, Value};

/// Quantizes f32 to 8-bit: `round(x / scale) + zero_point`, halves away from zero, clamped to the type's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantize;

impl OpInfo for Quantize {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec =
        Spec { inputs: "F32; output 8-bit, same shape", attributes: "", rows: "E", cost: "2 + 8 an element" };
}

without_blocks!(Quantize);

impl Quantize {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl Quantize {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let output = operands.output;
        ensure!(output.dtype.is_8_bit(), OpFault::Type { operand: OUTPUT });
        ensure!(is_quantized(&output), OpFault::Quantization { operand: OUTPUT });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 8)
    }
}

/// Quantizes f32 to int16: `round(x / scale)`, halves away from zero, clamped to the type's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantizeI16;

impl OpInfo for QuantizeI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec =
        Spec { inputs: "F32; output h, same shape", attributes: "", rows: "E", cost: "2 + 8 an element" };
}

without_blocks!(QuantizeI16);

impl QuantizeI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl QuantizeI16 {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let output = tri!(operands.quantized_output_as(DType::I16));
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 8)
    }
}

/// Dequantizes int16 to f32: `scale * q`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DequantizeI16;

impl OpInfo for DequantizeI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec =
        Spec { inputs: "h; output F32, same shape", attributes: "", rows: "E", cost: "2 + 2 an element" };
}

without_blocks!(DequantizeI16);

impl DequantizeI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl DequantizeI16 {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let output = tri!(operands.f32_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 2)
    }
}

/// Dequantizes 8-bit to f32: `scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dequantize;

impl OpInfo for Dequantize {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec =
        Spec { inputs: "8-bit; output F32, same shape", attributes: "", rows: "E", cost: "2 + 2 an element" };
}

without_blocks!(Dequantize);

impl Dequantize {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl Dequantize {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let Some(input) = operands.input(0) else { return Err(OpFault::Inputs) };
        ensure!(input.dtype.is_8_bit(), OpFault::Type { operand: 0 });
        ensure!(is_quantized(&input), OpFault::Quantization { operand: 0 });
        ensure!(operands.output.dtype.is(DType::F32), OpFault::Type { operand: OUTPUT });
        ensure!(input.shape.is(&operands.output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&operands.output, 2)
    }
}
