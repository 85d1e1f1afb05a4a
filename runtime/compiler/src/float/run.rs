//! Runs a float network, plainly: the reference that calibration and reports measure against.
//!
//! It is written for being right and needs no framework, so that a network can be quantized and its report be made
//! wherever the compiler runs. `tealight-models` tests it against Candle.

use super::{Constant, FloatError, Layer, Network, Node, Result, Value, Window};

impl Network {
    /// The input and what each node computes from it, by value.
    ///
    /// # Errors
    /// If the input is of another size.
    pub fn run(&self, input: &[f32]) -> Result<Vec<Vec<f32>>> {
        let expected = self.values[0].len();
        if input.len() != expected {
            let shape = self.values[0].shape.clone();
            return Err(FloatError::Input { found: input.len(), expected, shape });
        }
        let mut values = vec![input.to_vec()];
        for node in &self.nodes {
            let inputs: Vec<&[f32]> = node.inputs.iter().map(|&id| &values[id][..]).collect();
            let result = self.run_node(node, &node.layer, &inputs);
            values.push(result);
        }
        Ok(values)
    }

    /// What `layer`, in the place of `node`'s own, computes.
    pub(crate) fn run_node(&self, node: &Node, layer: &Layer, inputs: &[&[f32]]) -> Vec<f32> {
        let (from, to) = (&self.values[node.inputs[0]], &self.values[node.output]);
        let x = inputs[0];
        let each = |f: fn(f32) -> f32| x.iter().map(|&x| f(x)).collect();
        let both = |f: fn(f32, f32) -> f32| x.iter().zip(inputs[1]).map(|(&x, &y)| f(x, y)).collect();
        match layer {
            Layer::Conv2d { window, weights, bias } => conv_2d(x, from, to, window, weights, bias),
            Layer::DepthwiseConv2d { window, weights, bias } => depthwise(x, from, to, window, weights, bias),
            Layer::FullyConnected { weights, bias } => {
                let depth = weights.shape[1] as usize;
                let rows = |x| weights.data.chunks(depth).zip(bias).map(move |(row, bias)| bias + dot(row, x));
                x.chunks(depth).flat_map(rows).collect()
            }
            Layer::AvgPool2d { size, window } => {
                let mean = |taps: &mut dyn Iterator<Item = f32>| {
                    let (sum, count) = taps.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
                    sum / count
                };
                pool(x, from, to, *size, window, &mean)
            }
            Layer::MaxPool2d { size, window } => {
                let greatest = |taps: &mut dyn Iterator<Item = f32>| taps.fold(f32::NEG_INFINITY, f32::max);
                pool(x, from, to, *size, window, &greatest)
            }
            Layer::Add => both(|x, y| x + y),
            Layer::Mul => both(|x, y| x * y),
            Layer::Relu => each(|x| x.max(0.0)),
            Layer::Relu6 => each(|x| x.clamp(0.0, 6.0)),
            Layer::Logistic => each(|x| 1.0 / (1.0 + (-x).exp())),
            Layer::Tanh => each(f32::tanh),
            Layer::HardSwish => each(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            Layer::Softmax => {
                let depth = from.shape.last().map_or(1, |&dim| dim as usize).max(1);
                x.chunks(depth).flat_map(softmax).collect()
            }
            Layer::Reshape { .. } => x.to_vec(),
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn softmax(x: &[f32]) -> Vec<f32> {
    let greatest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = x.iter().map(|x| (x - greatest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The four dimensions of a picture.
fn dims(value: &Value) -> [usize; 4] {
    match value.shape[..] {
        [n, h, w, c] => [n, h, w, c].map(|dim| dim as usize),
        _ => [0; 4],
    }
}

/// The input row or column that tap `tap` of output `at` reads, if it is not in the padding.
fn tap(at: usize, tap: usize, window: &Window, axis: usize, limit: usize) -> Option<usize> {
    let [stride, dilation] = [window.stride, window.dilation].map(|pair| pair[axis] as usize);
    let pad = window.pad[axis] as usize;
    (at * stride + tap * dilation).checked_sub(pad).filter(|&place| place < limit)
}

fn conv_2d(x: &[f32], from: &Value, to: &Value, window: &Window, weights: &Constant, bias: &[f32]) -> Vec<f32> {
    let ([_, h, w, c], [n, oh, ow, o]) = (dims(from), dims(to));
    let [height, width, depth] = [1, 2, 3].map(|axis| weights.shape[axis] as usize);
    // Outputs of group g read the g-th `depth` of the input's channels.
    let outputs_per_group = o / (c / depth);
    let mut y = Vec::with_capacity(n * oh * ow * o);
    for (batch, row, column) in positions(n, oh, ow) {
        for (channel, &start) in bias.iter().enumerate() {
            let first = channel / outputs_per_group * depth;
            let mut sum = start;
            for i in 0..height {
                let Some(r) = tap(row, i, window, 0, h) else { continue };
                for j in 0..width {
                    let Some(k) = tap(column, j, window, 1, w) else { continue };
                    let at = ((batch * h + r) * w + k) * c + first;
                    let from = ((channel * height + i) * width + j) * depth;
                    sum += dot(&weights.data[from..from + depth], &x[at..at + depth]);
                }
            }
            y.push(sum);
        }
    }
    y
}

fn depthwise(x: &[f32], from: &Value, to: &Value, window: &Window, weights: &Constant, bias: &[f32]) -> Vec<f32> {
    let ([_, h, w, c], [n, oh, ow, o]) = (dims(from), dims(to));
    let [height, width] = [1, 2].map(|axis| weights.shape[axis] as usize);
    let multiplier = o / c;
    let mut y = Vec::with_capacity(n * oh * ow * o);
    for (batch, row, column) in positions(n, oh, ow) {
        for (channel, &start) in bias.iter().enumerate() {
            let mut sum = start;
            for i in 0..height {
                let Some(r) = tap(row, i, window, 0, h) else { continue };
                for j in 0..width {
                    let Some(k) = tap(column, j, window, 1, w) else { continue };
                    sum += weights.data[(i * width + j) * o + channel]
                        * x[((batch * h + r) * w + k) * c + channel / multiplier];
                }
            }
            y.push(sum);
        }
    }
    y
}

fn pool(
    x: &[f32],
    from: &Value,
    to: &Value,
    [height, width]: [u32; 2],
    window: &Window,
    reduce: &dyn Fn(&mut dyn Iterator<Item = f32>) -> f32,
) -> Vec<f32> {
    let ([_, h, w, c], [n, oh, ow, _]) = (dims(from), dims(to));
    let mut y = Vec::with_capacity(n * oh * ow * c);
    for (batch, row, column) in positions(n, oh, ow) {
        for channel in 0..c {
            let place = |(i, j)| {
                let (r, k) = (tap(row, i, window, 0, h)?, tap(column, j, window, 1, w)?);
                Some(((batch * h + r) * w + k) * c + channel)
            };
            let taps = (0..height as usize).flat_map(|i| (0..width as usize).map(move |j| (i, j)));
            y.push(reduce(&mut taps.filter_map(place).map(|place| x[place])));
        }
    }
    y
}

fn positions(n: usize, h: usize, w: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..n).flat_map(move |n| (0..h).flat_map(move |h| (0..w).map(move |w| (n, h, w))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(shape: &[u32], layer: Layer, x: &[f32]) -> Vec<f32> {
        let mut network = Network::new("x", shape).unwrap();
        let y = network.add("y", layer, &[0]).unwrap();
        network.run(x).unwrap().swap_remove(y)
    }

    #[test]
    fn a_convolution_counts_its_padding_as_zero() {
        let window = Window { pad: [1; 4], ..Window::default() };
        let weights = Constant::new(&[1, 3, 3, 1], vec![1.0; 9]);
        let y = one(&[1, 2, 2, 1], Layer::Conv2d { window, weights, bias: vec![0.5] }, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(y, [10.5; 4]);
    }

    #[test]
    fn groups_read_their_own_channels() {
        let weights = Constant::new(&[2, 1, 1, 1], vec![10.0, 100.0]);
        let layer = Layer::Conv2d { window: Window::default(), weights, bias: vec![0.0; 2] };
        assert_eq!(one(&[1, 1, 1, 2], layer, &[1.0, 2.0]), [10.0, 200.0]);
        let weights = Constant::new(&[1, 1, 1, 4], vec![1.0, 2.0, 3.0, 4.0]);
        let layer = Layer::DepthwiseConv2d { window: Window::default(), weights, bias: vec![0.0; 4] };
        assert_eq!(one(&[1, 1, 1, 2], layer, &[1.0, 10.0]), [1.0, 2.0, 30.0, 40.0]);
    }

    #[test]
    fn pools_and_activations_are_as_defined() {
        let x = [-1.0, 2.0, 3.0, 8.0];
        let (size, window) = ([2; 2], Window::default());
        assert_eq!(one(&[1, 2, 2, 1], Layer::AvgPool2d { size, window }, &x), [3.0]);
        assert_eq!(one(&[1, 2, 2, 1], Layer::MaxPool2d { size, window }, &x), [8.0]);
        // The padding counts nothing.
        let window = Window { stride: [1, 2], pad: [0, 0, 1, 0], ..window };
        assert_eq!(one(&[1, 2, 2, 1], Layer::AvgPool2d { size, window }, &x), [3.0, 5.5]);
        assert_eq!(one(&[1, 2, 2, 1], Layer::MaxPool2d { size, window }, &x), [8.0, 8.0]);
        assert_eq!(one(&[1, 4], Layer::Relu6, &x), [0.0, 2.0, 3.0, 6.0]);
        assert_eq!(one(&[1, 4], Layer::HardSwish, &x), [-1.0 / 3.0, 5.0 / 3.0, 3.0, 8.0]);
        let sum: f32 = one(&[1, 4], Layer::Softmax, &x).iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn an_input_of_another_size_is_refused() {
        let network = Network::new("x", &[1, 3]).unwrap();
        assert!(network.run(&[1.0]).unwrap_err().to_string().contains("takes 3"));
    }
}
