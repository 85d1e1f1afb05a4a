//! Augmentation of words: noise, echo, filters, gain, clipping. Samples are f32 in the range of i16.

use crate::random::Random;
use std::f32::consts::TAU;
use tealight_audio::SAMPLE_RATE;

/// The number of kinds of noise; babble, a further one, consists of speech.
const NOISES: usize = 6;

/// Returns noise of a random kind with mean square 1: white, pink, brown, hum, engine, clicks, or babble if there are
/// `voices`.
pub fn noise(length: usize, voices: &[Vec<i16>], random: &mut Random) -> Vec<f32> {
    let kinds = if voices.is_empty() { NOISES } else { NOISES + 2 };
    let mut noise = match random.below(kinds) {
        0 => white(length, random),
        1 => pink(length, random),
        2 => brown(length, random),
        3 => hum(length, random),
        4 => engine(length, random),
        5 => clicks(length, random),
        _ => babble(length, voices, random),
    };
    let power = power(&noise);
    if power > 0.0 {
        noise.iter_mut().for_each(|x| *x /= power.sqrt());
    }
    noise
}

/// Returns the mean square.
pub fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32
}

fn white(length: usize, random: &mut Random) -> Vec<f32> {
    (0..length).map(|_| random.normal() as f32).collect()
}

/// Pink noise: three poles and zeros approximate power that falls with frequency (P. Kellet's filter).
fn pink(length: usize, random: &mut Random) -> Vec<f32> {
    let mut b = [0.0_f32; 3];
    let one = |x: f32| {
        b[0] = 0.99765 * b[0] + x * 0.099_046;
        b[1] = 0.96300 * b[1] + x * 0.296_516_4;
        b[2] = 0.57000 * b[2] + x * 1.052_691_3;
        b[0] + b[1] + b[2] + x * 0.1848
    };
    white(length, random).into_iter().map(one).collect()
}

/// Brown noise: power falls with frequency squared, above about 20 Hz.
fn brown(length: usize, random: &mut Random) -> Vec<f32> {
    let mut sum = 0.0;
    let one = |x: f32| {
        sum = 0.992 * sum + x;
        sum
    };
    white(length, random).into_iter().map(one).collect()
}

/// Mains hum or a fan: some harmonics of one tone.
fn hum(length: usize, random: &mut Random) -> Vec<f32> {
    let base = random.between(45.0, 240.0);
    let tones: Vec<[f32; 3]> = (1..=12)
        .map(|n| [n as f32 * base as f32, (random.unit() / f64::from(n)) as f32, random.between(0.0, 6.3) as f32])
        .collect();
    let time = |n: usize| n as f32 / SAMPLE_RATE as f32;
    let sum = |n: usize| tones.iter().map(|[hertz, gain, phase]| gain * (TAU * hertz * time(n) + phase).sin()).sum();
    let hiss = white(length, random);
    (0..length).map(|n| -> f32 { sum(n) }).zip(hiss).map(|(tone, hiss)| tone + 0.02 * hiss).collect()
}

/// Band noise that swells a few times a second.
fn engine(length: usize, random: &mut Random) -> Vec<f32> {
    let [centre, rate, depth] = [random.between(200.0, 4_000.0), random.between(1.0, 30.0), random.between(0.2, 0.9)];
    let mut band = peak(&white(length, random), centre as f32, 30.0);
    for (n, x) in band.iter_mut().enumerate() {
        *x *= 1.0 + depth as f32 * (TAU * rate as f32 * n as f32 / SAMPLE_RATE as f32).sin();
    }
    band
}

/// Clicks and knocks that decay within milliseconds, over weak noise.
fn clicks(length: usize, random: &mut Random) -> Vec<f32> {
    let mut sound: Vec<f32> = white(length, random).into_iter().map(|x| 0.01 * x).collect();
    for _ in 0..1 + random.below(12) {
        let start = random.below(length.max(1));
        let (decay, gain) = (random.between(0.98, 0.9995) as f32, random.between(0.1, 1.0) as f32);
        let mut level = gain;
        for x in sound.iter_mut().skip(start).take(8_000) {
            *x += level * random.normal() as f32;
            level *= decay;
        }
    }
    sound
}

/// Several people speaking at once.
fn babble(length: usize, voices: &[Vec<i16>], random: &mut Random) -> Vec<f32> {
    let mut sound = vec![0.0; length];
    for _ in 0..4 + random.below(6) {
        let mut at = random.below(4_000);
        while at < length {
            let clip = &voices[random.below(voices.len())];
            let gain = random.between(0.3, 1.0) as f32;
            for (x, &sample) in sound[at..].iter_mut().zip(clip) {
                *x += gain * f32::from(sample);
            }
            at += clip.len() + random.below(3_000);
        }
    }
    sound
}

/// A room: forty to eighty reflections that decay by 60 dB in 0.1 to 0.7 seconds.
pub fn echo(samples: &[f32], random: &mut Random) -> Vec<f32> {
    let time = random.between(0.1, 0.7);
    let strength = random.between(0.2, 0.8);
    let mut sound = samples.to_vec();
    let count = 40 + random.below(40);
    let spread = (time * 0.6 * SAMPLE_RATE as f64) as usize;
    for _ in 0..count {
        let delay = 30 + random.below(spread);
        let fall = 10f64.powf(-3.0 * delay as f64 / (time * SAMPLE_RATE as f64));
        let gain = (strength * fall * random.normal() / (count as f64).sqrt() * 2.0) as f32;
        for (x, &source) in sound.iter_mut().skip(delay).zip(samples) {
            *x += gain * source;
        }
    }
    sound
}

/// A microphone and its case: a high pass, a low pass, sometimes a resonance.
pub fn coloured(samples: &[f32], random: &mut Random) -> Vec<f32> {
    let mut sound = high_pass(samples, random.between(20.0, 350.0) as f32);
    if random.unit() < 0.6 {
        sound = low_pass(&sound, random.between(2_500.0, 7_500.0) as f32);
    }
    if random.unit() < 0.4 {
        let (centre, gain) = (random.between(300.0, 5_000.0) as f32, random.between(-0.7, 1.5) as f32);
        let around = peak(&sound, centre, 2.0);
        sound.iter_mut().zip(around).for_each(|(x, peak)| *x += gain * peak);
    }
    sound
}

/// A one-pole filter.
fn low_pass(samples: &[f32], hertz: f32) -> Vec<f32> {
    let keep = (-TAU * hertz / SAMPLE_RATE as f32).exp();
    let mut state = 0.0;
    let one = |&x: &f32| {
        state = keep * state + (1.0 - keep) * x;
        state
    };
    samples.iter().map(one).collect()
}

fn high_pass(samples: &[f32], hertz: f32) -> Vec<f32> {
    low_pass(samples, hertz).into_iter().zip(samples).map(|(low, x)| x - low).collect()
}

/// A band around `centre`, `quality` times narrower than it is high: two poles and two zeros (R. Bristow-Johnson,
/// Cookbook formulae for audio equalizer biquads, band pass of constant 0 dB peak).
fn peak(samples: &[f32], centre: f32, quality: f32) -> Vec<f32> {
    let (sine, cosine) = (TAU * centre / SAMPLE_RATE as f32).sin_cos();
    let alpha = sine / (2.0 * quality);
    let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
    let one = |&x: &f32| {
        let y = (alpha * (x - x2) + 2.0 * cosine * y1 - (1.0 - alpha) * y2) / (1.0 + alpha);
        (x2, x1, y2, y1) = (x1, x, y1, y);
        y
    };
    samples.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_noise_has_power_one_and_is_determined_by_its_seed() {
        let voices = vec![vec![1_000_i16, -900, 400, -30]; 3];
        for seed in 0..60 {
            let once = noise(SAMPLE_RATE, &voices, &mut Random::new(seed));
            assert!((power(&once) - 1.0).abs() < 1e-3 && once.len() == SAMPLE_RATE, "seed {seed}: {}", power(&once));
            assert_eq!(once, noise(SAMPLE_RATE, &voices, &mut Random::new(seed)));
        }
    }

    #[test]
    fn filters_pass_their_band() {
        let tone = |hertz: f32| -> Vec<f32> {
            (0..SAMPLE_RATE).map(|n| (TAU * hertz * n as f32 / SAMPLE_RATE as f32).sin()).collect()
        };
        let gain = |found: &[f32]| 10.0 * (power(&found[4_000..]) / 0.5).log10();
        assert!(gain(&low_pass(&tone(100.0), 3_000.0)).abs() < 0.1);
        assert!(gain(&low_pass(&tone(6_000.0), 600.0)) < -15.0);
        assert!(gain(&high_pass(&tone(20.0), 300.0)) < -15.0);
        assert!(gain(&high_pass(&tone(2_000.0), 100.0)).abs() < 0.5);
        assert!(gain(&peak(&tone(1_000.0), 1_000.0, 5.0)).abs() < 0.1);
        assert!(gain(&peak(&tone(4_000.0), 1_000.0, 5.0)) < -20.0);
    }

    #[test]
    fn an_echo_comes_after_the_sound_and_is_weaker() {
        let mut click = vec![0.0; SAMPLE_RATE];
        click[100] = 1.0;
        for seed in 0..20 {
            let heard = echo(&click, &mut Random::new(seed));
            assert_eq!(heard[..130], click[..130]);
            assert!(heard[130..].iter().any(|&x| x != 0.0) && heard[130..].iter().all(|x| x.abs() < 1.0));
        }
    }
}
