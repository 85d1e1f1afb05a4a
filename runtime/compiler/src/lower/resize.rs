//! Resizes of images.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Node, TensorId};
use tealight_format::Operator;
use tealight_format::ops::{ResizeBilinear, ResizeBilinearF32, ResizeNearest};

impl Lowering<'_> {
    pub(super) fn resize_nearest(&mut self, node: &Node, align_corners: bool, half_pixel_centers: bool) -> Result<()> {
        let [input, output] = self.resized(node)?;
        let resize = ResizeNearest { align_corners, half_pixel_centers };
        self.emit(node, Operator::ResizeNearest(resize), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn resize_bilinear(&mut self, node: &Node, align_corners: bool, half_pixel_centers: bool) -> Result<()> {
        let [input, output] = self.resized(node)?;
        self.int8(node, input)?;
        self.int8(node, output)?;
        self.one_grid(node, align_corners, half_pixel_centers)?;
        let resize = ResizeBilinear { align_corners, half_pixel_centers };
        self.emit(node, Operator::ResizeBilinear(resize), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn resize_bilinear_f32(
        &mut self,
        node: &Node,
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Result<()> {
        let [input, output] = self.resized(node)?;
        self.output_f32(node)?;
        self.one_grid(node, align_corners, half_pixel_centers)?;
        let resize = ResizeBilinearF32 { align_corners, half_pixel_centers };
        self.emit(node, Operator::ResizeBilinearF32(resize), &[Some(input)], output);
        Ok(())
    }

    /// Returns the input and the output of a resize, whose height and width must be those that input 1 states.
    fn resized(&self, node: &Node) -> Result<[TensorId; 2]> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let size = self.graph.constant_integers(node, 1)?;
        let shape = &self.tensor(output).shape;
        if shape.len() != 4 || size != [i64::from(shape[1]), i64::from(shape[2])] {
            let what = format!("its size is {size:?}: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        Ok([input, output])
    }

    /// Checks that pixels are not placed by both rules, which TensorFlow Lite refuses too.
    fn one_grid(&self, node: &Node, align_corners: bool, half_pixel_centers: bool) -> Result<()> {
        if align_corners && half_pixel_centers {
            return Err(self.graph.invalid(node, "it has both aligned corners and half-pixel centres"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::diag::Result;
    use crate::ir::Op;
    use crate::ir::graph::Graph;
    use crate::testing::{Builder, lower, names};

    fn resized(size: [i32; 2], align_corners: bool, half_pixel_centers: bool) -> Result<Graph> {
        let mut b = Builder::default();
        let (x, size, y) = (b.input(&[1, 2, 3, 4]), b.ints(&size), b.int8(&[1, 5, 6, 4]));
        b.node(Op::ResizeBilinear { align_corners, half_pixel_centers }, &[x, size], &[y]);
        lower(b.output(y))
    }

    #[test]
    fn one_way_of_placing_pixels_is_accepted() {
        for (align_corners, half_pixel_centers) in [(false, false), (true, false), (false, true)] {
            let graph = resized([5, 6], align_corners, half_pixel_centers).unwrap();
            assert_eq!(names(&graph), ["ResizeBilinear"]);
        }
        let error = resized([5, 6], true, true).unwrap_err().to_string();
        assert!(error.contains("it has both aligned corners and half-pixel centres"), "{error}");
    }

    #[test]
    fn a_size_that_is_not_that_of_the_output_is_refused() {
        let error = resized([6, 5], false, false).unwrap_err().to_string();
        assert!(error.contains("its size is [6, 5]") && error.contains("int8[1, 5, 6, 4]"), "{error}");
    }
}
