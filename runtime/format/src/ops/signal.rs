//! From samples of sound to the energies of their frequencies: TensorFlow Lite Micro's signal operators on int16
//! numbers, which have no scale.

use super::work::{ROW, product, sum};
use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, overlap, words,
};
use crate::{DType, Value};

/// The word `attrs[at]` as a right or left shift of 32 bits.
pub(super) const fn shift<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<i32, OpFault> {
    let [shift] = words(attrs, at);
    if !CHECK || (0 <= shift && shift <= 31) { Ok(shift) } else { Err(OpFault::Attribute { index: at as u8 }) }
}

/// Attributes of SignalWindow: each line of samples times the numbers of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalWindow {
    /// The fractional bits of the window (0 to 31).
    pub shift: i32,
}

impl OpInfo for SignalWindow {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Table, "window")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I16 `[.., n]`; window I16 `[n]`; output I16, same shape",
        attributes: "right shift (0 to 31)",
        rows: "outer(1)",
        cost: "20 + 4 an element",
    };
}

without_blocks!(SignalWindow);

impl SignalWindow {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        if k == 0 { overlap::line_for_line(input, &operands.output) } else { None }
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { shift: tri!(shift::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, window) = (tri!(operands.typed(0, DType::I16)), tri!(operands.constant(1, DType::I16)));
        let output = operands.output;
        ensure!(output.dtype.is(DType::I16), OpFault::Type { operand: OUTPUT });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        let rank = input.shape.rank();
        ensure!(rank > 0, OpFault::Shape { operand: 0 });
        let fits = window.shape.rank() == 1 && window.shape.dim(0) == input.shape.dim(rank - 1);
        ensure!(fits, OpFault::Shape { operand: 1 });
        Work::last_dimension(&output, ROW, 4)
    }
}

/// Attributes of SignalFftAutoScale: samples shifted to the left as far as the largest of them allows, or the number of
/// bits of that shift. It has no attributes; the type of the output says which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalFftAutoScale;

impl OpInfo for SignalFftAutoScale {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I16, n elements; output I16, same shape, or I32, one element",
        attributes: "",
        rows: "1",
        cost: "60 + 5·n",
    };
}

without_blocks!(SignalFftAutoScale);
output_apart!(SignalFftAutoScale);

impl SignalFftAutoScale {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, output) = (tri!(operands.typed(0, DType::I16)), operands.output);
        let fits = match output.dtype {
            DType::I16 => input.shape.is(&output.shape),
            DType::I32 => output.len == 4,
            _ => return Err(OpFault::Type { operand: OUTPUT }),
        };
        ensure!(fits, OpFault::Shape { operand: OUTPUT });
        Work::new(1, output.len as u64, sum(&[60, product(&[5, (input.len / 2) as u64])]), 0)
    }
}

/// Attributes of SignalRfft: the Fourier transform of lines of real samples, in the fixed-point arithmetic of kissfft.
/// Complex numbers are pairs of real and imaginary part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalRfft {
    /// The length of the transform: a power of 2, from 4 to [`MAX_LENGTH`](Self::MAX_LENGTH). Shorter lines are
    /// continued with zeros.
    pub length: i32,
}

impl SignalRfft {
    /// The maximum length of a transform.
    pub const MAX_LENGTH: i32 = 1 << 15;
}

impl OpInfo for SignalRfft {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Table, "twiddles")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I16 `[.., n]`, n ≤ L; twiddles I16 `[3·L / 4, 2]`; output I16 `[.., L + 2]`",
        attributes: "L, a power of 2 (4 to 32768)",
        rows: "outer(1)",
        cost: "100 + L·(20 + 8·⌈log₄(L / 2)⌉)",
    };
}

without_blocks!(SignalRfft);
output_apart!(SignalRfft);

impl SignalRfft {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [length] = words(attrs, 0);
        let is_length = 4 <= length && length <= Self::MAX_LENGTH && length.count_ones() == 1;
        ensure!(!CHECK || is_length, OpFault::Attribute { index: 0 });
        Ok(Self { length })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.length])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, twiddles) = (tri!(operands.typed(0, DType::I16)), tri!(operands.constant(1, DType::I16)));
        let output = operands.output;
        ensure!(output.dtype.is(DType::I16), OpFault::Type { operand: OUTPUT });
        let length = self.length.unsigned_abs();
        let fits = twiddles.shape.rank() == 2 && twiddles.shape.dim(0) == length / 4 * 3 && twiddles.shape.dim(1) == 2;
        ensure!(fits, OpFault::Shape { operand: 1 });
        let Some(last) = input.shape.rank().checked_sub(1) else { return Err(OpFault::Shape { operand: 0 }) };
        ensure!(input.shape.dim(last) <= length, OpFault::Shape { operand: 0 });
        ensure!(output.shape.rank() == last + 1, OpFault::Shape { operand: OUTPUT });
        ensure!(output.shape.dim(last) == length + 2, OpFault::Shape { operand: OUTPUT });
        let mut i = 0;
        while i < last {
            ensure!(output.shape.dim(i) == input.shape.dim(i), OpFault::Shape { operand: OUTPUT });
            i += 1;
        }
        let passes = (length.trailing_zeros() / 2) as u64;
        Work::split(&output, last, sum(&[100, product(&[length as u64, 20 + 8 * passes])]), 0)
    }
}

/// Attributes of SignalEnergy: the squared magnitudes of complex numbers from one index to another, 0 for the others.
/// They are unsigned numbers of 32 bits, in I32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalEnergy {
    /// The index of the first.
    pub start: i32,
    /// The index behind the last.
    pub end: i32,
}

impl OpInfo for SignalEnergy {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I16 `[2·n]`; output I32 `[n]`",
        attributes: "start, end; 0 ≤ start ≤ end ≤ n",
        rows: "1",
        cost: "20 + 5·n",
    };
}

without_blocks!(SignalEnergy);
output_apart!(SignalEnergy);

impl SignalEnergy {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [start, end] = words(attrs, 0);
        ensure!(!CHECK || start >= 0, OpFault::Attribute { index: 0 });
        ensure!(!CHECK || end >= start, OpFault::Attribute { index: 1 });
        Ok(Self { start, end })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.start, self.end])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, output) = (tri!(operands.typed(0, DType::I16)), operands.output);
        ensure!(output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        ensure!(input.shape.rank() == 1, OpFault::Shape { operand: 0 });
        ensure!(output.shape.rank() == 1 && output.len == input.len, OpFault::Shape { operand: OUTPUT });
        ensure!(self.end.unsigned_abs() <= output.shape.dim(0), OpFault::Attribute { index: 1 });
        Work::new(1, output.len as u64, sum(&[ROW, product(&[5, output.shape.dim(0) as u64])]), 0)
    }
}
