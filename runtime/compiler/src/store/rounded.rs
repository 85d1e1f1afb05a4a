//! The weights of a layer rounded to int8 or int4: symmetric, a scale for each output channel; and its biases, int32 or
//! int64.

use crate::ir::graph::{ElementType, count_of};

/// The output channel of each weight, by the weight's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Channels {
    /// The number of channels.
    pub(crate) count: usize,
    /// The dimension of the weights that the channels belong to.
    pub(crate) axis: usize,
    /// The number of weights of one channel.
    each: usize,
}

impl Channels {
    /// Returns the channels of weights of this `shape`; `None` if it is empty. The weights of a depthwise convolution
    /// are 1HWO, others OHWI or OI.
    pub(crate) fn of(shape: &[u32], depthwise: bool) -> Option<Self> {
        let axis = if depthwise { 3 } else { 0 };
        let count = shape.get(axis).copied().unwrap_or(0) as usize;
        let all = count_of(shape);
        (count > 0 && all >= count).then(|| Self { count, axis, each: all / count })
    }

    /// Returns the channel of weight `index`: either the weights of a channel are contiguous, or those of a tap are
    /// (1HWO).
    pub(crate) fn of_weight(&self, index: usize) -> usize {
        if self.axis == 0 { index / self.each } else { index % self.count }
    }
}

/// The rounded weights of a layer.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) bytes: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    channels: Channels,
    input_scale: f32,
    bias_type: ElementType,
}

/// The base-2 logarithm of the largest bias, which leaves the products room in the sum.
const LARGEST_BIAS: [(ElementType, i32); 2] = [(ElementType::I32, 30), (ElementType::I64, 38)];

impl Weights {
    /// Rounds the weights `data` to `dtype`, int8 or int4. There is a bias for each channel, of type `bias_type`: int32 or
    /// int64.
    ///
    /// An int8 scale is that of the largest weight. With the few codes of int4, clamping the largest weights may cost
    /// less than a coarser scale: of some scales, the one with the smallest error is taken.
    pub(crate) fn new(
        data: &[f32],
        bias: &[f32],
        input_scale: f32,
        channels: Channels,
        dtype: ElementType,
        bias_type: ElementType,
    ) -> Self {
        let largest_bias = LARGEST_BIAS.into_iter().find(|(of, _)| *of == bias_type).map_or(30, |(_, log)| log);
        let max = if dtype == ElementType::I4 { 7.0 } else { 127.0 };
        let mut maxima = vec![0f32; bias.len()];
        for (index, weight) in data.iter().enumerate() {
            let channel = &mut maxima[channels.of_weight(index)];
            *channel = channel.max(weight.abs());
        }
        let scale = |(&maxima, &bias): (&f32, &f32)| {
            // Fine enough for the weights, and coarse enough for the bias to fit in its type with room for the products.
            let scale = (maxima / max).max(bias.abs() / (input_scale * (largest_bias as f32).exp2()));
            if scale >= f32::MIN_POSITIVE { scale } else { 1.0 }
        };
        let code = |weight: f32, scale: f32| {
            (f64::from(weight) / f64::from(scale)).round().clamp(-f64::from(max), f64::from(max)) as i8
        };
        let mut scales: Vec<f32> = maxima.iter().zip(bias).map(scale).collect();
        if dtype == ElementType::I4 {
            let mut best = vec![f64::INFINITY; scales.len()];
            for twentieths in (12..=20).rev() {
                let reduced = maxima.iter().map(|maximum| maximum * twentieths as f32 / 20.0);
                let tried: Vec<f32> = reduced.zip(bias).map(|(maximum, bias)| scale((&maximum, bias))).collect();
                let mut errors = vec![0f64; scales.len()];
                for (index, &weight) in data.iter().enumerate() {
                    let channel = channels.of_weight(index);
                    let rounded = f64::from(tried[channel]) * f64::from(code(weight, tried[channel]));
                    errors[channel] += (rounded - f64::from(weight)).powi(2);
                }
                for (channel, error) in errors.into_iter().enumerate() {
                    if error < best[channel] {
                        (best[channel], scales[channel]) = (error, tried[channel]);
                    }
                }
            }
        }
        let bytes = data.iter().enumerate().map(|(index, &weight)| code(weight, scales[channels.of_weight(index)]));
        Self { bytes: bytes.collect(), scales, channels, input_scale, bias_type }
    }

    /// Returns the error of each weight.
    pub(crate) fn errors(&self, data: &[f32]) -> Vec<f32> {
        let error = |(index, (weight, byte)): (usize, (&f32, &i8))| {
            self.scales[self.channels.of_weight(index)] * f32::from(*byte) - weight
        };
        data.iter().zip(&self.bytes).enumerate().map(error).collect()
    }

    /// Returns the biases less `shift`, as little-endian integers in the scale of the products.
    pub(crate) fn bias(&self, bias: &[f32], shift: Option<&Vec<f64>>) -> Vec<u8> {
        let quantize = |(channel, &bias): (usize, &f32)| {
            let shift = shift.map_or(0.0, |shift| shift[channel]);
            let scale = f64::from(self.input_scale) * f64::from(self.scales[channel]);
            ((f64::from(bias) - shift) / scale).round()
        };
        let codes = bias.iter().enumerate().map(quantize);
        match self.bias_type {
            ElementType::I64 => codes.flat_map(|code| (code as i64).to_le_bytes()).collect(),
            _ => codes.flat_map(|code| (code as i32).to_le_bytes()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_symmetric_and_each_channel_uses_its_own_scale() {
        let (data, bias) = ([0.5, -1.0, 100.0, 50.0, 0.0, 0.0], [0.0, 0.0, 7.0]);
        let channels = Channels::of(&[3, 2], false).unwrap();
        let weights = Weights::new(&data, &bias, 0.01, channels, ElementType::I8, ElementType::I32);
        assert_eq!(weights.bytes, [64, -127, 127, 64, 0, 0]);
        assert_eq!(weights.scales[..2], [1.0 / 127.0, 100.0 / 127.0]);
        // A channel of zeros still adds its bias.
        let biases = weights.bias(&bias, None);
        let last = i32::from_le_bytes([biases[8], biases[9], biases[10], biases[11]]);
        assert!((last as f32 * 0.01 * weights.scales[2] - 7.0).abs() < 1e-3);
    }

    #[test]
    fn a_bias_of_64_bits_needs_no_coarser_weights() {
        let (data, bias) = ([0.5, -1.0], [1e4]);
        let channels = Channels::of(&[1, 2], false).unwrap();
        let weights = |of| Weights::new(&data, &bias, 1e-4, channels, ElementType::I8, of);
        let [narrow, wide] = [ElementType::I32, ElementType::I64].map(weights);
        assert!(narrow.scales[0] > 1.1 / 127.0, "{narrow:?}");
        assert_eq!(wide.scales, [1.0 / 127.0]);
        let bytes = wide.bias(&bias, None);
        let code = i64::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(code, (1e4 / (f64::from(1e-4f32) * f64::from(1.0f32 / 127.0))).round() as i64);
    }

    #[test]
    fn int4_weights_clamp_a_channels_largest_where_that_costs_less() {
        // The first channel's weights are all near its largest; the second has one that is far from the others.
        let mut data = vec![1.0, 0.9, -0.95, 1.0, 0.85, -0.9, 0.95, -1.0];
        data.extend([0.25, -0.75, 1.25, 0.75, -1.25, -0.25, 1.75, 1.9]);
        let channels = Channels::of(&[2, 8], false).unwrap();
        let weights = Weights::new(&data, &[0.0; 2], 0.01, channels, ElementType::I4, ElementType::I32);
        assert!(weights.bytes.iter().all(|code| (-7..=7).contains(code)), "{weights:?}");
        assert!(weights.scales[1] < 1.9 / 7.0, "{weights:?}");
        let total = |weights: &Weights| weights.errors(&data).iter().map(|error| error * error).sum::<f32>();
        let mut plain = Weights::new(&data, &[0.0; 2], 0.01, channels, ElementType::I4, ElementType::I32);
        plain.scales = vec![1.0 / 7.0, 1.9 / 7.0];
        plain.bytes = data.iter().enumerate().map(|(i, w)| (w / plain.scales[i / 8]).round() as i8).collect();
        assert!(total(&weights) < total(&plain));
    }

    #[test]
    fn the_channels_of_a_depthwise_convolution_stand_tap_by_tap() {
        let channels = Channels::of(&[1, 1, 2, 3], true).unwrap();
        assert_eq!((0..6).map(|index| channels.of_weight(index)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        assert_eq!(Channels::of(&[3], true), None);
        assert_eq!(Channels::of(&[0, 4], false), None);
    }
}
