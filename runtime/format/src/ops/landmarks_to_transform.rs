//! The transform from the crop around some landmarks to their image, in f32.

use super::work::sum;
use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, Spec, Work, attrs_of, bits, f32_words, words,
};
use crate::DType;

/// Attributes of LandmarksToTransformF32 (MediaPipe's `Landmarks2TransformMatrix`, version 2): a matrix that takes places in
/// a crop of `size` pixels, upright and around the landmarks of a subset, to places in the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LandmarksToTransformF32 {
    /// The two landmarks whose line gives the rotation, from left to right.
    pub ends: [i32; 2],
    /// Height and width of the crop (at least 1).
    pub size: [i32; 2],
    /// How much wider and higher than the landmarks the crop is (horizontally, vertically).
    pub scale: [f32; 2],
    /// The angle of that line in the crop, in radians.
    pub angle: f32,
}

impl OpInfo for LandmarksToTransformF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Weights, "subset")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f `[.., 3]`, n landmarks; subset I32 `[k]`; output 16 elements",
        attributes: "left, right (0 to n - 1); crop h, w (1 to 2²⁴); scale x, y; angle",
        rows: "1",
        cost: "4000 + 40·k",
    };
}

without_blocks!(LandmarksToTransformF32);
output_apart!(LandmarksToTransformF32);

impl LandmarksToTransformF32 {
    /// The maximum height and width of a crop: f32 holds every integer up to it.
    pub const MAX_SIZE: i32 = 1 << 24;

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let (ends, size): ([i32; 2], [i32; 2]) = (words(attrs, 0), words(attrs, 2));
        let [x, y, angle] = f32_words(attrs, 4);
        ensure!(!CHECK || ends[0] >= 0, OpFault::Attribute { index: 0 });
        ensure!(!CHECK || ends[1] >= 0, OpFault::Attribute { index: 1 });
        ensure!(!CHECK || (1 <= size[0] && size[0] <= Self::MAX_SIZE), OpFault::Attribute { index: 2 });
        ensure!(!CHECK || (1 <= size[1] && size[1] <= Self::MAX_SIZE), OpFault::Attribute { index: 3 });
        ensure!(!CHECK || x.is_finite(), OpFault::Attribute { index: 4 });
        ensure!(!CHECK || y.is_finite(), OpFault::Attribute { index: 5 });
        ensure!(!CHECK || angle.is_finite(), OpFault::Attribute { index: 6 });
        Ok(Self { ends, size, scale: [x, y], angle })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [x, y, angle] = bits([self.scale[0], self.scale[1], self.angle]);
        attrs_of(&[self.ends[0], self.ends[1], self.size[0], self.size[1], x, y, angle])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let landmarks = tri!(operands.typed(0, DType::F32));
        let subset = tri!(operands.constant(1, DType::I32));
        let output = tri!(operands.f32_output());
        let rank = landmarks.shape.rank();
        ensure!(rank > 0 && landmarks.shape.dim(rank - 1) == 3, OpFault::Shape { operand: 0 });
        let count = landmarks.len / 12;
        ensure!(self.ends[0].cast_unsigned() < count, OpFault::Attribute { index: 0 });
        ensure!(self.ends[1].cast_unsigned() < count, OpFault::Attribute { index: 1 });
        ensure!(subset.len > 0, OpFault::Shape { operand: 1 });
        ensure!(output.len == 64, OpFault::Shape { operand: OUTPUT });
        Work::new(1, 64, sum(&[4000, 10 * subset.len as u64]), 0)
    }
}
