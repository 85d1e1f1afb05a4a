//! Layers that keep a state from step to step.

use super::{Builder, DefaultDims, F32, I8, Proposal, Ref, small};
use tealight_format::ops::{GruF32, Lstm, LstmF32, SigmoidI16, Svdf};
use tealight_format::{DType, OpCode, Operator};

impl Builder<'_, '_> {
    /// A step of an LSTM or a GRU.
    pub(super) fn recurrent(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let len = self.get(x).len / 4;
        let divisors: Vec<u32> = (1..=len).filter(|d| len.is_multiple_of(*d) && len / d < 5).collect();
        let depth = self.choose.pick(&divisors);
        let (batches, units) = (len / depth, self.size(6));
        let gates = if code == OpCode::LstmF32 { 4 } else { 3 };
        let w = self.f32_weights(&[gates * units, depth]);
        // Sometimes of the other type, which is refused.
        let kind = self.get(w).dtype;
        let kind = if self.choose.one_in(16) { DType::F32 } else { kind };
        let recurrent = self.constant(kind, &[gates * units, units]);
        let bias = self.f32_bias(gates * units);
        let out = [batches, units];
        let hidden = if self.choose.one_in(2) {
            Ref::Value(self.state(DType::F32, &out))
        } else {
            let wanted = batches * units * 4;
            self.operand(F32, |v| v.len == wanted, &out)
        };
        let (operator, fourth) = if code == OpCode::LstmF32 {
            // Sometimes the state that it reads besides, which is refused.
            let cell = match hidden {
                Ref::Value(i) if self.parts.values[i].is_state() && self.choose.one_in(16) => hidden,
                _ => Ref::Value(self.state(DType::F32, &out)),
            };
            (Operator::LstmF32(LstmF32), Some(cell))
        } else {
            (Operator::GruF32(GruF32), self.f32_bias(gates * units))
        };
        let inputs = vec![Some(x), Some(w), Some(recurrent), bias, fourth, Some(hidden)];
        Proposal::new(operator, inputs, DType::F32, out.to_vec())
    }

    /// A step of an int8 LSTM.
    pub(super) fn lstm(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I8, small, &defaults.dims);
        let len = self.get(x).len;
        let divisors: Vec<u32> = (1..=len).filter(|d| len.is_multiple_of(*d) && len / d < 5).collect();
        let depth = self.choose.pick(&divisors);
        let (batches, units) = (len / depth, self.size(6));
        let out = [batches, units];
        let weights = self.constant(DType::I8, &[4 * units, depth]);
        let recurrent = self.constant(DType::I8, &[4 * units, units]);
        let channels = self.channels(8 * units);
        let table = self.table(SigmoidI16::TABLE);
        let cell = Ref::Value(self.state(DType::I16, &out));
        let hidden = if self.choose.one_in(2) {
            Ref::Value(self.state(DType::I8, &out))
        } else {
            let wanted = batches * units;
            self.operand(I8, |v| v.len == wanted, &out)
        };
        let tanh = SigmoidI16 { multiplier: self.choose.between(0, 32_767), shift: self.choose.between(0, 31) };
        let (forget, input, output) = (self.multiplier(), self.multiplier(), self.multiplier());
        let clip = if self.choose.one_in(2) { 0 } else { self.choose.between(0, 32_767) };
        let inputs = [x, weights, recurrent, channels, table, cell, hidden].map(Some).to_vec();
        Proposal::new(Operator::Lstm(Lstm { forget, input, output, tanh, clip }), inputs, DType::I8, out.to_vec())
    }

    /// A singular value decomposition filter and its state.
    pub(super) fn svdf(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I8, |v| small(v) && !v.is_state(), &defaults.dims);
        let len = self.get(x).len;
        let divisors: Vec<u32> = (1..=len).filter(|d| len.is_multiple_of(*d) && len / d < 5).collect();
        let depth = self.choose.pick(&divisors);
        let rank = self.choose.between(1, 3);
        let units = self.choose.between(1, 4) as u32;
        let memory = self.size(5);
        let filters = units * rank as u32;
        let kind = self.choose.pick(&[DType::I16, DType::I8]);
        let feature = self.constant(DType::I8, &[filters, depth]);
        let time = self.constant(kind, &[filters, memory]);
        let bias = if self.choose.one_in(2) { Some(self.constant(DType::I32, &[units])) } else { None };
        let batches = len / depth;
        let state = self.state(kind, &[batches, filters, memory]);
        let attrs = Svdf { rank, feature: self.multiplier(), output: self.multiplier(), activation: self.activation() };
        let inputs = vec![Some(x), Some(feature), Some(time), bias, Some(Ref::Value(state))];
        Proposal::new(Operator::Svdf(attrs), inputs, DType::I8, vec![batches, units])
    }
}
