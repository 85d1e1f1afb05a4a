//! The digest of a trajectory: two runs with the same digest have the same bits in every period.

/// FNV-1a in 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv), over the bits of numbers in little-endian order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Digest {
    /// Adds bytes.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// Adds the bits of numbers.
    pub fn add(&mut self, numbers: &[f32]) {
        for number in numbers {
            self.add_bytes(&number.to_bits().to_le_bytes());
        }
    }

    /// Returns the digest of all that was added.
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_published_test_vectors() {
        let of = |text: &str| {
            let mut digest = Digest::default();
            digest.add_bytes(text.as_bytes());
            digest.value()
        };
        assert_eq!(of("a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(of("foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn one_bit_of_a_number_changes_it() {
        let of = |number: f32| {
            let mut digest = Digest::default();
            digest.add(&[1.0, number]);
            digest
        };
        assert_ne!(of(0.0), of(-0.0));
    }
}
