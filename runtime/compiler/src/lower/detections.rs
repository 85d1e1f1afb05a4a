//! The detections of a detector.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::Node;
use tealight_format::Operator;
use tealight_format::ops::DetectionsF32;

impl Lowering<'_> {
    pub(super) fn detections_f32(&mut self, node: &Node, detections: &DetectionsF32) -> Result<()> {
        let output = self.output_f32(node)?;
        let inputs = [self.input_f32(node, 0)?, self.input_f32(node, 1)?, self.input_f32(node, 2)?].map(Some);
        self.emit(node, Operator::DetectionsF32(*detections), &inputs, output);
        Ok(())
    }
}
