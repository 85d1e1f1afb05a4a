//! Rows of a table by index, as an embedding looks them up: in f32, and from a block-quantized table.
//!
//! A negative index counts as 0 and one beyond the table as its last row, so no input can fail. A block table has the
//! form of [`FullyConnectedBlock`](super::FullyConnectedBlock)'s weights, so one constant can serve as both.

use super::work::{ROW, product, sum, weight_cost};
use super::{
    Attrs, BlockType, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, Spec, Work, Workspace, attrs_of, block,
};
use crate::{DType, Value};

/// GatherF32 has no attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatherF32;

impl OpInfo for GatherF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::FloatWeights, Input::CONSTANT)];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32, n elements; table F32 or F16 `[T, D]`; output n·D elements",
        attributes: "",
        rows: "n",
        cost: "20 + f an element",
    };
}

without_blocks!(GatherF32);
output_apart!(GatherF32);

impl GatherF32 {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let indices = tri!(operands.typed(0, DType::I32));
        let table = tri!(operands.f32_weights(1));
        let output = tri!(operands.f32_output());
        ensure!(table.shape.rank() == 2, OpFault::Shape { operand: 1 });
        gather_work(&indices, &output, table.shape.dim(1), weight_cost(table.dtype))
    }
}

/// Attributes of GatherBlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatherBlock {
    /// The type of the table's blocks.
    pub block: BlockType,
}

impl OpInfo for GatherBlock {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Weights, Input::CONSTANT)];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32, n elements; table U8 `[T, row bytes]`; output n·D elements",
        attributes: "block type",
        rows: "n",
        cost: "20 + (1 + b) an element",
    };
}

output_apart!(GatherBlock);

impl GatherBlock {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { block: tri!(block::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.block as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let indices = tri!(operands.typed(0, DType::I32));
        let table = tri!(operands.constant(1, DType::U8));
        let output = tri!(operands.f32_output());
        let block = self.block;
        ensure!(table.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let row_bytes = table.shape.dim(1);
        ensure!(row_bytes.is_multiple_of(block.bytes()), OpFault::Shape { operand: 1 });
        // A block has more bytes than an eighth of its elements, so this product fits.
        gather_work(&indices, &output, row_bytes / block.bytes() * block.elements(), 1 + block.mac_cost() as u64)
    }
}

impl GatherBlock {
    pub(super) const fn block_type(&self) -> Option<BlockType> {
        Some(self.block)
    }

    pub(super) const fn workspace(&self, _: &Operands) -> Option<Workspace> {
        None
    }
}

/// The work of gathering a row of `len` elements for each index. Only the element counts of the shapes matter.
const fn gather_work(indices: &Value, output: &Value, len: u32, each: u64) -> Result<Work, OpFault> {
    let count = indices.len as u64 / 4;
    ensure!(output.len as u64 / 4 == count * len as u64, OpFault::Shape { operand: OUTPUT });
    Work::new(count, 4 * len as u64, sum(&[ROW, product(&[len as u64, each])]), 0)
}
