//! Resize of an image by the nearest neighbour.

use super::work::{ROW, product, sum};
use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of};

/// Attributes of ResizeNearest, as TensorFlow Lite defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeNearest {
    /// 1: the corners of input and output are the same points; else 0.
    pub align_corners: i32,
    /// 1: pixels are squares with their centres at half coordinates; else 0.
    pub half_pixel_centers: i32,
}

impl ResizeNearest {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { align_corners: attrs[0], half_pixel_centers: attrs[1] }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.align_corners, self.half_pixel_centers])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.moved());
        let output = operands.output;
        let (i, o) = (&input.shape, &output.shape);
        ensure!(i.rank() == 4, OpFault::Shape { operand: 0 });
        ensure!(o.rank() == 4 && o.dim(0) == i.dim(0) && o.dim(3) == i.dim(3), OpFault::Shape { operand: OUTPUT });
        // The source row is found in f32 arithmetic, exact for sizes up to 2^24.
        ensure!(i.dim(1) <= 1 << 24 && i.dim(2) <= 1 << 24, OpFault::Shape { operand: 0 });
        ensure!(o.dim(1) <= 1 << 24 && o.dim(2) <= 1 << 24, OpFault::Shape { operand: OUTPUT });
        ensure!(self.align_corners & !1 == 0, OpFault::Attribute { index: 0 });
        ensure!(self.half_pixel_centers & !1 == 0, OpFault::Attribute { index: 1 });
        let line = product(&[o.dim(3) as u64, output.dtype.size() as u64]).div_ceil(2);
        Work::split(&output, 2, sum(&[ROW, product(&[o.dim(2) as u64, sum(&[30, line])])]), 0)
    }
}
