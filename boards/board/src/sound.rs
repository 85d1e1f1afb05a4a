//! Inputs from sound: computes a model's features from samples.

use crate::Board;
use crate::bytes::write_all;
use crate::input::{Failure, InputSource, next};
use crate::log::emit;
use tealight::{Ops, Session};
use tealight_audio::{Features, HOP, LogMel, SAMPLE_RATE};

/// The number of samples read at a time, as from a microphone's buffer: 20 ms.
const PIECE: usize = HOP;

/// The audio front end: it converts each second of 16 kHz samples to `FRAMES` frames of `BANDS` bands, with the code
/// that computed the features for training.
///
/// The board's input holds seconds of i16 samples. The features of each second are written to the board's output before
/// the model's outputs, so the host can compare them too.
#[derive(Debug)]
pub struct Sound<const FRAMES: usize, const BANDS: usize> {
    log_mel: LogMel<BANDS>,
    features: Features<FRAMES, BANDS>,
}

impl<const FRAMES: usize, const BANDS: usize> Sound<FRAMES, BANDS> {
    /// Creates it, before the first second.
    pub const fn new() -> Self {
        Self { log_mel: LogMel::new(), features: Features::new() }
    }
}

impl<const FRAMES: usize, const BANDS: usize> Default for Sound<FRAMES, BANDS> {
    fn default() -> Self {
        Self::new()
    }
}

/// The audio front end, and its samples if they are built into the image.
pub(crate) struct AudioInput<'a, const FRAMES: usize, const BANDS: usize> {
    pub(crate) sound: &'a mut Sound<FRAMES, BANDS>,
    pub(crate) embedded: Option<&'static [u8]>,
}

impl<const FRAMES: usize, const BANDS: usize> InputSource for AudioInput<'_, FRAMES, BANDS> {
    fn fill<B: Board, O: Ops>(&mut self, board: &mut B, session: &mut Session<'_, O>) -> Result<bool, Failure> {
        let Sound { log_mel, features } = &mut *self.sound;
        log_mel.reset();
        features.reset();
        let (mut bytes, mut samples, mut ticks) = ([0; 2 * PIECE], [0; PIECE], 0_u32);
        for piece in 0..SAMPLE_RATE / PIECE {
            let read = next(board, &mut self.embedded, &mut bytes)?;
            if read == 0 && piece == 0 {
                return Ok(false);
            }
            if read != bytes.len() {
                return Err(Failure::InputTruncated);
            }
            for (sample, bytes) in samples.iter_mut().zip(bytes.as_chunks().0) {
                *sample = i16::from_le_bytes(*bytes);
            }
            let start = board.ticks();
            log_mel.push(&samples, |frame| features.push(frame));
            ticks = ticks.wrapping_add(board.ticks().wrapping_sub(start));
        }
        emit!("tealight front_end_ticks={}", ticks);
        let mut input = session.input(0).ok_or(Failure::Features)?;
        input.copy_from(features.as_slice()).map_err(|_| Failure::Features)?;
        let sink = board.output().ok_or(Failure::NoOutput)?;
        if !write_all(sink, input.as_bytes()) {
            return Err(Failure::OutputWrite);
        }
        Ok(true)
    }
}
