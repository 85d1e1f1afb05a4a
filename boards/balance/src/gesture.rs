//! A second network beside the control loop: `models/gesture` classifies what the IMU feels, in slices.
//!
//! It was trained on a wrist, so what it calls the robot's motion means nothing; what it shows is that 315,200
//! multiply-accumulates run beside a control loop that keeps its period.

use crate::estimate::Reading;
use tealight::{Budget, Ops, Session};

/// Readings in a window, 50 a second.
pub const WINDOW: usize = 128;
/// Readings between the starts of two windows.
pub const STEP: usize = 64;
/// Acceleration along three axes, then rotation around them.
pub const CHANNELS: usize = 6;
/// Classes.
pub const CLASSES: usize = 7;
/// Control periods between two readings of the network.
pub const EVERY: u32 = 4;

/// The mean of each channel in the training data of `models/gesture`.
pub const MEAN: [f32; CHANNELS] = [-0.011, 0.385, -0.139, 0.021, -0.005, 0.016];
/// The standard deviation of each channel.
pub const DEVIATION: [f32; CHANNELS] = [0.934, 0.504, 0.566, 1.041, 2.594, 1.121];

/// Returns readings as the compiled network's input: normalized, times 32, rounded.
pub fn quantized(reading: [f32; CHANNELS]) -> [i8; CHANNELS] {
    let mut quantized = [0; CHANNELS];
    let channels = reading.into_iter().zip(MEAN.into_iter().zip(DEVIATION));
    for (to, (value, (mean, deviation))) in quantized.iter_mut().zip(channels) {
        let normalized = ((value - mean) / deviation).clamp(-4.0, 127.0 / 32.0);
        *to = libm::roundf(normalized * 32.0) as i8;
    }
    quantized
}

/// What a slice has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The maximum cost of the work in multiply-accumulates: the budget, or the longest row if that is more; 0 if there
    /// was nothing to do.
    pub cost: u64,
    /// The scores of the classes, if the inference has ended with it.
    pub scores: Option<[i8; CLASSES]>,
}

/// The network, its window, and how far its inference has come.
#[derive(Debug)]
pub struct Classifier<'m, O: Ops> {
    session: Session<'m, O>,
    budget: u64,
    /// The readings, of which `window[next]` is the oldest.
    window: [[i8; CHANNELS]; WINDOW],
    next: usize,
    /// Readings of the next window that are there.
    waiting: usize,
    periods: u32,
    /// Whether an inference is in progress.
    running: bool,
}

impl<'m, O: Ops> Classifier<'m, O> {
    /// Takes a session of the compiled network, and the cost that a slice may have; `None` if it is another network.
    pub fn new(mut session: Session<'m, O>, budget: u64) -> Option<Self> {
        let input = session.input(0)?.as_slice_mut::<i8>()?.len();
        let output = session.output(0)?.as_slice::<i8>()?.len();
        (input == WINDOW * CHANNELS && output == CLASSES).then_some(Self {
            session,
            budget,
            window: [[0; CHANNELS]; WINDOW],
            next: 0,
            waiting: 0,
            periods: 0,
            running: false,
        })
    }

    /// Takes the reading of a control period: every fourth is one of the network's.
    pub fn take(&mut self, reading: &Reading) {
        self.periods = self.periods.wrapping_add(1);
        if !self.periods.is_multiple_of(EVERY) {
            return;
        }
        let [ax, ay, az] = reading.acceleration;
        let [wx, wy, wz] = reading.rotation;
        if let Some(oldest) = self.window.get_mut(self.next) {
            *oldest = quantized([ax, ay, az, wx, wy, wz]);
        }
        self.next = if self.next + 1 < WINDOW { self.next + 1 } else { 0 };
        self.waiting = self.waiting.saturating_add(1);
    }

    /// Runs a slice, and begins an inference if there is a new window.
    pub fn poll(&mut self) -> Slice {
        if !self.running && !self.begin() {
            return Slice::default();
        }
        let model = self.session.model();
        let cost = self.budget.max(model.longest_row()).min(model.cost());
        self.running = self.session.poll(Budget::macs(self.budget)).is_pending();
        Slice { cost, scores: if self.running { None } else { self.scores() } }
    }

    /// Copies a window into the network's input; false if there is no new one.
    fn begin(&mut self) -> bool {
        if self.waiting < WINDOW {
            return false;
        }
        let Some(mut input) = self.session.input(0) else { return false };
        let Some(elements) = input.as_slice_mut::<i8>() else { return false };
        let (newest, oldest) = self.window.split_at(self.next.min(WINDOW));
        let readings = oldest.iter().chain(newest).flatten();
        elements.iter_mut().zip(readings).for_each(|(to, from)| *to = *from);
        // Of the next window, this many readings are there already.
        self.waiting -= STEP;
        self.running = true;
        true
    }

    fn scores(&self) -> Option<[i8; CLASSES]> {
        let output = self.session.output(0)?;
        let scores = output.as_slice::<i8>()?;
        <[i8; CLASSES]>::try_from(scores).ok()
    }
}
