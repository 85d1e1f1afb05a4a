//! Random numbers from a seed: the same on every machine.

use tealight_kernels::ActivationRange;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): adds to `state` and
/// returns the next number.
pub fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A generator that starts at its seed.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// Any 64 bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    /// From 0 to `end - 1`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index of a list of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Any number of an inclusive range.
    pub fn from(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// As [`Rng::from`].
    pub fn size(&mut self, low: usize, high: usize) -> usize {
        self.from(low as i64, high as i64) as usize
    }

    /// As [`Rng::from`].
    pub fn int(&mut self, low: i32, high: i32) -> i32 {
        self.from(i64::from(low), i64::from(high)) as i32
    }

    /// In `[-1, 1)`.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// `count` numbers in `[-1, 1)`.
    pub fn f32s(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.unit()).collect()
    }

    /// Any bytes; the ends of the range are frequent.
    pub fn bytes(&mut self, len: usize) -> Vec<i8> {
        let byte = |rng: &mut Self| match rng.size(0, 9) {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => rng.next() as i8,
        };
        (0..len).map(|_| byte(self)).collect()
    }

    /// A zero point; the ends of the range are frequent.
    pub fn zero_point(&mut self) -> i32 {
        match self.size(0, 5) {
            0 => -128,
            1 => 127,
            2 => 0,
            _ => self.int(-128, 127),
        }
    }

    /// An int8 activation range, mostly the whole one.
    pub fn activation(&mut self) -> ActivationRange {
        match self.size(0, 2) {
            0 => {
                let min = self.int(-128, 100);
                ActivationRange::new(min as i8, self.int(min, 127) as i8).unwrap_or(ActivationRange::FULL)
            }
            _ => ActivationRange::FULL,
        }
    }

    /// A multiplier in `[2^30, 2^31)`.
    pub fn multiplier(&mut self) -> i32 {
        self.int(1 << 30, i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_matches_the_published_values() {
        // The first outputs for seed 1234567, as the reference implementation in C prints them.
        let mut rng = Rng(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn random_numbers_are_in_range() {
        let mut rng = Rng(1);
        let units = rng.f32s(10_000);
        assert!(units.iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(units.iter().any(|x| *x < -0.99) && units.iter().any(|x| *x > 0.99));
        let ints: Vec<i32> = (0..1000).map(|_| rng.int(-3, 3)).collect();
        assert!((-3..=3).all(|i| ints.contains(&i)) && ints.iter().all(|i| (-3..=3).contains(i)));
        assert!((0..1000).all(|_| rng.index(7) < 7));
    }
}
