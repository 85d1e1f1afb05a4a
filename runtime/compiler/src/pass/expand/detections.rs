//! The four outputs of a detector's post-processing, as parts of the one that the model file's operator has.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Graph, Node, Tensor, TensorId, dimension_of};
use tealight_format::ops::DetectionsF32;

/// Returns the shapes of the outputs: boxes, classes, scores and the number of detections.
pub(crate) fn shapes(detections: &DetectionsF32) -> [Vec<u32>; 4] {
    let count = detections.count.max(0).cast_unsigned();
    [vec![1, count, 4], vec![1, count], vec![1, count], vec![1]]
}

impl Expansion<'_> {
    pub(super) fn detections(&mut self, node: &Node, detections: DetectionsF32) -> Result<()> {
        let bytes = 16 * (STEP + node.outputs.first().map_or(0, |&id| self.graph.tensors[id].name.len() as u64));
        self.limit.make(bytes, || format!("{} as parts", self.graph.site(node)))?;
        let mut inputs = Vec::new();
        for k in 0..3 {
            let id = self.graph.input(node, k)?;
            inputs.push(self.in_f32(node, id)?);
        }
        let count = u64::from(detections.count.cast_unsigned());
        let anchors = self.graph.tensors[inputs[2]].shape.first().copied().unwrap_or(0);
        let Ok(length) = u32::try_from(6 * count + 1 + 6 * u64::from(anchors)) else {
            return Err(self.graph.invalid(node, "its output is too large"));
        };
        let Some(&first) = node.outputs.first() else { return Err(self.graph.invalid(node, "it has no outputs")) };
        let all = Tensor { shape: vec![length], dtype: ElementType::F32, ..self.graph.tensors[first].like() };
        let all = self.graph.add(all);
        self.write(node, Op::Detections(detections), &inputs, all);
        let mut from = 0;
        for (&output, shape) in node.outputs.iter().zip(shapes(&detections)) {
            if self.graph.tensors[output].shape != shape || self.graph.tensors[output].dtype != ElementType::F32 {
                let what = format!("its output is {}, not float32 {shape:?}", self.graph.describe(output));
                return Err(self.graph.invalid(node, what));
            }
            let length = dimension_of(&shape);
            let part = self.part(node, all, 0, from, length)?;
            self.write(node, Op::Reshape { new_shape: None }, &[part], output);
            from += length;
        }
        Ok(())
    }

    /// Returns the floats that a tensor holds, or that its codes stand for.
    fn in_f32(&mut self, node: &Node, id: TensorId) -> Result<TensorId> {
        let Graph { tensors, .. } = &self.graph;
        let tensor = &tensors[id];
        if tensor.dtype == ElementType::F32 {
            return Ok(id);
        }
        let codes = tensor.per_tensor().filter(|_| tensor.dtype.range_8_bit().is_some());
        let Some(quantization) = codes else {
            return Err(self.graph.unsupported(node, "inputs of float32, or codes of 8 bits with a scale"));
        };
        if let Content::Constant(bytes) = &tensor.content {
            let signed = tensor.dtype == ElementType::I8;
            let code = |&byte: &u8| if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
            let floats = bytes.iter().map(|byte| quantization.dequantize(code(byte)).to_le_bytes());
            let (name, shape, floats) = (tensor.name.clone(), tensor.shape.clone(), floats.collect::<Vec<_>>());
            return self.list(&name, ElementType::F32, shape, &floats);
        }
        let floats = Tensor { dtype: ElementType::F32, quantization: None, ..tensor.like() };
        let floats = self.graph.add(floats);
        self.write(node, Op::Dequantize, &[id], floats);
        Ok(floats)
    }
}
