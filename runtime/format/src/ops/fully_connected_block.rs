//! Matrix product of f32 activations with block-quantized constant weights.
//!
//! The weights are U8 `[out, row bytes]`: each row is divided into blocks of 32 or 256 elements (GGML's types). The
//! activations are also quantized to blocks, one batch at a time or all of them, into the operator's scratch value.

use super::fully_connected::product_work;
use super::work::{ROW, product};
use super::{Attrs, Fused, Input, OpFault, OpInfo, Operands, Role, Spec, Work, attrs_of, bits, block, flag, range};
use crate::{DType, OpRecord};

pub use tealight_types::BlockType;

/// The workspace of an operator: a scratch value that its preparation writes and its rows read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its length in bytes.
    pub len: u32,
    /// The number of rows after which it is filled again.
    pub rows: u32,
}

/// The attribute word of [`FullyConnectedBlock::together`].
const TOGETHER: usize = 3;

/// Attributes of a fully connected layer with block-quantized weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullyConnectedBlock {
    /// The type of the weights' blocks.
    pub block: BlockType,
    /// Minimum and maximum of the output (the fused activation); infinities for none.
    pub activation: [f32; 2],
    /// Whether the activations of all batches are quantized before the first row. A runtime can then use a weight for all
    /// batches at a time. Otherwise those of a batch are quantized before its first row, which takes less memory.
    pub together: bool,
}

impl OpInfo for FullyConnectedBlock {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Bias, "bias")];
    const FUSED: Fused = Fused::F32(1);
    const PREPARES: bool = true;
    const SPEC: Spec = Spec {
        inputs: "f, elements a multiple of I; weights U8 `[O, row bytes]`; bias as 20",
        attributes: "block type; range; 1 if all batches are quantized together, else 0",
        rows: "elements / I · O",
        cost: "20 + I·b",
    };
}

output_apart!(FullyConnectedBlock);

impl FullyConnectedBlock {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self {
            block: tri!(block::<CHECK>(attrs, 0)),
            activation: tri!(range::<CHECK>(attrs, 1)),
            together: tri!(flag::<CHECK>(attrs, TOGETHER)),
        })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [min, max] = bits(self.activation);
        attrs_of(&[self.block as i32, min, max, self.together as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let weights = tri!(operands.constant(1, DType::U8));
        let output = tri!(operands.f32_output());
        let block = self.block;
        ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (units, row_bytes) = (weights.shape.dim(0), weights.shape.dim(1));
        ensure!(units > 0 && row_bytes > 0, OpFault::Shape { operand: 1 });
        ensure!(row_bytes.is_multiple_of(block.bytes()), OpFault::Shape { operand: 1 });
        tri!(operands.f32_bias(2, units));
        // A block has more bytes than an eighth of its number of elements, so this product fits.
        let depth = row_bytes / block.bytes() * block.elements();
        let work = tri!(product_work(&input, &output, units, depth, [ROW, block.mac_cost() as u64]));
        // Before the first row of a batch, its activations are quantized; or those of all batches before the first.
        let (batch, work) = (100 + 11 * depth as u64, Work { scratch_cost: 0, ..work });
        if self.together {
            // A row has at least a block, as `product_work` has checked.
            let batches = match (input.len / 4).checked_div(depth) {
                Some(batches) => batches as u64,
                None => 0,
            };
            return work.prepared(product(&[batches, batch]), work.rows);
        }
        work.prepared(batch, units)
    }

    /// Whether all batches are quantized together, by the operator's record.
    #[inline]
    pub fn is_together(op: OpRecord<'_>) -> bool {
        op.attribute(TOGETHER) != 0
    }

    pub(super) const fn block_type(&self) -> Option<BlockType> {
        Some(self.block)
    }

    /// The activations of a batch, or of all, quantized. `None` for operands that [`check`](Self::check) refuses.
    pub(super) const fn workspace(&self, operands: &Operands) -> Option<Workspace> {
        let (Some(weights), block) = (operands.input(1), self.block) else { return None };
        let (units, blocks) = (weights.shape.dim(0), weights.shape.dim(1) / block.bytes());
        let batches = match (self.together, operands.input(0), blocks.checked_mul(block.elements())) {
            (false, ..) => 1,
            (true, Some(input), Some(depth)) => match (input.len / 4).checked_div(depth) {
                Some(batches) => batches,
                None => return None,
            },
            (true, ..) => return None,
        };
        let len = batches as u64 * blocks as u64 * block.activations().bytes() as u64;
        let rows = batches as u64 * units as u64;
        if len > u32::MAX as u64 || rows > u32::MAX as u64 {
            return None;
        }
        Some(Workspace { len: len as u32, rows: rows as u32 })
    }
}
