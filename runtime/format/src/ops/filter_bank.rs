//! From the energies of frequencies to features of sound: TensorFlow Lite Micro's signal operators on the channels of a
//! filter bank. Numbers are unsigned, of 32 bits, in I32.

use super::signal::shift;
use super::work::{ROW, product, sum};
use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, elementwise_outer,
    flag, overlap, words,
};
use crate::{DType, Value};

/// Attributes of SignalFilterBank: the square roots of weighted sums of energies. It has none.
///
/// Each band of frequencies has two weights for each energy: one for the channel of the same number, and one for the
/// channel after it. The first band has no channel of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalFilterBank;

impl OpInfo for SignalFilterBank {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Table, "bands"), Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32; weights I16 `[w, 2]`; bands I16 `[c + 1, 2]`; I32, one element; output I32 `[c]`",
        attributes: "",
        rows: "1",
        cost: "20 + 8·w + 200·c",
    };
}

without_blocks!(SignalFilterBank);
output_apart!(SignalFilterBank);

impl SignalFilterBank {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        tri!(operands.typed(0, DType::I32));
        let (weights, bands) = (tri!(operands.constant(1, DType::I16)), tri!(operands.constant(2, DType::I16)));
        let (bits, output) = (tri!(operands.typed(3, DType::I32)), operands.output);
        ensure!(weights.shape.rank() == 2 && weights.shape.dim(1) == 2, OpFault::Shape { operand: 1 });
        ensure!(bands.shape.rank() == 2 && bands.shape.dim(1) == 2, OpFault::Shape { operand: 2 });
        ensure!(bits.len == 4, OpFault::Shape { operand: 3 });
        ensure!(output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        // A shape has fewer than 2^31 elements.
        let fits = output.shape.rank() == 1 && output.shape.dim(0) + 1 == bands.shape.dim(0);
        ensure!(fits, OpFault::Shape { operand: OUTPUT });
        let (weights, channels) = (weights.shape.dim(0) as u64, output.shape.dim(0) as u64);
        let cost = sum(&[ROW, product(&[8, weights]), product(&[200, channels])]);
        Work::new(1, output.len as u64, cost, product(&[2, weights]))
    }
}

/// Attributes of SignalNoiseEstimate: a running average of each channel, kept in the state, with more weight on the
/// past of odd channels or of even ones. Weights are unsigned numbers of [`bits`](Self::bits) fractional bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalNoiseEstimate {
    /// For channels with an even index and for those with an odd one, the weights of the signal and of the past.
    pub weights: [[i32; 2]; 2],
    /// The fractional bits of an estimate (0 to 31).
    pub smoothing_bits: i32,
    /// The fractional bits of the weights (0 to 31).
    pub bits: i32,
    /// Whether an estimate is at most its signal.
    pub clamped: bool,
}

impl OpInfo for SignalNoiseEstimate {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::STATE];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32, n elements, not state; I32 state, same shape; output I32, same shape",
        attributes: "weights of signal and past for even channels; for odd ones; left shift (0 to 31); right shift (0 to 31); clamped (0, 1)",
        rows: "1",
        cost: "20 + 16·n",
    };
}

without_blocks!(SignalNoiseEstimate);
output_apart!(SignalNoiseEstimate);

impl SignalNoiseEstimate {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self {
            weights: [words(attrs, 0), words(attrs, 2)],
            smoothing_bits: tri!(shift::<CHECK>(attrs, 4)),
            bits: tri!(shift::<CHECK>(attrs, 5)),
            clamped: tri!(flag::<CHECK>(attrs, 6)),
        })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [even, odd] = self.weights;
        attrs_of(&[even[0], even[1], odd[0], odd[1], self.smoothing_bits, self.bits, self.clamped as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, state) = (tri!(operands.typed(0, DType::I32)), tri!(operands.typed(1, DType::I32)));
        let output = operands.output;
        // The state is written while the input is read.
        ensure!(!input.is_state(), OpFault::Place { operand: 0 });
        ensure!(state.is_state(), OpFault::Place { operand: 1 });
        ensure!(state.shape.is(&input.shape), OpFault::Shape { operand: 1 });
        ensure!(output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        ensure!(output.shape.is(&input.shape), OpFault::Shape { operand: OUTPUT });
        Work::new(1, output.len as u64, sum(&[ROW, product(&[16, (output.len / 4) as u64])]), 0)
    }
}

/// Checks the operands of an operator that computes each element of I32 or I16 from `count` elements of the same place,
/// and returns the output.
const fn channels(operands: &Operands, count: usize, output: DType) -> Result<Value, OpFault> {
    let of_output = operands.output;
    ensure!(of_output.dtype.is(output), OpFault::Type { operand: OUTPUT });
    let mut k = 0;
    while k < count {
        let input = tri!(operands.typed(k, DType::I32));
        ensure!(input.shape.is(&of_output.shape), OpFault::Shape { operand: k as u8 });
        k += 1;
    }
    Ok(of_output)
}

/// The access of such an operator to its operand `k`.
const fn in_step(input: &Value, operands: &Operands, k: usize, count: usize) -> Option<RowAccess> {
    let output = &operands.output;
    if k < count { overlap::in_step(input, output, elementwise_outer(&output.shape)) } else { None }
}

/// Attributes of SignalSpectralSubtraction: channels minus the estimate of their noise; a part of each channel is the
/// minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalSpectralSubtraction {
    /// The part of a signal that remains: an unsigned number of [`bits`](Self::bits) fractional bits.
    pub remaining: i32,
    /// The fractional bits of an estimate (0 to 31).
    pub smoothing_bits: i32,
    /// The fractional bits of the part that remains (0 to 31).
    pub bits: i32,
}

impl OpInfo for SignalSpectralSubtraction {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32; I32; output I32; all of one shape",
        attributes: "part that remains; left shift (0 to 31); right shift (0 to 31)",
        rows: "E",
        cost: "2 + 10 an element",
    };
}

without_blocks!(SignalSpectralSubtraction);

impl SignalSpectralSubtraction {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        in_step(input, operands, k, 2)
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [remaining] = words(attrs, 0);
        let (smoothing_bits, bits) = (tri!(shift::<CHECK>(attrs, 1)), tri!(shift::<CHECK>(attrs, 2)));
        Ok(Self { remaining, smoothing_bits, bits })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.remaining, self.smoothing_bits, self.bits])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        Work::elementwise(&tri!(channels(operands, 2, DType::I32)), 10)
    }
}

/// Attributes of SignalPcan: per-channel amplitude normalization, which divides each channel by a power of its noise
/// (Wang et al., "Trainable Frontend For Robust and Far-Field Keyword Spotting", 2017).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalPcan {
    /// The right shift of a product of channel and gain (0 to 31).
    pub shift: i32,
}

impl SignalPcan {
    /// The number of elements of its table: three for small estimates, and four, of which three are used, for each
    /// power of 2 from 2 to 2^31, less the last.
    pub const TABLE: u32 = 125;
}

impl OpInfo for SignalPcan {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION, Input::new(Role::Table, "gains")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32; I32; gains I16 `[125]`; output I32; all but the gains of one shape",
        attributes: "right shift (0 to 31)",
        rows: "E",
        cost: "2 + 16 an element",
    };
}

without_blocks!(SignalPcan);

impl SignalPcan {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        in_step(input, operands, k, 2)
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { shift: tri!(shift::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let gains = tri!(operands.constant(2, DType::I16));
        ensure!(gains.len == 2 * Self::TABLE, OpFault::Shape { operand: 2 });
        Work::elementwise(&tri!(channels(operands, 2, DType::I32)), 16)
    }
}

/// Attributes of SignalLog: the natural logarithm of each channel, as an int16 number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalLog {
    /// The left shift of a channel (0 to 31).
    pub shift: i32,
    /// What logarithms are multiplied by: an unsigned number.
    pub scale: i32,
}

impl SignalLog {
    /// The number of elements of its table: `log2(1 + i / 128) - i / 128` in units of 2^-16.
    pub const TABLE: u32 = 129;
}

impl OpInfo for SignalLog {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Table, "table")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32; table I16 `[129]`; output I16, same shape",
        attributes: "left shift (0 to 31); scale",
        rows: "E",
        cost: "2 + 16 an element",
    };
}

without_blocks!(SignalLog);

impl SignalLog {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        in_step(input, operands, k, 1)
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [scale] = words(attrs, 1);
        Ok(Self { shift: tri!(shift::<CHECK>(attrs, 0)), scale })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.shift, self.scale])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let table = tri!(operands.constant(1, DType::I16));
        ensure!(table.len == 2 * Self::TABLE, OpFault::Shape { operand: 1 });
        Work::elementwise(&tri!(channels(operands, 1, DType::I16)), 16)
    }
}
