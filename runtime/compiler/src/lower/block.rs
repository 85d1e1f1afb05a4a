//! Float fully connected layers whose weights are stored in blocks.

use super::Lowering;
use crate::error::Result;
use crate::graph::{ElementType, Node};
use tealight_format::Operator;
use tealight_format::ops::{BlockType, FullyConnectedBlock};
use tealight_kernels::block;

impl Lowering {
    /// Emits `node` with its weights in blocks, if that is asked for and its inputs are whole blocks; tells whether.
    pub(super) fn fully_connected_block(&mut self, node: &Node, activation: [f32; 2]) -> Result<bool> {
        let Some(block) = self.quantize else { return Ok(false) };
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let name = self.tensor(weights).name.clone();
        let &[units, depth] = &self.tensor(weights).shape[..] else {
            return Err(self.graph.invalid(node, "its weights are not of rank 2"));
        };
        if depth == 0 || !depth.is_multiple_of(block.elements()) {
            let elements = block.elements();
            self.quantized.push(format!("{name}: float32, its {depth} inputs are not blocks of {elements}"));
            return Ok(false);
        }
        let reals: Vec<f32> = self
            .constant(node, 1, ElementType::F32)?
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        if reals.iter().any(|real| !real.is_finite()) {
            return Err(self.graph.invalid(node, "its weights are not all finite, so they cannot be quantized"));
        }
        let bias = self.real_bias(node)?;
        let output = self.real_output(node)?;
        let row_bytes = depth / block.elements() * block.bytes();
        let mut bytes = vec![0; units as usize * row_bytes as usize];
        block::quantize(kernel_type(block), &reals, &mut bytes);
        let before = reals.len() * 4;
        let after = bytes.len();
        self.quantized.push(format!("{name}: {}, {before} B to {after} B", block.name()));
        let blocks = self.add_constant(weights, block.name(), ElementType::U8, vec![units, row_bytes], bytes);
        let operator = Operator::FullyConnectedBlock(FullyConnectedBlock { block: block as i32, activation });
        self.emit(node, operator, &[Some(input), Some(blocks), bias], output);
        Ok(true)
    }
}

/// The kernels' name of a type: they list them in the same order.
pub(crate) fn kernel_type(of: BlockType) -> block::BlockType {
    block::BlockType::ALL[of as usize]
}

#[cfg(test)]
mod tests {
    use super::kernel_type;
    use tealight_format::ops::BlockType;

    #[test]
    fn format_and_kernels_know_the_same_types() {
        for &of in BlockType::ALL {
            let kernel = kernel_type(of);
            assert_eq!(format!("{of:?}"), format!("{kernel:?}"));
            assert_eq!((of.elements() as usize, of.bytes() as usize), (kernel.block_len(), kernel.block_bytes()));
            assert_eq!(kernel_type(of.activations()), kernel.activations());
        }
    }
}
