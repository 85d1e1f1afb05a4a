//! Differentiable convolutions along the last dimension. Candle's own compute the same values, but their gradients take
//! many times the arithmetic: Candle splits a grouped convolution into one for each group, and computes the gradient of
//! the input by a transposed convolution. Here a depthwise convolution is a loop, and any other is a product of two
//! matrices.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Convolves `x` `[N, C, 1, W]` with `weight` `[O, C, 1, size]`, without padding: `[N, O, 1, (W - size) / stride + 1]`.
///
/// # Errors
/// If the shapes do not match.
pub fn conv1d(x: &Tensor, weight: &Tensor, stride: usize) -> Result<Tensor> {
    let (n, channels, _, _) = x.dims4()?;
    let (outputs, inputs, height, size) = weight.dims4()?;
    if (inputs, height) != (channels, 1) {
        bail!("conv1d: an input of {:?} does not fit weights of {:?}", x.shape(), weight.shape());
    }
    let windows = x.contiguous()?.apply_op1(Unfold { size, stride })?;
    let sums = windows.matmul(&weight.reshape((outputs, channels * size))?.t()?)?;
    sums.reshape((n, (), outputs))?.transpose(1, 2)?.contiguous()?.unsqueeze(2)
}

/// Unfolds each window of all channels of `[N, C, 1, W]` to a row: `[N * windows, C * size]`.
#[derive(Debug, Clone, Copy)]
struct Unfold {
    size: usize,
    stride: usize,
}

/// The gradient of [`Unfold`]: every element sums the gradients of its copies.
#[derive(Debug, Clone, Copy)]
struct Fold {
    unfold: Unfold,
    /// The dimensions of the input of [`Unfold`].
    dims: (usize, usize, usize, usize),
}

impl Unfold {
    /// Returns the number of windows in a row of this width.
    fn windows(self, width: usize) -> Result<usize> {
        if self.size == 0 || self.stride == 0 || width < self.size {
            bail!("conv1d: a window of {} with stride {} does not fit a width of {width}", self.size, self.stride);
        }
        Ok((width - self.size) / self.stride + 1)
    }

    /// Calls `each` with the start of every run of `size` elements, in the input and in the unfolded rows.
    fn runs(self, dims: (usize, usize, usize, usize), mut each: impl FnMut(usize, usize)) -> Result<()> {
        let (n, channels, _, width) = dims;
        let windows = self.windows(width)?;
        for picture in 0..n {
            for window in 0..windows {
                for channel in 0..channels {
                    let from = (picture * channels + channel) * width + window * self.stride;
                    each(from, ((picture * windows + window) * channels + channel) * self.size);
                }
            }
        }
        Ok(())
    }
}

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, width) = rows(x, layout)?;
        let (n, channels, height, _) = layout.shape().dims4()?;
        if height != 1 {
            bail!("conv1d: the height must be 1, not {:?}", layout.shape());
        }
        let shape = Shape::from((n * self.windows(width)?, channels * self.size));
        let mut out = vec![0f32; shape.elem_count()];
        self.runs((n, channels, 1, width), |from, to| {
            out[to..to + self.size].copy_from_slice(&x[from..from + self.size]);
        })?;
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let fold = Fold { unfold: *self, dims: x.dims4()? };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&fold)?))
    }
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (grad, _) = rows(grad, layout)?;
        let (size, shape) = (self.unfold.size, Shape::from(self.dims));
        let mut out = vec![0f32; shape.elem_count()];
        self.unfold.runs(self.dims, |to, from| {
            out[to..to + size].iter_mut().zip(&grad[from..from + size]).for_each(|(out, grad)| *out += grad);
        })?;
        Ok((CpuStorage::F32(out), shape))
    }
}

/// Convolves `x` `[N, C, 1, W]` with `weight` `[C, 1, 1, size]`, stride 1, without padding: `[N, C, 1, W - size + 1]`.
///
/// # Errors
/// If the shapes do not match.
pub fn depthwise_conv1d(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Kind::Forward)
}

/// The convolution and its two gradients. Each combines the rows (channel by channel) of two tensors; the second is the
/// weight, or the gradient of the output.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// From the input and the weight: the output.
    Forward,
    /// From the gradient of the output and the weight: the gradient of the input.
    Input,
    /// From the input and the gradient of the output: the gradient of the weight.
    Weight,
}

impl CustomOp2 for Kind {
    fn name(&self) -> &'static str {
        "depthwise-conv1d"
    }

    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        let [(a, wa), (b, wb)] = [rows(a, la)?, rows(b, lb)?];
        let (n, channels, height, _) = la.shape().dims4()?;
        let paired = match self {
            Self::Weight => lb.shape().dims4()? == (n, channels, 1, wb) && wb <= wa,
            Self::Input => lb.shape().dims4()? == (channels, 1, 1, wb),
            Self::Forward => lb.shape().dims4()? == (channels, 1, 1, wb) && wb <= wa,
        };
        if height != 1 || wb == 0 || !paired {
            bail!("depthwise_conv1d: an input of {:?} does not fit weights of {:?}", la.shape(), lb.shape());
        }
        let (dims, width) = match self {
            Self::Forward => ((n, channels, 1, wa + 1 - wb), wa + 1 - wb),
            Self::Input => ((n, channels, 1, wa + wb - 1), wa + wb - 1),
            Self::Weight => ((channels, 1, 1, wa + 1 - wb), wa + 1 - wb),
        };
        let shape = Shape::from(dims);
        let mut out = vec![0f32; shape.elem_count()];
        for row in 0..n * channels {
            let channel = row % channels;
            let a = &a[row * wa..][..wa];
            match self {
                Self::Forward => {
                    let out = &mut out[row * width..][..width];
                    for (tap, weight) in b[channel * wb..][..wb].iter().enumerate() {
                        out.iter_mut().zip(&a[tap..]).for_each(|(out, x)| *out += weight * x);
                    }
                }
                Self::Input => {
                    let out = &mut out[row * width..][..width];
                    for (tap, weight) in b[channel * wb..][..wb].iter().enumerate() {
                        out[tap..].iter_mut().zip(a).for_each(|(out, grad)| *out += weight * grad);
                    }
                }
                Self::Weight => {
                    let grads = &b[row * wb..][..wb];
                    for (tap, out) in out[channel * width..][..width].iter_mut().enumerate() {
                        *out += grads.iter().zip(&a[tap..]).map(|(grad, x)| grad * x).sum::<f32>();
                    }
                }
            }
        }
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let of_input = grad.apply_op2_no_bwd(weight, &Self::Input)?;
        let of_weight = x.apply_op2_no_bwd(&grad, &Self::Weight)?;
        Ok((Some(of_input), Some(of_weight)))
    }
}

/// Returns a contiguous tensor's elements and the length of its rows.
fn rows<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], usize)> {
    let width = layout.dims().last().copied().unwrap_or(0);
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(elements), Some((start, end))) => Ok((&elements[start..end], width)),
        _ => bail!("depthwise_conv1d: its tensors must be contiguous f32 on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use candle_core::{Device, Var};

    fn random(dims: [usize; 4], random: &mut Random) -> Var {
        let elements: Vec<f32> = (0..dims.iter().product()).map(|_| random.normal() as f32).collect();
        Var::from_vec(elements, &dims, &Device::Cpu).unwrap()
    }

    fn near(a: &Tensor, b: &Tensor) {
        assert_eq!(a.dims(), b.dims());
        let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < 1e-4, "{worst}");
    }

    /// Checks that two ways of computing an output also have the same gradients.
    fn agree(x: &Var, weight: &Var, ours: &Tensor, candles: &Tensor, source: &mut Random) {
        near(ours, candles);
        let (n, channels, height, width) = ours.dims4().unwrap();
        let outer = random([n, channels, height, width], source);
        let grads = |y: &Tensor| (y * outer.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
        let (ours, candles) = (grads(ours), grads(candles));
        near(ours.get(x).unwrap(), candles.get(x).unwrap());
        near(ours.get(weight).unwrap(), candles.get(weight).unwrap());
    }

    #[test]
    fn depthwise_values_and_gradients_match_candle() {
        let mut source = Random::new(3);
        for (n, channels, width, size) in [(1, 1, 1, 1), (3, 5, 9, 4), (2, 4, 7, 7), (4, 3, 20, 5)] {
            let x = random([n, channels, 1, width], &mut source);
            let weight = random([channels, 1, 1, size], &mut source);
            let ours = depthwise_conv1d(&x, &weight).unwrap();
            agree(&x, &weight, &ours, &x.conv2d(&weight, 0, 1, 1, channels).unwrap(), &mut source);
        }
    }

    #[test]
    fn values_and_gradients_match_candle() {
        let mut source = Random::new(4);
        for (n, inputs, outputs, width, size, stride) in
            [(1, 1, 1, 1, 1, 1), (3, 5, 2, 9, 1, 1), (2, 3, 6, 9, 5, 2), (2, 4, 3, 11, 3, 2)]
        {
            let x = random([n, inputs, 1, width], &mut source);
            let weight = random([outputs, inputs, 1, size], &mut source);
            let ours = conv1d(&x, &weight, stride).unwrap();
            agree(&x, &weight, &ours, &x.conv2d(&weight, 0, stride, 1, 1).unwrap(), &mut source);
        }
    }

    #[test]
    fn rejects_shapes_that_do_not_fit() {
        let mut source = Random::new(3);
        for (x, weight) in [([1, 2, 1, 4], [2, 1, 1, 5]), ([1, 2, 1, 4], [3, 1, 1, 2]), ([1, 2, 2, 4], [2, 1, 1, 2])] {
            let (x, weight) = (random(x, &mut source), random(weight, &mut source));
            assert!(depthwise_conv1d(&x, &weight).is_err());
            assert!(conv1d(&x, &weight, 1).is_err());
        }
    }
}
