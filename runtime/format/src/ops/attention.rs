//! Scaled dot-product attention over a cache of keys and values, in f32.

use super::work::{product, sum};
use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, attrs_of, bits, f32_words, words,
};
use crate::{DType, Value};

/// Attributes of AttentionF32 (Vaswani et al., "Attention is all you need", 2017; grouped heads: Ainslie et al., "GQA",
/// 2023).
///
/// The cache is state, `[2, capacity, kv_heads, D]`: keys, then values. Before the first row, the new keys and values
/// are stored at their positions; those outside the cache are dropped. Each row is then the attention of one query head
/// over all positions up to its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionF32 {
    /// The number of query heads (at least 1).
    pub heads: i32,
    /// The number of key and value heads. It divides `heads`; each is shared by `heads / kv_heads` consecutive query
    /// heads.
    pub kv_heads: i32,
    /// Factor applied to the scores, finite: `1 / √D` in most models.
    pub scale: f32,
}

impl OpInfo for AttentionF32 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::ACTIVATION, Input::ACTIVATION, Input::ACTIVATION, Input::STATE];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = true;
    const SPEC: Spec = Spec {
        inputs: "f, P·H·D elements; f, P·G·D elements; f, P·G·D elements; positions I32, P elements; cache F32 state `[2, C, G, D]`",
        attributes: "H (≥ 1); G (≥ 1, divides H); scale (finite)",
        rows: "P·H",
        cost: "50 + 6·D + C·(50 + 4·D)",
    };
}

without_blocks!(AttentionF32);

impl AttentionF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        match (k, operands.input(4)) {
            (0, Some(cache)) => {
                Some(RowAccess { row_bytes: 4 * cache.shape.from_end(0), stride: 1, lead: 0, extent: 1 })
            }
            // The new keys and values are stored before the first row, so they count as one row, read first.
            (1 | 2, _) => Some(RowAccess { row_bytes: input.len, stride: 1, lead: 0, extent: 1 }),
            _ => None,
        }
    }
}

impl AttentionF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let ([heads, kv_heads], [scale]) = (words(attrs, 0), f32_words(attrs, 2));
        ensure!(!CHECK || heads >= 1, OpFault::Attribute { index: 0 });
        ensure!(!CHECK || (kv_heads >= 1 && heads % kv_heads == 0), OpFault::Attribute { index: 1 });
        ensure!(!CHECK || scale.is_finite(), OpFault::Attribute { index: 2 });
        Ok(Self { heads, kv_heads, scale })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [scale] = bits([self.scale]);
        attrs_of(&[self.heads, self.kv_heads, scale])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let positions = tri!(operands.typed(3, DType::I32));
        let cache = tri!(operands.typed(4, DType::F32));
        let output = tri!(operands.f32_output());
        ensure!(cache.is_state(), OpFault::Place { operand: 4 });
        ensure!(cache.shape.rank() == 4 && cache.shape.dim(0) == 2, OpFault::Shape { operand: 4 });
        ensure!(cache.shape.dim(2) == self.kv_heads as u32, OpFault::Shape { operand: 4 });
        let (capacity, depth) = (cache.shape.dim(1) as u64, cache.shape.dim(3) as u64);
        ensure!(capacity > 0 && depth > 0, OpFault::Shape { operand: 4 });
        let count = positions.len as u64 / 4;
        let mut k = 0;
        while k < 3 {
            let elements = tri!(operands.typed(k, DType::F32)).len as u64 / 4;
            let width = if k == 0 { self.heads } else { self.kv_heads } as u64 * depth;
            // `parse` refuses 0 heads; without the first test, a division by zero would be linked.
            let fits = width > 0 && elements.is_multiple_of(width) && elements / width == count;
            ensure!(fits, OpFault::Shape { operand: k as u8 });
            k += 1;
        }
        // The output has as many elements as the queries, whose size fits, so the product cannot wrap.
        ensure!(output.len as u64 / 4 == count * self.heads as u64 * depth, OpFault::Shape { operand: OUTPUT });
        let row_cost = sum(&[50, 6 * depth, product(&[capacity, 50 + 4 * depth])]);
        let (rows, row_macs) = (count * self.heads as u64, product(&[2, capacity, depth]));
        let work = tri!(Work::new(rows, 4 * depth, row_cost, row_macs));
        // Before the first row, the new keys and values are stored in the cache.
        let stored = product(&[count, sum(&[40, product(&[self.kv_heads as u64, depth])])]);
        work.prepared(stored, work.rows)
    }
}
