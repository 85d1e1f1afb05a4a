//! The order of elements in Candle and in Tealight: images are `[N, C, H, W]` there and `[N, H, W, C]` here.
//!
//! Only the order differs. Weights are reordered once, when a model is traced; nothing is reordered when it runs. A
//! flattened image keeps Tealight's order, so the columns of the matrix that reads it are reordered.

use candle_core::{Result, bail};

/// The order of a traced value's elements, compared with Candle's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As in Candle.
    Same,
    /// An image `[N, C, H, W]` that is stored as `[N, H, W, C]`.
    ChannelsLast,
    /// `[N, C * H * W]` that is stored as `[N, H * W * C]`.
    Flat {
        /// C.
        channels: usize,
        /// H * W.
        pixels: usize,
    },
}

impl Layout {
    /// Returns the layout of a value of `dims` that was not flattened.
    pub fn of(dims: &[usize]) -> Self {
        if dims.len() == 4 { Self::ChannelsLast } else { Self::Same }
    }

    /// Returns the layout after flattening all dimensions but the first.
    pub fn flattened(self, dims: &[usize]) -> Self {
        match (self, dims) {
            // With one channel, or one pixel, the orders are the same.
            (Self::ChannelsLast, &[_, channels, h, w]) if channels > 1 && h * w > 1 => {
                Self::Flat { channels, pixels: h * w }
            }
            (Self::ChannelsLast, _) => Self::Same,
            (layout, _) => layout,
        }
    }

    /// Returns the rows of a matrix `[out, in]`, reordered for an input of this layout.
    pub fn columns(self, matrix: &[f32]) -> Vec<f32> {
        match self {
            Self::Flat { channels, pixels } => {
                matrix.chunks(channels * pixels).flat_map(|row| transposed(row, channels, pixels)).collect()
            }
            _ => matrix.to_vec(),
        }
    }
}

/// Returns Tealight's dimensions of a value with Candle's `dims`.
pub fn shape(dims: &[usize]) -> Vec<u32> {
    let order: &[usize] = if dims.len() == 4 { &[0, 2, 3, 1] } else { &[0, 1, 2, 3] };
    order.iter().take(dims.len()).map(|&axis| dims[axis] as u32).collect()
}

/// Reorders Candle's elements of one value of `dims` to Tealight's order, which is the input of a compiled model.
pub fn elements(data: &[f32], dims: &[usize]) -> Vec<f32> {
    match *dims {
        [_, channels, h, w] => data.chunks(channels * h * w).flat_map(|x| transposed(x, channels, h * w)).collect(),
        _ => data.to_vec(),
    }
}

/// Reorders convolution weights `[out, in, height, width]` to `[out, height, width, in]`, or to `[1, height, width,
/// out]` if they are depthwise (one input channel per group). Also returns the new dimensions.
pub fn kernel(data: &[f32], dims: &[usize], depthwise: bool) -> Result<(Vec<u32>, Vec<f32>)> {
    let &[outputs, inputs, height, width] = dims else { bail!("convolution weights {dims:?} are not of rank 4") };
    let taps = height * width;
    if depthwise {
        Ok((vec![1, height as u32, width as u32, outputs as u32], transposed(data, outputs, taps)))
    } else {
        let data = data.chunks(inputs * taps).flat_map(|kernel| transposed(kernel, inputs, taps)).collect();
        Ok((vec![outputs as u32, height as u32, width as u32, inputs as u32], data))
    }
}

/// Transposes a matrix of `rows` by `columns`.
fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|at| matrix[at % rows * columns + at / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_kernels_become_channels_last() {
        // Two channels of 1 x 3.
        assert_eq!(elements(&[1., 2., 3., 10., 20., 30.], &[1, 2, 1, 3]), [1., 10., 2., 20., 3., 30.]);
        assert_eq!(shape(&[1, 2, 4, 3]), [1, 4, 3, 2]);
        let (dims, data) = kernel(&[1., 2., 10., 20., 3., 4., 30., 40.], &[2, 2, 1, 2], false).unwrap();
        assert_eq!((dims, data), (vec![2, 1, 2, 2], vec![1., 10., 2., 20., 3., 30., 4., 40.]));
        let (dims, data) = kernel(&[1., 2., 3., 4.], &[2, 1, 1, 2], true).unwrap();
        assert_eq!((dims, data), (vec![1, 1, 2, 2], vec![1., 3., 2., 4.]));
    }

    #[test]
    fn a_matrix_can_follow_a_flattened_image() {
        let dims = [1, 2, 1, 3];
        let layout = Layout::of(&dims).flattened(&dims);
        assert_eq!(layout, Layout::Flat { channels: 2, pixels: 3 });
        let (x, row) = ([1., 2., 3., 4., 5., 6.], [1., 10., 100., 1e3, 1e4, 1e5]);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        assert_eq!(dot(&layout.columns(&row), &elements(&x, &dims)), dot(&row, &x));
        // Nothing changes for one channel, one pixel, or after a matrix.
        assert_eq!(Layout::of(&[1, 1, 4, 4]).flattened(&[1, 1, 4, 4]), Layout::Same);
        assert_eq!(Layout::of(&[1, 8, 1, 1]).flattened(&[1, 8, 1, 1]), Layout::Same);
        assert_eq!(Layout::of(&[1, 8]).flattened(&[1, 8]), Layout::Same);
    }
}
