//! An image seen through an affine transform, in f32.

use super::work::{ROW, product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work};
use crate::DType;

/// Each output pixel is interpolated between four input pixels around the place where a matrix puts it (MediaPipe's
/// `TransformTensorBilinear`, version 2). It has no attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransformBilinearF32;

impl OpInfo for TransformBilinearF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f `[1, H, W, C]`; f, 16 elements; output `[1, OH, OW, C]`",
        attributes: "",
        rows: "OH",
        cost: "120 + OW·(90 + 12·C)",
    };
}

without_blocks!(TransformBilinearF32);
output_apart!(TransformBilinearF32);

impl TransformBilinearF32 {
    /// The maximum height and width: f32 holds every integer up to it.
    pub const MAX_SIZE: u32 = 1 << 24;

    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let image = tri!(operands.typed(0, DType::F32)).shape;
        let matrix = tri!(operands.typed(1, DType::F32));
        let output = tri!(operands.f32_output());
        let (to, max) = (&output.shape, Self::MAX_SIZE);
        ensure!(image.rank() == 4 && image.dim(0) == 1, OpFault::Shape { operand: 0 });
        ensure!(image.dim(1) <= max && image.dim(2) <= max, OpFault::Shape { operand: 0 });
        ensure!(matrix.len == 64, OpFault::Shape { operand: 1 });
        ensure!(to.rank() == 4 && to.dim(0) == 1 && to.dim(3) == image.dim(3), OpFault::Shape { operand: OUTPUT });
        ensure!(to.dim(1) <= max && to.dim(2) <= max, OpFault::Shape { operand: OUTPUT });
        let pixel = sum(&[90, product(&[12, to.dim(3) as u64])]);
        Work::split(&output, 2, sum(&[ROW, 100, product(&[to.dim(2) as u64, pixel])]), 0)
    }
}
