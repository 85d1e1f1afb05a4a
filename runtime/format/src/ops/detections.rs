//! Detections from the boxes, scores and anchors of a detector, in f32.

use super::work::{product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, bits, f32_words, flag};
use crate::DType;

/// Attributes of DetectionsF32. For `n` anchors and `d` detections at most, the output has `6·d + 1 + 6·n` elements: `d`
/// boxes (top, left, bottom, right), `d` classes, `d` scores and the number of detections. The rest is working memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionsF32 {
    /// The maximum number of detections, at least 1.
    pub count: i32,
    /// The maximum number of detections of one class, at least 1, where each class is searched apart; 0 where an anchor
    /// counts for its best class only, and boxes suppress each other whatever their classes are.
    pub per_class: i32,
    /// Whether the first column of the scores is the background, which is no class.
    pub background: bool,
    /// The minimum score of a detection.
    pub score: f32,
    /// Boxes of which a greater part overlaps that of a better one are left out: the area of the intersection over that
    /// of the union, above 0 and at most 1.
    pub overlap: f32,
    /// The divisors of a box's y, x, height and width: finite, and not 0.
    pub scales: [f32; 4],
}

impl OpInfo for DetectionsF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "boxes f `[1, n, b]`, b ≥ 4; scores f `[1, n, c]`; anchors f `[n, 4]`, n < 2²⁴; output `[6·d + 1 + 6·n]`",
        attributes: "d; detections of a class, or 0; background (0, 1); minimum score; maximum overlap; four divisors",
        rows: "1",
        cost: "n·200 + n·c·8 + k·n·(8 + 24·⌈log₂(n + 1)⌉ + 40·e) + 8·k·e·d, k searches (1 or c) for e boxes",
    };
}

without_blocks!(DetectionsF32);
output_apart!(DetectionsF32);

impl DetectionsF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [score, overlap, scales @ ..]: [f32; 6] = f32_words(attrs, 3);
        let background = tri!(flag::<CHECK>(attrs, 2));
        let op = Self { count: attrs[0], per_class: attrs[1], background, score, overlap, scales };
        if CHECK {
            ensure!(op.count >= 1, OpFault::Attribute { index: 0 });
            ensure!(op.per_class >= 0, OpFault::Attribute { index: 1 });
            ensure!(!op.score.is_nan(), OpFault::Attribute { index: 3 });
            ensure!(op.overlap > 0.0 && op.overlap <= 1.0, OpFault::Attribute { index: 4 });
            let mut i = 0;
            while i < scales.len() {
                ensure!(scales[i].is_finite() && scales[i] != 0.0, OpFault::Attribute { index: 5 + i as u8 });
                i += 1;
            }
        }
        Ok(op)
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [y, x, h, w] = self.scales;
        let [score, overlap, y, x, h, w] = bits([self.score, self.overlap, y, x, h, w]);
        attrs_of(&[self.count, self.per_class, self.background as i32, score, overlap, y, x, h, w])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let boxes = tri!(operands.typed(0, DType::F32)).shape;
        let scores = tri!(operands.typed(1, DType::F32)).shape;
        let anchors = tri!(operands.typed(2, DType::F32)).shape;
        let output = tri!(operands.f32_output()).shape;
        ensure!(boxes.rank() == 3 && boxes.dim(0) == 1 && boxes.dim(2) >= 4, OpFault::Shape { operand: 0 });
        let n = boxes.dim(1) as u64;
        ensure!(0 < n && n < 1 << 24, OpFault::Shape { operand: 0 });
        ensure!(scores.rank() == 3 && scores.dim(0) == 1 && scores.dim(1) as u64 == n, OpFault::Shape { operand: 1 });
        let columns = scores.dim(2) as u64;
        ensure!(columns > self.background as u64, OpFault::Shape { operand: 1 });
        ensure!(
            anchors.rank() == 2 && anchors.dim(0) as u64 == n && anchors.dim(1) == 4,
            OpFault::Shape { operand: 2 }
        );
        let count = self.count as u64;
        let elements = 6 * count + 1 + 6 * n;
        ensure!(output.rank() == 1 && output.dim(0) as u64 == elements, OpFault::Shape { operand: OUTPUT });
        let (searches, found) = if self.per_class > 0 { (columns, self.per_class as u64) } else { (1, count) };
        let levels = (u64::BITS - n.leading_zeros()) as u64;
        let each = sum(&[8, product(&[24, levels]), product(&[40, found])]);
        let cost = sum(&[
            product(&[n, 200]),
            product(&[n, columns, 8]),
            product(&[searches, n, each]),
            product(&[8, searches, found, count]),
        ]);
        Work::new(1, 4 * elements, cost, 0)
    }
}
