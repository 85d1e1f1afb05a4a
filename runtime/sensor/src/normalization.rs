//! The value that a network expects for what a sensor measured.

/// The maximum number of channels of a sensor.
pub const MAX_CHANNELS: usize = 16;

/// A number for each channel of an input, or one for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerChannel {
    values: [f32; MAX_CHANNELS],
    count: usize,
}

impl PerChannel {
    /// One number for all channels.
    pub const fn all(value: f32) -> Self {
        Self { values: [value; MAX_CHANNELS], count: 1 }
    }

    /// A number for each channel, in their order; `None` if there are no numbers or more than [`MAX_CHANNELS`].
    pub fn each(numbers: &[f32]) -> Option<Self> {
        let mut values = [0.0; MAX_CHANNELS];
        values.get_mut(..numbers.len())?.copy_from_slice(numbers);
        (!numbers.is_empty()).then_some(Self { values, count: numbers.len() })
    }

    /// The number of a channel; 0 past the last.
    pub fn get(&self, channel: usize) -> f32 {
        let at = if self.count == 1 { 0 } else { channel };
        self.values.get(at).copied().unwrap_or(0.0)
    }

    /// The numbers: one, or one for each channel.
    pub fn as_slice(&self) -> &[f32] {
        self.values.get(..self.count).unwrap_or(&[])
    }

    /// Whether there is a number for each of `channels`.
    pub const fn is_for(&self, channels: usize) -> bool {
        self.count == 1 || self.count == channels
    }
}

/// The value that a network expects for a measured `x`: `(x - mean) / std`, by one f32 operation after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// What becomes 0.
    pub mean: PerChannel,
    /// By how much above the mean it becomes 1; above 0.
    pub std: PerChannel,
}

impl Normalization {
    /// The value for `x` in a channel.
    pub fn value(&self, x: f32, channel: usize) -> f32 {
        (x - self.mean.get(channel)) / self.std.get(channel)
    }

    /// Whether it has numbers for each of `channels`.
    pub const fn is_for(&self, channels: usize) -> bool {
        self.mean.is_for(channels) && self.std.is_for(channels)
    }
}
