//! The last frames in int8, as the input of a network.

/// Quantizes a logarithm of energy to int8 in steps of an eighth of an octave: `8 * (x + 2)`, rounded and clamped to
/// -128 to 127.
///
/// -128 is silence ([`crate::FLOOR`] alone), and a full-scale sine is near 127.
///
/// ```
/// assert_eq!([-18.0, -2.0, 0.0, 13.875].map(tealight_audio::quantized), [-128, 0, 16, 127]);
/// ```
pub fn quantized(log2: f32) -> i8 {
    // The cast saturates.
    libm::roundf((log2 + 2.0) * 8.0) as i8
}

/// The last `FRAMES` frames of `BANDS` bands, oldest first: the input `[1, 1, FRAMES, BANDS]` or `[1, FRAMES, BANDS,
/// 1]` of a network, `FRAMES * BANDS` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features<const FRAMES: usize, const BANDS: usize> {
    rows: [[i8; BANDS]; FRAMES],
}

impl<const FRAMES: usize, const BANDS: usize> Features<FRAMES, BANDS> {
    /// Starts with silence.
    pub const fn new() -> Self {
        Self { rows: [[i8::MIN; BANDS]; FRAMES] }
    }

    /// Resets all frames to silence.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Adds a frame of [`LogMel`](crate::LogMel) and drops the oldest.
    pub fn push(&mut self, frame: &[f32; BANDS]) {
        if FRAMES == 0 {
            return;
        }
        self.rows.rotate_left(1);
        if let Some(last) = self.rows.last_mut() {
            *last = frame.map(quantized);
        }
    }

    /// Returns all frames, oldest first.
    pub fn as_slice(&self) -> &[i8] {
        self.rows.as_flattened()
    }
}

impl<const FRAMES: usize, const BANDS: usize> Default for Features<FRAMES, BANDS> {
    fn default() -> Self {
        Self::new()
    }
}
