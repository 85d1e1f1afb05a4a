//! Kernels of features of sound against their definitions, in wide integers and floating point.

mod common;

use common::{Rng, by_rows, for_seeds};
use std::f64::consts::PI;
use tealight_kernels::signal::{
    LOG_TABLE, NoiseEstimate, PCAN_TABLE, SpectralSubtraction, auto_scale, auto_scale_bits, energy, filter_bank, log,
    noise_estimate, pcan, rfft, spectral_subtraction, window,
};

fn i16s(rng: &mut Rng, count: usize, limit: i32) -> Vec<i16> {
    (0..count).map(|_| rng.int(-limit, limit) as i16).collect()
}

/// A number of any length from 0 to 32 bits.
fn u32_of(rng: &mut Rng) -> u32 {
    let number = (rng.int(0, 0xffff) as u32) << 16 | rng.int(0, 0xffff) as u32;
    number.checked_shr(rng.int(0, 32) as u32).unwrap_or(0)
}

fn u32s(rng: &mut Rng, count: usize) -> Vec<u32> {
    (0..count).map(|_| u32_of(rng)).collect()
}

#[test]
fn windows_scales_and_energies_equal_their_definitions() {
    for_seeds(200, |rng| {
        let (rows, n, shift) = (rng.size(1, 4), rng.size(1, 20), rng.size(0, 31) as u32);
        let limit = 1 << rng.size(0, 15);
        let (x, weights) = (i16s(rng, rows * n, limit.min(32_767)), i16s(rng, n, 32_767));
        let found = by_rows(rng, rows, n, |rows, output| window(shift, rows, &x, &weights, output));
        for (i, (&found, &x)) in found.iter().zip(&x).enumerate() {
            let exact = (i64::from(x) * i64::from(weights[i % n])).div_euclid(1 << shift);
            assert_eq!(i64::from(found), exact.clamp(-32_768, 32_767));
        }
        // The largest magnitude is in 2^(15 - bits - 1)..2^(15 - bits).
        let largest = x.iter().map(|x| i64::from(*x).abs()).max().unwrap();
        let bits = auto_scale_bits(&x);
        assert!(largest << bits < 1 << 15 && (largest == 0 && bits == 0 || largest << bits >= 1 << 14), "{x:?} {bits}");
        let mut scaled = vec![0; x.len()];
        auto_scale(&x, &mut scaled);
        assert!(scaled.iter().zip(&x).all(|(&y, &x)| i64::from(y) == i64::from(x) << bits));

        let numbers = x.as_chunks().0;
        let end = rng.size(0, numbers.len());
        let start = rng.size(0, end);
        let mut energies = vec![7; numbers.len()];
        energy(start..end, numbers, &mut energies);
        for (i, (found, number)) in energies.iter().zip(numbers).enumerate() {
            let exact: i64 = number.iter().map(|&part| i64::from(part).pow(2)).sum();
            assert_eq!(i64::from(*found), if i < start || i >= end { 0 } else { exact });
        }
    });
}

#[test]
fn the_magnitude_of_the_least_sample_leaves_no_bits() {
    assert_eq!(auto_scale_bits(&[-32_768, 0, -32_768]), 0);
    // It is a negative number of 16 bits, which any other replaces.
    assert_eq!(auto_scale_bits(&[-32_768, 3, 1]), 13);
    assert_eq!(auto_scale_bits(&[-32_768, -3]), 0);
}

/// The twiddles of a transform of `length` samples.
fn twiddles(length: usize) -> Vec<[i16; 2]> {
    let half = length / 2;
    let fixed = |phase: f64| [phase.cos(), phase.sin()].map(|x| (32_767.0 * x + 0.5).floor() as i16);
    let of_pairs = (0..half).map(|k| fixed(-2.0 * PI * k as f64 / half as f64));
    of_pairs.chain((1..=half / 2).map(|k| fixed(-PI * (k as f64 / half as f64 + 0.5)))).collect()
}

type Wide = [i64; 2];

fn rounded(x: i64) -> i64 {
    (x + (1 << 14)).div_euclid(1 << 15)
}

fn times(a: Wide, b: [i16; 2]) -> Wide {
    let b = b.map(i64::from);
    [rounded(a[0] * b[0] - a[1] * b[1]), rounded(a[0] * b[1] + a[1] * b[0])]
}

/// The transform of every `step`-th number from `from` on, divided by their count: by recursion, as it is defined.
fn transform(numbers: &[Wide], from: usize, step: usize, twiddles: &[[i16; 2]]) -> Vec<Wide> {
    let count = numbers.len() / step;
    if count == 1 {
        return vec![numbers[from]];
    }
    let radix = if count.is_multiple_of(4) { 4 } else { 2 };
    let size = count / radix;
    let parts: Vec<Vec<Wide>> =
        (0..radix).map(|k| transform(numbers, from + k * step, step * radix, twiddles)).collect();
    let mut whole = vec![[0; 2]; count];
    for k in 0..size {
        let turned = |part: usize| {
            let x = parts[part][k].map(|x| rounded(x * (32_767 / radix as i64)));
            if part == 0 { x } else { times(x, twiddles[part * k * step]) }
        };
        for quarter in 0..radix {
            let mut sum = [0; 2];
            for part in 0..radix {
                let [re, im] = turned(part);
                // Times the power of -i, or of -1.
                let [re, im] = match part * quarter * (4 / radix) % 4 {
                    0 => [re, im],
                    1 => [im, -re],
                    2 => [-re, -im],
                    _ => [-im, re],
                };
                sum = [sum[0] + re, sum[1] + im];
            }
            whole[quarter * size + k] = sum;
        }
    }
    whole
}

/// The transform of real samples from that of pairs.
fn definition(samples: &[i16], length: usize) -> Vec<Wide> {
    let half = length / 2;
    let table = twiddles(length);
    let sample = |i: usize| samples.get(i).map_or(0, |&x| i64::from(x));
    let pairs: Vec<Wide> = (0..half).map(|i| [sample(2 * i), sample(2 * i + 1)]).collect();
    let z = transform(&pairs, 0, 1, &table[..half]);
    let halved = |x: Wide| x.map(|part| rounded(part * 16_383));
    let mut found = vec![[0; 2]; half + 1];
    let [re, im] = halved(z[0]);
    (found[0], found[half]) = ([re + im, 0], [re - im, 0]);
    for k in 1..=half / 2 {
        let (a, b) = (halved(z[k]), halved([z[half - k][0], -z[half - k][1]]));
        let even = [a[0] + b[0], a[1] + b[1]];
        let odd = times([a[0] - b[0], a[1] - b[1]], table[half + k - 1]);
        found[k] = [even[0] + odd[0], even[1] + odd[1]].map(|x| x.div_euclid(2));
        found[half - k] = [even[0] - odd[0], odd[1] - even[1]].map(|x| x.div_euclid(2));
    }
    found
}

#[test]
fn transforms_equal_their_definition_and_are_near_the_exact_ones() {
    for_seeds(80, |rng| {
        let length = 4 << rng.size(0, 6);
        let (rows, len) = (rng.size(1, 3), rng.size(1, length));
        // No sum of so many overflows.
        let limit = 1 << rng.size(4, 14);
        let samples = i16s(rng, rows * len, limit);
        let table = twiddles(length);
        let count = length / 2 + 1;
        let found =
            by_rows(rng, rows, count, |rows, output: &mut [[i16; 2]]| rfft(rows, len, &samples, &table, output));
        for (found, samples) in found.chunks_exact(count).zip(samples.chunks_exact(len)) {
            let wide: Vec<Wide> = found.iter().map(|number| number.map(i64::from)).collect();
            assert_eq!(wide, definition(samples, length), "{length} {samples:?}");
            for (k, number) in found.iter().enumerate() {
                let phase = |i: usize| -2.0 * PI * (i * k) as f64 / length as f64;
                let sum = |part: fn(f64) -> f64| {
                    let terms = samples.iter().enumerate().map(|(i, &x)| f64::from(x) * part(phase(i)));
                    terms.sum::<f64>() / length as f64
                };
                for (found, exact) in number.iter().zip([sum(f64::cos), sum(f64::sin)]) {
                    assert!((f64::from(*found) - exact).abs() < 8.0, "{length} {k} {found} {exact}");
                }
            }
        }
    });
}

#[test]
fn filter_banks_equal_their_definition() {
    for_seeds(300, |rng| {
        let (channels, count) = (rng.size(1, 6), rng.size(1, 30));
        let energies = u32s(rng, count);
        let small = rng.int(0, 2) == 0;
        let mut bands = Vec::new();
        let mut weights = Vec::new();
        for _ in 0..=channels {
            let first = rng.size(0, count);
            // A band may reach behind the last energy: what is there counts as 0.
            let width = rng.size(0, 9);
            bands.push([first as i16, width as i16]);
            weights.extend((0..width).map(|_| {
                let [w, u] = [rng.int(-32_768, 32_767), rng.int(-32_768, 32_767)];
                if small { [w & 3, u & 3] } else { [w, u] }.map(|w| w as i16)
            }));
        }
        // Weights may be missing too.
        weights.truncate(rng.size(0, weights.len().max(1) + 9));
        let bits = rng.size(0, 20) as u32;
        let mut found = vec![0; channels];
        filter_bank(bits, &energies, &weights, &bands, &mut found);
        let (mut sums, mut at) = (Vec::new(), 0);
        for [first, width] in bands {
            let mut of_band = [0i128; 2];
            for i in 0..width as usize {
                let x = energies.get(first as usize + i).map_or(0, |&x| i128::from(x));
                let weights = weights.get(at + i).map_or([0; 2], |weights| weights.map(i128::from));
                of_band = [of_band[0] + weights[0] * x, of_band[1] + weights[1] * x];
            }
            at += width as usize;
            sums.push(of_band);
        }
        for (c, &found) in found.iter().enumerate() {
            let sum = (sums[c][1] + sums[c + 1][0]).rem_euclid(1 << 64) as u64;
            assert_eq!(found, root(sum) >> bits, "{sum}");
        }
    });
}

/// The square root to nearest: the largest y with `y² - y < x`.
fn root(x: u64) -> u32 {
    let floor = x.isqrt();
    let nearest = floor + u64::from(x - floor * floor > floor);
    nearest.min(if x < 1 << 32 { 0xffff } else { 0xffff_ffff }) as u32
}

#[test]
fn square_roots_are_rounded_to_nearest_at_every_length() {
    let of = |energies: &[u32], weight: i16| {
        let mut found = [0];
        let weights: Vec<[i16; 2]> = energies.iter().map(|_| [weight, 0]).collect();
        filter_bank(0, energies, &weights, &[[0, 0], [0, energies.len() as i16]], &mut found);
        found[0]
    };
    for bits in 0..32 {
        for x in [(1u32 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            assert_eq!(of(&[x], 1), root(x.into()));
            assert_eq!(of(&[x, x, 5], 32_767), root((2 * u64::from(x) + 5) * 32_767));
        }
    }
    // The sum wraps to 2^64 - 2^32 + 1.
    assert_eq!(of(&[u32::MAX], -1), root(u64::from(u32::MAX).wrapping_neg()));
    assert_eq!((of(&[u32::MAX], 1), of(&[1], -1)), (0xffff, u32::MAX));
}

#[test]
fn estimates_and_subtractions_equal_their_definitions() {
    for_seeds(200, |rng| {
        let count = rng.size(1, 9);
        let p = NoiseEstimate {
            weights: [[u32_of(rng), u32_of(rng)], [u32_of(rng), u32_of(rng)]],
            smoothing_bits: rng.size(0, 31) as u32,
            bits: rng.size(0, 31) as u32,
            clamped: rng.int(0, 1) == 1,
        };
        let left = SpectralSubtraction { remaining: u32_of(rng), smoothing_bits: p.smoothing_bits, bits: p.bits };
        let mut state = u32s(rng, count);
        for _ in 0..3 {
            let input = u32s(rng, count);
            let before = state.clone();
            let (mut estimates, mut found) = (vec![0; count], vec![0; count]);
            noise_estimate(&p, &input, &mut state, &mut estimates);
            spectral_subtraction(&left, &input, &estimates, &mut found);
            assert_eq!(estimates, state);
            for i in 0..count {
                let x = u128::from(input[i]);
                let signal = x << p.smoothing_bits & 0xffff_ffff;
                let [a, b] = p.weights[i % 2].map(u128::from);
                let sum = (signal * a + u128::from(before[i]) * b) & u128::from(u64::MAX);
                let mut estimate = sum >> p.bits & 0xffff_ffff;
                if p.clamped {
                    estimate = estimate.min(signal);
                }
                assert_eq!(u128::from(estimates[i]), estimate);
                let floor = ((x * u128::from(left.remaining)) >> p.bits) & 0xffff_ffff;
                let rest = (signal - estimate.min(signal)) >> p.smoothing_bits;
                assert_eq!(u128::from(found[i]), rest.max(floor));
            }
        }
    });
}

#[test]
fn normalization_with_a_table_of_a_power_is_near_it() {
    let gain = |x: f64| (x / 128.0 + 80.0).powf(-0.95) * f64::from(1 << 21);
    let mut table = vec![gain(0.0), gain(1.0)];
    for bits in 1..32 {
        let [start, middle, end] = [1.0, 1.5, 2.0].map(|x| gain(x * f64::from(bits).exp2()));
        table.extend([start, 4.0 * middle - 3.0 * start - end, 2.0 * (start + end) - 4.0 * middle, 0.0]);
    }
    let table: Vec<i16> = table.iter().take(PCAN_TABLE).map(|x| x.round() as i16).collect();
    for_seeds(300, |rng| {
        let (input, estimates) = ([u32_of(rng) >> 8], [u32_of(rng)]);
        let mut found = [0];
        pcan(6, &input, &estimates, &table, &mut found);
        let gain = gain(estimates[0].into());
        let snr = f64::from(input[0]) * gain / 64.0 / 4096.0;
        let shrunk = 64.0 * if snr < 2.0 { snr * snr / 4.0 } else { snr - 1.0 };
        // Parabolas are within two percent of the power, and some units of the table.
        let tolerance = 64.0 * (snr * (8.0 / gain + 0.02) + 0.05);
        assert!((f64::from(found[0]) - shrunk).abs() < tolerance, "{input:?} {estimates:?}: {found:?}, {shrunk}");
    });
}

#[test]
fn normalization_equals_its_definition_for_any_table() {
    for_seeds(300, |rng| {
        let (table, shift) = (i16s(rng, PCAN_TABLE, 32_767), rng.size(0, 31));
        let (input, estimates) = (u32s(rng, 9), u32s(rng, 9));
        let mut found = [0; 9];
        pcan(shift as u32, &input, &estimates, &table, &mut found);
        for ((&x, &estimate), found) in input.iter().zip(&estimates).zip(found) {
            let gain = match estimate {
                0..=2 => table[estimate as usize],
                _ => {
                    let bits = estimate.ilog2() as usize;
                    let of = |k: usize| i64::from(table[4 * bits - 2 + k]);
                    let fraction = ((u64::from(estimate) << 10 >> bits) & 0x3ff) as i64;
                    let sum = (of(2) * fraction).div_euclid(32) + of(1) * 32;
                    let product = i64::from((sum * fraction + (1 << 14)) as i32);
                    (product.div_euclid(1 << 15) + of(0)) as i16
                }
            };
            let snr = (u64::from(x).wrapping_mul((i32::from(gain) as u32).into()) >> shift) as u32;
            let shrunk = if snr < 8192 { u64::from((snr * snr) >> 20) } else { u64::from(snr / 64) - 64 };
            assert_eq!(u64::from(found), shrunk);
        }
    });
}

#[test]
fn logarithms_are_near_the_exact_ones_and_have_bounds() {
    let table: Vec<i16> = (0..LOG_TABLE)
        .map(|i| {
            let x = i as f64 / 128.0;
            (((1.0 + x).log2() - x) * 65_536.0).round() as i16
        })
        .collect();
    for_seeds(500, |rng| {
        let (x, scale) = (u32_of(rng), rng.int(1, 1600) as u32);
        let shift = x.leading_zeros().min(rng.size(0, 9) as u32);
        let mut found = [-1];
        log(shift, scale, &[x], &table, &mut found);
        let exact = f64::from(x << shift).max(1.0).ln() * f64::from(scale);
        // Between numbers of the table, its logarithms are steps of up to 224 of 65536.
        let tolerance = 0.51 + f64::from(scale) * 0.0036;
        assert!(
            (f64::from(found[0]) - exact.min(32_767.0)).abs() < tolerance,
            "{x} {shift} {scale}: {found:?} {exact}"
        );
    });
    let mut found = [0; 3];
    log(0, 100_000 << 16, &[0, 1, u32::MAX], &table, &mut found);
    assert_eq!(found[..2], [0, 0]);
    log(0, 5000, &[u32::MAX; 3], &table, &mut found);
    assert_eq!(found, [32_767; 3]);
}
