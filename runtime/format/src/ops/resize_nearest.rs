//! Resize of an image by the nearest neighbour.

use super::work::{ROW, product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, flag};

/// Attributes of ResizeNearest, as TensorFlow Lite defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeNearest {
    /// Whether the corner pixels of input and output are aligned.
    pub align_corners: bool,
    /// Whether pixel centres are at half-integer coordinates.
    pub half_pixel_centers: bool,
}

impl OpInfo for ResizeNearest {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "any NHWC, same type, N and C",
        attributes: "align corners (0, 1); half-pixel centres (0, 1)",
        rows: "N·OH",
        cost: "20 + OW·(30 + ⌈pixel bytes / 2⌉)",
    };
}

without_blocks!(ResizeNearest);
output_apart!(ResizeNearest);

impl ResizeNearest {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { align_corners: tri!(flag::<CHECK>(attrs, 0)), half_pixel_centers: tri!(flag::<CHECK>(attrs, 1)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.align_corners as i32, self.half_pixel_centers as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.moved());
        let output = operands.output;
        let (i, o) = (&input.shape, &output.shape);
        ensure!(i.rank() == 4, OpFault::Shape { operand: 0 });
        ensure!(o.rank() == 4 && o.dim(0) == i.dim(0) && o.dim(3) == i.dim(3), OpFault::Shape { operand: OUTPUT });
        // The source row is computed in f32, which is exact for sizes up to 2^24.
        ensure!(i.dim(1) <= 1 << 24 && i.dim(2) <= 1 << 24, OpFault::Shape { operand: 0 });
        ensure!(o.dim(1) <= 1 << 24 && o.dim(2) <= 1 << 24, OpFault::Shape { operand: OUTPUT });
        let line = product(&[o.dim(3) as u64, output.dtype.size() as u64]).div_ceil(2);
        Work::split(&output, 2, sum(&[ROW, product(&[o.dim(2) as u64, sum(&[30, line])])]), 0)
    }
}
