//! Compares the front end with plain formulas in f64, pieces with the whole stream, the ends of its range, and its
//! recorded bits.

use std::f64::consts::{PI, TAU};
use tealight_audio::{FLOOR, Features, HOP, LogMel, RANGE, SAMPLE_RATE, WINDOW, frames_in, quantized};

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Noise between `-peak` and `peak`.
fn noise(seed: u64, peak: i64, samples: usize) -> Vec<i16> {
    let mut state = seed;
    (0..samples).map(|_| (random(&mut state) as i64).rem_euclid(2 * peak + 1) - peak).map(|x| x as i16).collect()
}

/// Every kind of signal at least once: noise at several levels, square chirps, clicks, silence, extremes.
fn medley() -> Vec<i16> {
    let mut all = Vec::new();
    for (seed, peak) in [(1, 32_767), (2, 3_000), (3, 40), (4, 1)] {
        all.extend(noise(seed, peak, 3_000));
    }
    let mut phase = 0_u32;
    all.extend((0_u32..8_000).map(|n| {
        phase = phase.wrapping_add(n.wrapping_mul(60_000) + 4_000_000);
        if phase >> 31 == 0 { 9_000 } else { -9_000 }
    }));
    all.extend((0..4_000).map(|n| if n % 777 == 0 { i16::MIN } else { 0 }));
    all.extend([i16::MAX; 2_000]);
    all.extend([0; 2_000]);
    all
}

fn frames<const BANDS: usize>(samples: &[i16]) -> Vec<[f32; BANDS]> {
    let mut frames = Vec::new();
    LogMel::new().push(samples, |frame| frames.push(*frame));
    frames
}

/// Computes the same frame by the definitions: a discrete Fourier transform term by term, and triangles one by one, all
/// in f64.
fn by_definition(samples: &[i16], bands: usize) -> Vec<f64> {
    let mel = |f: f64| 1127.0 * (1.0 + f / 700.0).ln();
    let power: Vec<f64> = (0..256)
        .map(|k| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, &sample) in samples.iter().enumerate() {
                let hann = 0.5 - 0.5 * (TAU * n as f64 / WINDOW as f64).cos();
                let x = f64::from(sample) / 32_768.0 * hann;
                let angle = 2.0 * PI * (k * n) as f64 / 512.0;
                re += x * angle.cos();
                im -= x * angle.sin();
            }
            re * re + im * im
        })
        .collect();
    let [low, high] = RANGE.map(|f| mel(f.into()));
    let step = (high - low) / (bands + 1) as f64;
    (0..bands)
        .map(|band| {
            let centre = low + (band + 1) as f64 * step;
            let triangle = |k: usize| {
                let distance = (mel((k * SAMPLE_RATE) as f64 / 512.0) - centre).abs();
                (1.0 - distance / step).max(0.0)
            };
            let energy: f64 = power.iter().enumerate().map(|(k, power)| triangle(k) * power).sum();
            (energy + f64::from(FLOOR)).log2()
        })
        .collect()
}

#[test]
fn frames_match_the_definition() {
    let samples = medley();
    let frames = frames::<40>(&samples);
    assert_eq!(frames.len(), frames_in(samples.len()));
    let mut worst = 0.0_f64;
    for (index, frame) in frames.iter().enumerate() {
        let start = index * HOP;
        let wanted = by_definition(&samples[start..start + WINDOW], 40);
        // Next to a loud band, f32 leaves noise 2⁴⁰ below the loudest power.
        let loudest = wanted.iter().copied().fold(f64::MIN, f64::max);
        for (found, wanted) in frame.iter().zip(wanted) {
            let difference = (f64::from(*found) - wanted).abs();
            assert!(difference < 1e-3 || wanted < loudest - 30.0, "frame {index}: {found} against {wanted}");
            worst = worst.max(difference);
        }
    }
    assert!(worst < 0.1, "{worst}");
}

#[test]
fn another_number_of_bands_follows_the_same_definitions() {
    let samples = noise(5, 10_000, WINDOW);
    for (found, wanted) in frames::<13>(&samples)[0].iter().zip(by_definition(&samples, 13)) {
        assert!((f64::from(*found) - wanted).abs() < 1e-4, "{found} against {wanted}");
    }
    for (found, wanted) in frames::<80>(&samples)[0].iter().zip(by_definition(&samples, 80)) {
        assert!((f64::from(*found) - wanted).abs() < 1e-4, "{found} against {wanted}");
    }
}

#[test]
fn a_stream_in_pieces_gives_the_frames_of_the_whole() {
    let samples = medley();
    let whole = frames::<40>(&samples);
    for seed in 0..20 {
        let mut state = seed;
        let (mut log_mel, mut found) = (LogMel::<40>::new(), Vec::new());
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let length = (random(&mut state) % 1_000) as usize;
            let (piece, after) = rest.split_at(length.min(rest.len()));
            log_mel.push(piece, |frame| found.push(*frame));
            rest = after;
        }
        assert!(found == whole, "seed {seed}");
    }
}

#[test]
fn reset_restarts_the_stream() {
    let samples = noise(6, 5_000, 2_000);
    let mut log_mel = LogMel::<40>::new();
    log_mel.push(&medley(), |_| ());
    log_mel.reset();
    let mut found = Vec::new();
    log_mel.push(&samples, |frame| found.push(*frame));
    assert_eq!(found, frames::<40>(&samples));
}

#[test]
fn silence_is_exactly_the_minimum_value() {
    for frame in frames::<40>(&[0; 2_000]) {
        assert_eq!(frame, [-18.0; 40]);
    }
}

#[test]
fn clipping_stays_finite_and_within_the_type() {
    let square: Vec<i16> = (0..4_000).map(|n| if n / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let mut features = Features::<12, 40>::new();
    for frame in frames::<40>(&square) {
        assert!(frame.iter().all(|x| (-18.0..18.0).contains(x)), "{frame:?}");
        features.push(&frame);
    }
    assert_eq!(features.as_slice().iter().max(), Some(&127));
    assert_eq!([f32::MAX, f32::INFINITY, f32::MIN].map(quantized), [127, 127, -128]);
}

#[test]
fn features_hold_the_last_frames_oldest_first() {
    let samples = noise(7, 8_000, 16_000);
    let frames = frames::<40>(&samples);
    let mut features = Features::<10, 40>::new();
    for frame in &frames[..4] {
        features.push(frame);
    }
    let bytes = |frames: &[[f32; 40]]| -> Vec<i8> { frames.as_flattened().iter().map(|&x| quantized(x)).collect() };
    assert_eq!(features.as_slice()[..6 * 40], [i8::MIN; 6 * 40]);
    assert_eq!(features.as_slice()[6 * 40..], bytes(&frames[..4]));
    for frame in &frames[4..] {
        features.push(frame);
    }
    assert_eq!(features.as_slice(), bytes(&frames[39..]));
    features.reset();
    assert_eq!(features, Features::new());
}

/// The bits of every frame of the medley, as recorded on x86-64 when the front end was written. With other bits, on
/// another target or in another build, the features would differ from those that the networks were trained on.
#[test]
fn the_output_bits_are_as_recorded() {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64; // FNV-1a
    for byte in frames::<40>(&medley()).as_flattened().iter().flat_map(|x| x.to_bits().to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    }
    assert_eq!(hash, 0x8C34_9380_93DD_27D5, "{hash:#018X}");
}
