//! Resize of an image by linear interpolation between the four pixels around each position.

use super::work::{ROW, product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, flag};
use crate::{DType, Shape};

/// The cost of a row beyond [`ROW`]: the two input lines and their weights.
const LINE: u64 = 40;

/// Attributes of ResizeBilinear, as TensorFlow Lite defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeBilinear {
    /// Whether the corner pixels of input and output are aligned.
    pub align_corners: bool,
    /// Whether pixel centres are at half-integer coordinates; not with aligned corners.
    pub half_pixel_centers: bool,
}

impl OpInfo for ResizeBilinear {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q NHWC, same N and C",
        attributes: "align corners (0, 1); half-pixel centres (0, 1), not both",
        rows: "N·OH",
        cost: "60 + OW·(50 + 8·C)",
    };
}

without_blocks!(ResizeBilinear);
output_apart!(ResizeBilinear);

impl ResizeBilinear {
    /// The maximum height and width: positions, in 1024ths of a pixel, fit in 32 bits.
    pub const MAX_SIZE: u32 = 1 << 20;

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [align_corners, half_pixel_centers] = tri!(grid::<CHECK>(attrs));
        Ok(Self { align_corners, half_pixel_centers })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.align_corners as i32, self.half_pixel_centers as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, output) = (tri!(operands.quantized(0)), tri!(operands.quantized_output()));
        tri!(check_shapes(&input.shape, &output.shape, Self::MAX_SIZE));
        Work::split(&output, 2, row_cost(&output.shape, [50, 8]), 0)
    }
}

/// Attributes of ResizeBilinear in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeBilinearF32 {
    /// Whether the corner pixels of input and output are aligned.
    pub align_corners: bool,
    /// Whether pixel centres are at half-integer coordinates; not with aligned corners.
    pub half_pixel_centers: bool,
}

impl OpInfo for ResizeBilinearF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f NHWC, same N and C",
        attributes: "as ResizeBilinear",
        rows: "N·OH",
        cost: "60 + OW·(50 + 10·C)",
    };
}

without_blocks!(ResizeBilinearF32);
output_apart!(ResizeBilinearF32);

impl ResizeBilinearF32 {
    /// The maximum height and width: f32 holds every integer up to it.
    pub const MAX_SIZE: u32 = 1 << 24;

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [align_corners, half_pixel_centers] = tri!(grid::<CHECK>(attrs));
        Ok(Self { align_corners, half_pixel_centers })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.align_corners as i32, self.half_pixel_centers as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, output) = (tri!(operands.typed(0, DType::F32)), tri!(operands.f32_output()));
        tri!(check_shapes(&input.shape, &output.shape, Self::MAX_SIZE));
        Work::split(&output, 2, row_cost(&output.shape, [50, 10]), 0)
    }
}

/// The first two words: align corners and half-pixel centres, which exclude each other.
const fn grid<const CHECK: bool>(attrs: &Attrs) -> Result<[bool; 2], OpFault> {
    let (align_corners, half_pixel_centers) = (tri!(flag::<CHECK>(attrs, 0)), tri!(flag::<CHECK>(attrs, 1)));
    ensure!(!(CHECK && align_corners && half_pixel_centers), OpFault::Attribute { index: 1 });
    Ok([align_corners, half_pixel_centers])
}

/// Checks that both shapes are NHWC with the same N and C, and no height or width above `max`.
const fn check_shapes(input: &Shape, output: &Shape, max: u32) -> Result<(), OpFault> {
    ensure!(input.rank() == 4 && input.dim(1) <= max && input.dim(2) <= max, OpFault::Shape { operand: 0 });
    ensure!(output.rank() == 4 && output.dim(1) <= max && output.dim(2) <= max, OpFault::Shape { operand: OUTPUT });
    let is_same = output.dim(0) == input.dim(0) && output.dim(3) == input.dim(3);
    ensure!(is_same, OpFault::Shape { operand: OUTPUT });
    Ok(())
}

/// The cost of a row whose pixels cost `pixel`, and `each` for every channel.
const fn row_cost(output: &Shape, [pixel, each]: [u64; 2]) -> u64 {
    let channels = product(&[output.dim(3) as u64, each]);
    sum(&[ROW, LINE, product(&[output.dim(2) as u64, sum(&[pixel, channels])])])
}
