//! Dense layers and products of matrices.

use super::{Builder, DefaultDims, F32, I8, I16, Proposal, small};
use tealight_format::ops::{
    BatchMatMul, BatchMatMulF32, BlockType, FullyConnected, FullyConnectedBlock, FullyConnectedF32, FullyConnectedI16,
};
use tealight_format::{DType, OpCode, Operator, Shape, Value};
use tealight_kernels::can_pair;

impl Builder<'_, '_> {
    /// An int8 dense layer.
    pub(super) fn fully_connected(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I8, small, &defaults.dims);
        let len = self.get(x).len;
        let divisors: Vec<u32> = (1..=len.min(128)).filter(|d| len.is_multiple_of(*d)).collect();
        let depth = self.choose.pick(&divisors);
        let units = self.size(9);
        let attrs = FullyConnected {
            weights_zero_point: self.choose.pick(&[0, 0, 3, -128, 127]),
            activation: self.activation(),
        };
        let pairs = attrs.weights_zero_point == 0 && can_pair([units as usize, depth as usize]);
        let dims = [units, depth];
        let w = if pairs && self.choose.one_in(2) { self.constant(DType::U8, &dims) } else { self.int8_weights(&dims) };
        let c = self.channels(units);
        Proposal::new(
            Operator::FullyConnected(attrs),
            vec![Some(x), Some(w), Some(c)],
            DType::I8,
            vec![len / depth, units],
        )
    }

    /// A dense layer of int16 activations.
    pub(super) fn fully_connected_i16(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I16, small, &defaults.dims);
        let len = self.get(x).len / 2;
        let divisors: Vec<u32> = (1..=len.min(128)).filter(|d| len.is_multiple_of(*d)).collect();
        let depth = self.choose.pick(&divisors);
        let units = self.size(9);
        let attrs = FullyConnectedI16 { activation: self.activation_i16() };
        let w = self.constant(DType::I8, &[units, depth]);
        let c = self.channels_i16(units);
        let inputs = vec![Some(x), Some(w), Some(c)];
        Proposal::new(Operator::FullyConnectedI16(attrs), inputs, DType::I16, vec![len / depth, units])
    }

    /// A dense layer in f32.
    pub(super) fn fully_connected_f32(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let len = self.get(x).len / 4;
        let divisors: Vec<u32> = (1..=len.min(128)).filter(|d| len.is_multiple_of(*d)).collect();
        let depth = self.choose.pick(&divisors);
        let units = self.size(9);
        let attrs = FullyConnectedF32 { activation: self.f32_activation() };
        let [w, c] = self.channel_weights(&[units, depth], units);
        Proposal::new(Operator::FullyConnectedF32(attrs), vec![Some(x), w, c], DType::F32, vec![len / depth, units])
    }

    /// A dense layer with block-quantized weights.
    pub(super) fn fully_connected_block(&mut self) -> Proposal {
        let block = self.choose.pick(BlockType::ALL);
        let (batches, blocks) = (self.choose.between(1, 3) as u32, self.size(3));
        let depth = blocks * block.elements();
        let x = self.operand(F32, |v| small(v) && (v.len / 4).is_multiple_of(depth), &[batches, depth]);
        let units = self.size(5);
        let together = self.choose.one_in(2);
        let attrs = FullyConnectedBlock { block, activation: self.f32_activation(), together };
        let w = self.constant(DType::U8, &[units, blocks * block.bytes()]);
        let bias = self.f32_bias(units);
        let out = vec![self.get(x).len / 4 / depth, units];
        Proposal::new(Operator::FullyConnectedBlock(attrs), vec![Some(x), Some(w), bias], DType::F32, out)
    }

    /// A product of matrices, either of them transposed or not.
    pub(super) fn batch_matmul(&mut self, code: OpCode) -> Proposal {
        let kinds = if code == OpCode::BatchMatMul { I8 } else { F32 };
        let matrix = |v: &Value| small(v) && (2..=4).contains(&v.shape.rank());
        let rank = 2 + self.choose.below(3) as usize;
        let dims = self.dims(rank, 4);
        let a = self.operand(kinds, matrix, &dims);
        let mut out = self.get(a).shape.dims().to_vec();
        let [transpose_a, transpose_b] = [(); 2].map(|()| self.choose.between(0, 1) == 1);
        let columns = self.size(5);
        let (stored, inner) = (out.split_off(out.len() - 2), 1 - usize::from(transpose_a));
        let mut other = if self.choose.one_in(2) { out.clone() } else { Vec::new() };
        other.extend(if transpose_b { [columns, stored[inner]] } else { [stored[inner], columns] });
        out.extend([stored[1 - inner], columns]);
        let wanted = Shape::new(&other).unwrap();
        let b = self.operand(kinds, |v| v.shape.is(&wanted), &other);
        let operator = if code == OpCode::BatchMatMul {
            Operator::BatchMatMul(BatchMatMul { transpose_a, transpose_b, output: self.multiplier() })
        } else {
            Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a, transpose_b })
        };
        Proposal::new(operator, vec![Some(a), Some(b)], kinds[0], out)
    }
}
