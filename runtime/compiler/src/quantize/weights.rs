//! The int8 weights of a layer: symmetric, a scale for each output channel; and its int32 biases.

use crate::ir::graph::count_of;

/// The output channel of each weight, by the weight's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channels {
    /// The number of channels.
    pub(super) count: usize,
    /// The dimension of the weights that the channels belong to.
    pub(super) axis: usize,
    /// The number of weights of one channel.
    each: usize,
}

impl Channels {
    /// Returns the channels of weights of this `shape`; `None` if it is empty. The weights of a depthwise convolution
    /// are 1HWO, others OHWI or OI.
    pub(super) fn of(shape: &[u32], depthwise: bool) -> Option<Self> {
        let axis = if depthwise { 3 } else { 0 };
        let count = shape.get(axis).copied().unwrap_or(0) as usize;
        let all = count_of(shape);
        (count > 0 && all >= count).then(|| Self { count, axis, each: all / count })
    }

    /// Returns the channel of weight `index`: either the weights of a channel are contiguous, or those of a tap are
    /// (1HWO).
    pub(super) fn of_weight(&self, index: usize) -> usize {
        if self.axis == 0 { index / self.each } else { index % self.count }
    }
}

/// The int8 weights of a layer.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) bytes: Vec<i8>,
    pub(super) scales: Vec<f32>,
    channels: Channels,
    input_scale: f32,
}

impl Weights {
    /// Quantizes the weights `data`. There is a bias for each channel.
    pub(super) fn new(data: &[f32], bias: &[f32], input_scale: f32, channels: Channels) -> Self {
        let mut maxima = vec![0f32; bias.len()];
        for (index, weight) in data.iter().enumerate() {
            let channel = &mut maxima[channels.of_weight(index)];
            *channel = channel.max(weight.abs());
        }
        let scale = |(&maxima, &bias): (&f32, &f32)| {
            // Fine enough for the weights, and coarse enough for the bias to fit in int32 with room for the products.
            let scale = (maxima / 127.0).max(bias.abs() / (input_scale * (1 << 30) as f32));
            if scale >= f32::MIN_POSITIVE { scale } else { 1.0 }
        };
        let scales: Vec<f32> = maxima.iter().zip(bias).map(scale).collect();
        let quantize = |(index, weight): (usize, &f32)| {
            (f64::from(*weight) / f64::from(scales[channels.of_weight(index)])).round().clamp(-127.0, 127.0) as i8
        };
        Self { bytes: data.iter().enumerate().map(quantize).collect(), scales, channels, input_scale }
    }

    /// Returns the error of each weight.
    pub(super) fn errors(&self, data: &[f32]) -> Vec<f32> {
        let error = |(index, (weight, byte)): (usize, (&f32, &i8))| {
            self.scales[self.channels.of_weight(index)] * f32::from(*byte) - weight
        };
        data.iter().zip(&self.bytes).enumerate().map(error).collect()
    }

    /// Returns the biases less `shift`, as little-endian int32 in the scale of the products.
    pub(super) fn bias(&self, bias: &[f32], shift: Option<&Vec<f64>>) -> Vec<u8> {
        let quantize = |(channel, &bias): (usize, &f32)| {
            let shift = shift.map_or(0.0, |shift| shift[channel]);
            let scale = f64::from(self.input_scale) * f64::from(self.scales[channel]);
            ((f64::from(bias) - shift) / scale).round() as i32
        };
        bias.iter().enumerate().map(quantize).flat_map(i32::to_le_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_symmetric_and_each_channel_uses_its_own_scale() {
        let (data, bias) = ([0.5, -1.0, 100.0, 50.0, 0.0, 0.0], [0.0, 0.0, 7.0]);
        let channels = Channels::of(&[3, 2], false).unwrap();
        let weights = Weights::new(&data, &bias, 0.01, channels);
        assert_eq!(weights.bytes, [64, -127, 127, 64, 0, 0]);
        assert_eq!(weights.scales[..2], [1.0 / 127.0, 100.0 / 127.0]);
        // A channel of zeros still adds its bias.
        let biases = weights.bias(&bias, None);
        let last = i32::from_le_bytes([biases[8], biases[9], biases[10], biases[11]]);
        assert!((last as f32 * 0.01 * weights.scales[2] - 7.0).abs() < 1e-3);
    }

    #[test]
    fn the_channels_of_a_depthwise_convolution_stand_tap_by_tap() {
        let channels = Channels::of(&[1, 1, 2, 3], true).unwrap();
        assert_eq!((0..6).map(|index| channels.of_weight(index)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        assert_eq!(Channels::of(&[3], true), None);
        assert_eq!(Channels::of(&[0, 4], false), None);
    }
}
