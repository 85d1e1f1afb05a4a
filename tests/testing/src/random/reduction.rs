//! What is computed over whole rows.

use super::{Builder, DefaultDims, F32, I8, I16, Proposal, small};
use tealight_format::ops::{
    ArgMinMax, ArgMinMaxF32, DetectionsF32, LandmarksToTransformF32, LayerNormF32, LogSoftmax, Mean, MeanF32, MeanI16,
    RmsNormF32, Softmax, SoftmaxF32, SoftmaxI16, TopK, TopKF32,
};
use tealight_format::{DType, OpCode, Operator};

impl Builder<'_, '_> {
    /// An int8 softmax, or its logarithm.
    pub(super) fn softmax(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        // A row whose sum of exponentials wraps, now and then.
        let dims = if self.choose.one_in(8) { vec![9000] } else { defaults.dims.clone() };
        let x = self.operand(I8, |v| v.len < 20_000, &dims);
        let attrs = Softmax {
            input_multiplier: self.multiplier().multiplier,
            input_left_shift: self.choose.between(0, 31),
            diff_min: -self.choose.between(0, 255),
        };
        let operator = if code == OpCode::LogSoftmax {
            let mut reverse = self.multiplier();
            reverse.shift = reverse.shift.min(0);
            Operator::LogSoftmax(LogSoftmax { input: attrs, reverse })
        } else {
            Operator::Softmax(attrs)
        };
        Proposal::new(operator, vec![Some(x)], DType::I8, self.get(x).shape.dims().to_vec())
    }

    /// An int16 softmax, with any tables.
    pub(super) fn softmax_i16(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I16, small, &defaults.dims);
        let table = self.table(SoftmaxI16::TABLE);
        let operator = Operator::SoftmaxI16(SoftmaxI16 { input: self.multiplier() });
        Proposal::new(operator, vec![Some(x), Some(table)], DType::I16, self.get(x).shape.dims().to_vec())
    }

    /// A softmax in f32.
    pub(super) fn softmax_f32(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let attrs = SoftmaxF32 { beta: self.choose.pick(&[1.0, 0.0, 0.5, 1e30]) };
        Proposal::new(Operator::SoftmaxF32(attrs), vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
    }

    /// A normalization over the last dimension.
    pub(super) fn norm(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let out = self.get(x).shape.dims().to_vec();
        let depth = *out.last().unwrap_or(&1);
        let weight = self.constant(DType::F32, &[depth]);
        let epsilon = self.choose.pick(&[1e-5, 0.0, 1e-30, 1e30]);
        if code == OpCode::RmsNormF32 {
            Proposal::new(Operator::RmsNormF32(RmsNormF32 { epsilon }), vec![Some(x), Some(weight)], DType::F32, out)
        } else {
            let inputs = vec![Some(x), Some(weight), self.f32_bias(depth)];
            Proposal::new(Operator::LayerNormF32(LayerNormF32 { epsilon }), inputs, DType::F32, out)
        }
    }

    /// A mean over any dimensions.
    pub(super) fn mean(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let kinds = match code {
            OpCode::Mean => I8,
            OpCode::MeanI16 => I16,
            _ => F32,
        };
        let x = self.operand(kinds, small, &defaults.dims);
        let s = self.get(x).shape;
        let reduced = self.choose.below(1 << s.rank()) as i32;
        let keep = self.choose.one_in(2);
        let mut out = Vec::new();
        for (i, &dim) in s.dims().iter().enumerate() {
            match reduced >> i & 1 {
                0 => out.push(dim),
                _ if keep => out.push(1),
                _ => {}
            }
        }
        let operator = match code {
            OpCode::Mean => Operator::Mean(Mean { reduced, output: self.multiplier() }),
            OpCode::MeanI16 => Operator::MeanI16(MeanI16(Mean { reduced, output: self.multiplier() })),
            _ => Operator::MeanF32(MeanF32 { reduced }),
        };
        Proposal::new(operator, vec![Some(x)], kinds[0], out)
    }

    /// The index of the smallest or largest element along any dimension.
    pub(super) fn arg_min_max(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let kinds = if code == OpCode::ArgMinMax { I8 } else { F32 };
        let x = self.operand(kinds, small, &defaults.dims);
        let mut out = self.get(x).shape.dims().to_vec();
        let axis = self.choose.below(out.len().max(1) as u32);
        if let Some(dim) = out.get_mut(axis as usize) {
            *dim = 1;
        }
        if self.choose.one_in(2) && !out.is_empty() {
            out.remove(axis as usize);
        }
        let attrs = ArgMinMax { axis: axis as i32, smallest: self.choose.one_in(2), last: self.choose.one_in(2) };
        let operator = if code == OpCode::ArgMinMax {
            Operator::ArgMinMax(attrs)
        } else {
            Operator::ArgMinMaxF32(ArgMinMaxF32(attrs))
        };
        Proposal::new(operator, vec![Some(x)], DType::I32, out)
    }

    /// The largest or smallest elements of each line, or their indices.
    pub(super) fn top_k(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let kinds = if code == OpCode::TopK { I8 } else { F32 };
        let x = self.operand(kinds, small, &defaults.dims);
        let mut out = self.get(x).shape.dims().to_vec();
        if let Some(last) = out.last_mut() {
            *last = 1 + self.choose.below((*last).clamp(1, 9));
        }
        let attrs = TopK { smallest: self.choose.one_in(2) };
        let operator = if code == OpCode::TopK { Operator::TopK(attrs) } else { Operator::TopKF32(TopKF32(attrs)) };
        Proposal::new(operator, vec![Some(x)], self.choose.pick(&[kinds[0], DType::I32]), out)
    }

    /// The transform of a crop around some landmarks.
    pub(super) fn landmarks_to_transform(&mut self) -> Proposal {
        let dims = [1, 1 + self.choose.below(9), 3];
        let landmarks =
            self.operand(F32, |v| small(v) && v.shape.rank() > 0 && v.shape.dim(v.shape.rank() - 1) == 3, &dims);
        let (count, len) = (self.get(landmarks).len / 12, self.size(9));
        let subset: Vec<u8> = (0..len).flat_map(|_| (self.choose.below(count) as i32).to_le_bytes()).collect();
        let subset = self.constant_of(DType::I32, &[len], subset);
        let attrs = LandmarksToTransformF32 {
            ends: [(); 2].map(|()| self.choose.below(count) as i32),
            size: [(); 2].map(|()| self.choose.between(1, 20)),
            scale: self.choose.pick(&[[1.5, 1.5], [0.0, -1.0], [1e30, 1e-30]]),
            angle: self.choose.pick(&[0.0, 1.5, -1e6]),
        };
        let operator = Operator::LandmarksToTransformF32(attrs);
        Proposal::new(operator, vec![Some(landmarks), Some(subset)], DType::F32, vec![1, 4, 4])
    }

    /// Detections of a few anchors.
    pub(super) fn detections(&mut self) -> Proposal {
        let (n, columns, background) = (1 + self.choose.below(9), 2 + self.choose.below(3), self.choose.one_in(2));
        let operands = [vec![1, n, 4 + self.choose.below(2)], vec![1, n, columns], vec![n, 4]];
        let inputs = operands.map(|dims| Some(self.operand(F32, |v| v.shape.dims() == dims, &dims)));
        let (count, per_class) = (1 + self.choose.below(4) as i32, self.choose.below(3) as i32);
        let (score, overlap) = (self.choose.pick(&[-1.0, 0.0, 0.3]), self.choose.pick(&[0.1, 0.5, 1.0]));
        let scales = self.choose.pick(&[[1.0; 4], [10.0, 10.0, 5.0, 5.0], [-1.0, 2.0, 1e-3, 1e3]]);
        let attrs = DetectionsF32 { count, per_class, background, score, overlap, scales };
        let out = vec![6 * count as u32 + 1 + 6 * n];
        Proposal::new(Operator::DetectionsF32(attrs), inputs.to_vec(), DType::F32, out)
    }
}
