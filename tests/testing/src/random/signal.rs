//! The front end that makes features of sound.

use super::{Builder, DefaultDims, I16, I32, Proposal, Ref, small};
use tealight_format::ops::{
    SignalEnergy, SignalFftAutoScale, SignalFilterBank, SignalLog, SignalNoiseEstimate, SignalPcan, SignalRfft,
    SignalSpectralSubtraction, SignalWindow,
};
use tealight_format::{DType, OpCode, Operator};

impl Builder<'_, '_> {
    /// From samples to the energies of their frequencies.
    pub(super) fn spectrum(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let is_line = code == OpCode::SignalEnergy;
        let len = 2 * self.size(20);
        let dims = if is_line { vec![len] } else { defaults.dims.clone() };
        let x = self.operand(I16, |v| small(v) && v.shape.rank() > 0 && (!is_line || v.shape.rank() == 1), &dims);
        let mut out = self.get(x).shape.dims().to_vec();
        let last = out.last().copied().unwrap_or(1);
        match code {
            OpCode::SignalWindow => {
                let window = self.constant(DType::I16, &[last]);
                let operator = Operator::SignalWindow(SignalWindow { shift: self.choose.between(0, 31) });
                Proposal::new(operator, vec![Some(x), Some(window)], DType::I16, out)
            }
            OpCode::SignalFftAutoScale => {
                let scaled = self.choose.one_in(2);
                let (dtype, out) = if scaled { (DType::I16, out) } else { (DType::I32, vec![1]) };
                Proposal::new(Operator::SignalFftAutoScale(SignalFftAutoScale), vec![Some(x)], dtype, out)
            }
            OpCode::SignalRfft => {
                let length = last.max(4).next_power_of_two() << self.choose.below(2);
                let twiddles = self.constant(DType::I16, &[length / 4 * 3, 2]);
                if let Some(last) = out.last_mut() {
                    *last = length + 2;
                }
                let operator = Operator::SignalRfft(SignalRfft { length: length as i32 });
                Proposal::new(operator, vec![Some(x), Some(twiddles)], DType::I16, out)
            }
            _ => {
                let count = last / 2;
                let end = self.choose.between(0, count as i32);
                let attrs = SignalEnergy { start: self.choose.between(0, end), end };
                Proposal::new(Operator::SignalEnergy(attrs), vec![Some(x)], DType::I32, vec![count])
            }
        }
    }

    /// A filter bank, whose bands mostly have the energies and weights that they name.
    pub(super) fn filter_bank(&mut self) -> Proposal {
        let dims = [self.size(20)];
        let x = self.operand(I32, small, &dims);
        let count = self.get(x).len / 4;
        let channels = self.size(9);
        let mut bands = Vec::new();
        for _ in 0..=channels {
            let odd = self.choose.one_in(16);
            let band =
                if odd { self.choose.odd() as u32 } else { self.choose.below(count) | self.choose.below(5) << 16 };
            bands.extend(band.to_le_bytes());
        }
        let bands = self.constant_of(DType::I16, &[channels + 1, 2], bands);
        let weights = [2 * channels + self.size(9), 2];
        let weights = self.constant(DType::I16, &weights);
        let bits = self.operand(I32, |v| v.len == 4, &[1]);
        let inputs = [x, weights, bands, bits].map(Some).to_vec();
        Proposal::new(Operator::SignalFilterBank(SignalFilterBank), inputs, DType::I32, vec![channels])
    }

    /// What is done to the channels of a filter bank.
    pub(super) fn signal_channels(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let is_estimate = code == OpCode::SignalNoiseEstimate;
        let x = self.operand(I32, |v| small(v) && !(is_estimate && v.is_state()), &defaults.dims);
        let shape = self.get(x).shape;
        let out = shape.dims().to_vec();
        let shifts = [(); 2].map(|()| self.choose.between(0, 31));
        let [smoothing_bits, bits] = shifts;
        let other = match code {
            OpCode::SignalNoiseEstimate => Some(Ref::Value(self.state(DType::I32, &out))),
            OpCode::SignalLog => None,
            _ => Some(self.operand(I32, |v| v.shape.is(&shape), &out)),
        };
        let (operator, table) = match code {
            OpCode::SignalNoiseEstimate => {
                let weights = [(); 2].map(|()| [(); 2].map(|()| self.choose.odd()));
                let attrs = SignalNoiseEstimate { weights, smoothing_bits, bits, clamped: self.choose.one_in(2) };
                (Operator::SignalNoiseEstimate(attrs), None)
            }
            OpCode::SignalPcan => {
                (Operator::SignalPcan(SignalPcan { shift: bits }), Some(self.table(SignalPcan::TABLE)))
            }
            OpCode::SignalLog => {
                let attrs = SignalLog { shift: bits, scale: self.choose.odd() };
                (Operator::SignalLog(attrs), Some(self.table(SignalLog::TABLE)))
            }
            _ => {
                let attrs = SignalSpectralSubtraction { remaining: self.choose.odd(), smoothing_bits, bits };
                (Operator::SignalSpectralSubtraction(attrs), None)
            }
        };
        let inputs = [Some(x), other, table].into_iter().flatten().map(Some).collect();
        let dtype = if code == OpCode::SignalLog { DType::I16 } else { DType::I32 };
        Proposal::new(operator, inputs, dtype, out)
    }
}
