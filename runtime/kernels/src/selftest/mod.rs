//! Digests of the kernels' results on fixed pseudo-random data, for comparison on a new target.
//!
//! f32 and block kernels must return the same bits on every target. [`first_difference`] checks this on the target it
//! runs on. It needs about 40 KB of stack and no other memory, so a board can use it to test its compiler and
//! floating-point unit.
//!
//! ```
//! assert_eq!(tealight_kernels::selftest::first_difference(), None);
//! ```

mod blocks;
mod float;

pub use blocks::{BLOCKS, Blocks, TealightBlocks, block_digest};

use crate::block::BlockType;

/// The digests of the f32 kernels on this target, by name.
pub fn float_digests() -> [(&'static str, u64); 50] {
    float::digests()
}

/// A kernel whose bits are not the recorded ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// An f32 kernel, by name.
    Float(&'static str),
    /// The kernels of a block type.
    Blocks(BlockType),
}

/// The first kernel whose bits are not the recorded ones.
#[inline(never)]
pub fn first_difference() -> Option<Difference> {
    let floats = float::digests().into_iter().zip(float::RECORDED);
    for ((name, found), (_, recorded)) in floats {
        if found != recorded {
            return Some(Difference::Float(name));
        }
    }
    for (block, recorded) in BLOCKS {
        if block_digest(&TealightBlocks, block) != recorded {
            return Some(Difference::Blocks(block));
        }
    }
    None
}

/// 64-bit FNV-1a.
#[derive(Clone, Copy)]
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn bytes(self, bytes: &[u8]) -> Self {
        let add = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, add))
    }

    /// Adds the bits of f32 values. All NaNs count as one, because their bits are not specified.
    fn f32s(self, values: &[f32]) -> Self {
        let bits = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
        values.iter().fold(self, |digest, x| digest.bytes(&bits(x).to_le_bytes()))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A random integer below `end`.
    fn below(&mut self, end: u32) -> u32 {
        ((self.next() >> 32) as u32).checked_rem(end).unwrap_or(0)
    }

    /// A random number in `[-1, 1)`.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}
