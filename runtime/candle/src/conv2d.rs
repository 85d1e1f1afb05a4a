//! Conv2dF32: the windows of the image as rows of a matrix (im2col), times the weights as they are stored in the file.
//!
//! Weights OHWI are a matrix `[O, H * W * I]`, and a window of an NHWC image is a row of `H * W * I` elements. The
//! product `[pixels, O]` is therefore the NHWC output, and nothing is transposed.

use crate::product::MatrixProduct;
use crate::weights::{decoded, stored};
use tealight::Part;
use tealight_format::{Shape, ops};

/// The number of window elements that are copied at a time: 1 MiB.
const WINDOWS: usize = 1 << 18;

/// An image, and the geometry of the windows on it.
struct Windows<'s> {
    image: &'s [f32],
    /// Rows, columns, channels.
    size: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pad: [usize; 2],
    /// Rows and columns of the output.
    output: [usize; 2],
}

/// Appends the rows of `part` to `output`. A row of the operator is one line of pixels. Grouped convolutions are not
/// run by Candle.
pub(crate) fn conv2d_f32(op: &ops::Conv2dF32, part: &Part<'_>, output: &mut Vec<f32>) -> Option<()> {
    let (image, weights) = (part.input(0)?, part.input(1)?);
    let [_, height, width, channels] = nhwc(image.shape());
    let [_, kernel_h, kernel_w, depth] = nhwc(weights.shape());
    let [_, output_h, output_w, _] = nhwc(part.output().shape);
    if depth != channels {
        return None;
    }
    let windows = Windows {
        image: image.as_slice()?,
        size: [height, width, channels],
        kernel: [kernel_h, kernel_w],
        stride: op.stride.map(|x| x as usize),
        dilation: op.dilation.map(|x| x as usize),
        pad: op.pad.map(|x| x as usize),
        output: [output_h, output_w],
    };
    let product = MatrixProduct {
        all_rows: part.row_count() * output_w,
        inner: kernel_h * kernel_w * channels,
        weights: &decoded(stored(&weights)?),
        bias: part.input(2).and_then(|bias| bias.as_slice::<f32>()).unwrap_or(&[]),
        activation: op.activation,
    };
    let pixels = part.rows().start * output_w..part.rows().end * output_w;
    let mut matrix = Vec::new();
    for start in pixels.clone().step_by((WINDOWS / product.inner).max(1)) {
        let end = (start + (WINDOWS / product.inner).max(1)).min(pixels.end);
        matrix.clear();
        (start..end).for_each(|pixel| windows.append(pixel, &mut matrix));
        product.append(&matrix, output).ok()?;
    }
    Some(())
}

impl Windows<'_> {
    /// Appends the window of output pixel `pixel`, counted over all images, with zeros outside the image.
    fn append(&self, pixel: usize, matrix: &mut Vec<f32>) {
        let [height, width, channels] = self.size;
        let [output_h, output_w] = self.output;
        let image = pixel / (output_h * output_w) * height;
        let at = [pixel / output_w % output_h, pixel % output_w];
        let [top, left] = [0, 1].map(|i| at[i] * self.stride[i]);
        for tap_y in 0..self.kernel[0] {
            let y = inside(top + tap_y * self.dilation[0], self.pad[0], height);
            let mut tap_x = 0;
            while tap_x < self.kernel[1] {
                let x = inside(left + tap_x * self.dilation[1], self.pad[1], width);
                let (Some(y), Some(x)) = (y, x) else {
                    matrix.resize(matrix.len() + channels, 0.0);
                    tap_x += 1;
                    continue;
                };
                // Without dilation, neighbouring taps are contiguous.
                let taps = if self.dilation[1] == 1 { (self.kernel[1] - tap_x).min(width - x) } else { 1 };
                let from = ((image + y) * width + x) * channels;
                matrix.extend(&self.image[from..from + taps * channels]);
                tap_x += taps;
            }
        }
    }
}

/// Returns `at - pad` if that is in `0..end`.
fn inside(at: usize, pad: usize, end: usize) -> Option<usize> {
    at.checked_sub(pad).filter(|&at| at < end)
}

fn nhwc(shape: Shape) -> [usize; 4] {
    [0, 1, 2, 3].map(|i| shape.dim(i) as usize)
}
