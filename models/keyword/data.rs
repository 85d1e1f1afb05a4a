//! Seconds of sound: words at random positions, near or far, in a quiet or a noisy place, and their features.

use super::voices::{self, Engine, Utterance};
use super::{BANDS, FRAMES, SAMPLES, SILENCE, UNKNOWN, sound, speech};
use crate::progress::Bar;
use crate::random::Random;
use anyhow::{Result, bail};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tealight_audio::{Features, LogMel};

/// The number of scenes for each training word.
const SCENES: usize = 3;
/// The number of scenes without speech per hundred with speech.
const SILENT: usize = 8;

/// The int8 features of a second, frame by frame.
pub type Second = Vec<i8>;

/// Features and their class.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// [`FRAMES`] times [`BANDS`].
    pub features: Second,
    /// As in [`LABELS`](super::LABELS).
    pub class: usize,
}

/// The source of held-out sound, in groups that are measured separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The program that synthesized the speech; `None` for silence.
    pub engine: Option<Engine>,
    /// Whether there is noise, echo and the like.
    pub noisy: bool,
}

/// A held-out second.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// 16 kHz samples.
    pub samples: Vec<i16>,
    /// As in [`LABELS`](super::LABELS).
    pub class: usize,
    /// Its source.
    pub group: Group,
}

/// Returns the features of a second of samples, by the firmware's own code.
pub fn features(samples: &[i16]) -> Second {
    let mut features = Features::<FRAMES, BANDS>::new();
    LogMel::<BANDS>::new().push(samples, |frame| features.push(frame));
    features.as_slice().to_vec()
}

/// Returns the training data.
///
/// # Errors
/// If speech cannot be synthesized.
pub fn training(cache: &Path) -> Result<Vec<Example>> {
    let utterances = voices::training();
    let clips = speech::synthesize(cache, "training", &utterances)?;
    let voices = others(&utterances, &clips);
    let silent = utterances.len() * SCENES * SILENT / 100;
    let count = utterances.len() * SCENES + silent;
    in_parallel("creating training scenes", count, |index| {
        let mut random = Random::new(0x5EED_0000 + index as u64);
        let scene = Scene { noisy: random.unit() < 0.65, min_snr: 0.0, max_snr: 30.0 };
        let (word, class) = match index.checked_sub(silent) {
            Some(spoken) => (Some(&*clips[spoken / SCENES]), utterances[spoken / SCENES].class),
            None => (None, SILENCE),
        };
        Example { features: features(&scene.compose(word, &voices, &mut random)), class }
    })
}

/// Returns the held-out data, in an order in which every part resembles the whole.
///
/// # Errors
/// If speech cannot be synthesized.
pub fn held_out(cache: &Path) -> Result<Vec<HeldOut>> {
    let utterances = voices::held_out();
    let clips = speech::synthesize(cache, "held-out", &utterances)?;
    let voices = others(&utterances, &clips);
    let silent = utterances.len() * SILENT / 100;
    let mut seconds = in_parallel("creating held-out scenes", utterances.len() + silent, |index| {
        let mut random = Random::new(0xE7A1_0000 + index as u64);
        let noisy = random.unit() < 0.5;
        let scene = Scene { noisy, min_snr: 0.0, max_snr: 20.0 };
        let (word, class, engine) = match index.checked_sub(silent) {
            Some(spoken) => (Some(&*clips[spoken]), utterances[spoken].class, Some(utterances[spoken].engine)),
            None => (None, SILENCE, None),
        };
        HeldOut { samples: scene.compose(word, &voices, &mut random), class, group: Group { engine, noisy } }
    })?;
    Random::new(3).shuffle(&mut seconds);
    Ok(seconds)
}

/// Returns the clips that are not keywords, for babble.
fn others(utterances: &[Utterance], clips: &[Vec<i16>]) -> Vec<Vec<i16>> {
    utterances.iter().zip(clips).filter(|(one, _)| one.class == UNKNOWN).map(|(_, clip)| clip.clone()).collect()
}

/// The surroundings of a word.
#[derive(Debug, Clone, Copy)]
struct Scene {
    noisy: bool,
    /// The range of the signal-to-noise ratio, in dB.
    min_snr: f64,
    max_snr: f64,
}

impl Scene {
    /// Returns a second of sound that contains the whole word, if any, at a random position.
    fn compose(self, word: Option<&[i16]>, voices: &[Vec<i16>], random: &mut Random) -> Vec<i16> {
        let mut sound = vec![0.0; SAMPLES];
        // The root mean square of the word, or of noise alone.
        let level = amplitude(random.between(-36.0, -10.0));
        if let Some(word) = word {
            self.insert(word, level, &mut sound, random);
        }
        if self.noisy {
            let (below, voices) = match word {
                Some(_) => (random.between(self.min_snr, self.max_snr), voices),
                None => (random.between(-10.0, 40.0), &[][..]),
            };
            let gain = level * amplitude(-below) / FULL;
            let noise = sound::noise(SAMPLES, voices, random);
            sound.iter_mut().zip(noise).for_each(|(x, noise)| *x += gain * noise);
            if random.unit() < 0.15 {
                let gain = random.between(2.0, 8.0) as f32;
                sound.iter_mut().for_each(|x| *x *= gain);
            }
        } else {
            // The converter's own noise.
            let gain = random.between(0.0, 3.0) as f32;
            sound.iter_mut().for_each(|x| *x += gain * random.normal() as f32);
        }
        // A cast saturates, as a converter clips.
        sound.into_iter().map(|x| x.round() as i16).collect()
    }

    fn insert(self, word: &[i16], level: f32, sound: &mut Vec<f32>, random: &mut Random) {
        let mut word: Vec<f32> = word.iter().take(SAMPLES).map(|&sample| f32::from(sample)).collect();
        if self.noisy && random.unit() < 0.7 {
            word = sound::coloured(&word, random);
        }
        let gain = level / sound::power(&word).sqrt().max(1.0);
        let start = random.below(SAMPLES - word.len() + 1);
        sound[start..].iter_mut().zip(&word).for_each(|(x, sample)| *x = gain * sample);
        if self.noisy && random.unit() < 0.5 {
            *sound = sound::echo(sound, random);
        }
    }
}

/// Returns the maximum amplitude.
const FULL: f32 = 32_768.0;

/// Returns the amplitude of a level in dB below full scale.
fn amplitude(decibels: f64) -> f32 {
    FULL * 10f64.powf(decibels / 20.0) as f32
}

/// Computes `count` results on all processors, in order.
fn in_parallel<T: Send>(what: &str, count: usize, make: impl Fn(usize) -> T + Sync) -> Result<Vec<T>> {
    let bar = Bar::new(what, count);
    let (next, workers) = (AtomicUsize::new(0), std::thread::available_parallelism().map_or(1, usize::from));
    let work = || {
        let mut made = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return made;
            }
            made.push((index, make(index)));
            bar.step(index);
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut made = Vec::with_capacity(count);
    for part in parts {
        match part {
            Ok(part) => made.extend(part),
            Err(_) => bail!("{what}: a thread panicked"),
        }
    }
    made.sort_by_key(|(index, _)| *index);
    bar.finish();
    Ok(made.into_iter().map(|(_, one)| one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word of half a second: a tone.
    fn word() -> Vec<i16> {
        (0..8_000).map(|n| (8_000.0 * (n as f32 * 0.3).sin()) as i16).collect()
    }

    #[test]
    fn a_seed_determines_a_scene() {
        let scene = Scene { noisy: true, min_snr: 0.0, max_snr: 20.0 };
        for seed in 0..30 {
            let once = scene.compose(Some(&word()), &[word()], &mut Random::new(seed));
            assert_eq!(once.len(), SAMPLES);
            assert_eq!(once, scene.compose(Some(&word()), &[word()], &mut Random::new(seed)));
            assert_ne!(once, scene.compose(Some(&word()), &[word()], &mut Random::new(seed + 1)));
        }
    }

    #[test]
    fn a_quiet_scene_contains_the_whole_word_and_nothing_else() {
        let scene = Scene { noisy: false, min_snr: 0.0, max_snr: 20.0 };
        for seed in 0..30 {
            let second = scene.compose(Some(&word()), &[], &mut Random::new(seed));
            let loud: Vec<usize> = (0..SAMPLES).filter(|&at| second[at].abs() > 60).collect();
            let [first, last] = [loud[0], loud[loud.len() - 1]];
            assert!((7_900..=8_000).contains(&(last - first)), "seed {seed}: {first} to {last}");
            let silence = scene.compose(None, &[], &mut Random::new(seed));
            assert!(silence.iter().all(|sample| sample.abs() < 20));
        }
    }

    #[test]
    fn a_word_longer_than_a_second_is_cut() {
        let scene = Scene { noisy: false, min_snr: 0.0, max_snr: 20.0 };
        assert_eq!(scene.compose(Some(&word().repeat(3)), &[], &mut Random::new(1)).len(), SAMPLES);
    }

    #[test]
    fn results_are_in_order() {
        assert_eq!(in_parallel("counting", 1_000, |index| index).unwrap(), (0..1_000).collect::<Vec<_>>());
    }
}
