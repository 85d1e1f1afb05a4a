//! Seeded noise from integers and sums alone, so that all machines draw the same bits.

/// A generator: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// Creates a generator from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a value uniform in `[low, high]`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        // 24 bits are exact in f32.
        let unit = (self.word() >> 40) as f32 / (1_u32 << 24) as f32;
        low + unit * (high - low)
    }

    /// Returns a value of mean 0 and standard deviation 1: the sum of four uniform ones, times √3. Its tails end at 3.46.
    pub fn normal(&mut self) -> f32 {
        const SQRT_3: f32 = 1.732_050_8;
        // The four 16-bit parts of one word.
        let word = self.word();
        let parts = [word & 0xFFFF, (word >> 16) & 0xFFFF, (word >> 32) & 0xFFFF, word >> 48];
        let sum: u64 = parts.iter().sum();
        // The mean of the sum is 2 × 65,535; a part is uniform in 65,536 values.
        (sum as f32 - 131_070.0) / 65_536.0 * SQRT_3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_mean_0_and_deviation_1() {
        let mut random = Random::new(1);
        let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
        for _ in 0..100_000 {
            let value = f64::from(random.normal());
            sum += value;
            squares += value * value;
        }
        assert!((sum / 1e5).abs() < 0.02 && (squares / 1e5 - 1.0).abs() < 0.02, "{sum} {squares}");
    }

    #[test]
    fn uniform_values_stay_in_their_range_and_depend_on_the_seed() {
        let (mut random, mut other) = (Random::new(1), Random::new(2));
        let values: [f32; 100] = core::array::from_fn(|_| random.between(-2.0, 3.0));
        assert!(values.iter().all(|value| (-2.0..=3.0).contains(value)));
        assert!(values.iter().any(|value| *value > 2.0) && values.iter().any(|value| *value < -1.0));
        assert_ne!(values, core::array::from_fn(|_| other.between(-2.0, 3.0)));
    }
}
