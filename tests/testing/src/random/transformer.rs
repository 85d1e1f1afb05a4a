//! Operators of transformers.

use super::{Builder, DefaultDims, F32, Proposal, Ref};
use tealight_format::ops::{AttentionF32, BlockType, GatherBlock, GatherF32, Positions, RopeF32};
use tealight_format::{DType, OpCode, Operator, Shape};

impl Builder<'_, '_> {
    /// The next positions, counted in a state.
    pub(super) fn positions_of_state(&mut self) -> Proposal {
        let state = self.state(DType::I32, &[1]);
        let capacity = if self.choose.one_in(4) { self.choose.odd().max(1) } else { self.choose.between(1, 6) };
        let out = vec![self.choose.between(1, 4) as u32];
        let mut inputs = vec![Some(Ref::Value(state))];
        if self.choose.one_in(3) {
            inputs.push(Some(self.operand(&[DType::I32], |v| v.len == 4 && !v.is_state(), &[1])));
        }
        Proposal::new(Operator::Positions(Positions { capacity }), inputs, DType::I32, out)
    }

    /// A rotary embedding by tables.
    pub(super) fn rope(&mut self) -> Proposal {
        let positions = self.positions();
        let count = self.get(positions).shape.elements().unwrap();
        let (heads, points) = (self.choose.between(1, 3) as u32, self.size(4));
        let mut dims = vec![count, heads, 2 * points];
        if self.choose.one_in(4) {
            dims.insert(0, 2);
        }
        let wanted = Shape::new(&dims).unwrap();
        let x = self.operand(F32, |v| v.shape.is(&wanted), &dims);
        let length = self.choose.between(1, 6) as u32;
        let [cos, sin] = [(); 2].map(|()| self.constant(DType::F32, &[length, points]));
        let attrs = RopeF32 { heads: heads as i32, interleaved: self.choose.between(0, 1) == 1 };
        Proposal::new(Operator::RopeF32(attrs), vec![Some(x), Some(cos), Some(sin), Some(positions)], DType::F32, dims)
    }

    /// Attention over a cache of keys and values.
    pub(super) fn attention(&mut self) -> Proposal {
        let positions = self.positions();
        let count = self.get(positions).shape.elements().unwrap();
        let [kv_heads, group, depth] = [3, 3, 4].map(|max| self.size(max));
        let capacity = self.size(6);
        let mut part = |heads: u32| {
            let dims = [count, heads, depth];
            let len = dims.iter().product::<u32>() * 4;
            self.operand(F32, |v| v.len == len && !v.is_state(), &dims)
        };
        let [queries, keys, values] = [kv_heads * group, kv_heads, kv_heads].map(&mut part);
        let state = self.state(DType::F32, &[2, capacity, kv_heads, depth]);
        let scale = self.choose.pick(&[1.0, 0.5, 0.0, -1e30]);
        let attrs = AttentionF32 { heads: (kv_heads * group) as i32, kv_heads: kv_heads as i32, scale };
        let inputs = [queries, keys, values, positions, Ref::Value(state)].map(Some).to_vec();
        Proposal::new(Operator::AttentionF32(attrs), inputs, DType::F32, vec![count, kv_heads * group, depth])
    }

    /// Rows of a table, in f32, f16 or blocks.
    pub(super) fn gather(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let indices = self.operand(&[DType::I32], |v| v.len <= 64, &defaults.dims);
        let mut out = vec![self.get(indices).shape.elements().unwrap()];
        let rows = self.choose.between(1, 5) as u32;
        if code == OpCode::GatherF32 {
            let len = self.size(6);
            out.push(len);
            let table = self.f32_weights(&[rows, len]);
            Proposal::new(Operator::GatherF32(GatherF32), vec![Some(indices), Some(table)], DType::F32, out)
        } else {
            let block = self.choose.pick(BlockType::ALL);
            let blocks = self.size(2);
            out.push(blocks * block.elements());
            let table = self.constant(DType::U8, &[rows, blocks * block.bytes()]);
            let operator = Operator::GatherBlock(GatherBlock { block });
            Proposal::new(operator, vec![Some(indices), Some(table)], DType::F32, out)
        }
    }
}
