//! Transforms of images by the landmarks in them: MediaPipe's operators.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node};
use tealight_format::Operator;
use tealight_format::ops::{LandmarksToTransformF32, TransformBilinearF32};

impl Lowering<'_> {
    pub(super) fn landmarks_to_transform_f32(&mut self, node: &Node, attrs: &LandmarksToTransformF32) -> Result<()> {
        let (landmarks, output) = (self.input_f32(node, 0)?, self.output_f32(node)?);
        self.constant(node, 1, ElementType::I32)?;
        let subset = self.graph.input(node, 1)?;
        let count = (self.tensor(landmarks).elements() / 3) as i64;
        let indices = self.tensor(subset).each_integer().into_iter().flatten();
        if let Some(index) = indices.chain(attrs.ends.map(i64::from)).find(|index| !(0..count).contains(index)) {
            return Err(self.graph.invalid(node, format!("it names landmark {index} of {count}")));
        }
        self.emit(node, Operator::LandmarksToTransformF32(*attrs), &[Some(landmarks), Some(subset)], output);
        Ok(())
    }

    pub(super) fn transform_bilinear_f32(&mut self, node: &Node) -> Result<()> {
        let inputs = [self.input_f32(node, 0)?, self.input_f32(node, 1)?].map(Some);
        let output = self.output_f32(node)?;
        self.emit(node, Operator::TransformBilinearF32(TransformBilinearF32), &inputs, output);
        Ok(())
    }
}
