//! The block types as values, and the one place that lists them all.

use super::{
    Block, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    BlockQ8_1, BlockQ8K,
};

/// How the elements of a block are stored. `w` is an element's integer, `d` and `m` are the block's
/// factors, `s` a factor of a part of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockType {
    /// 32 elements in 18 bytes: `d * (w - 8)`.
    Q4_0,
    /// 32 elements in 20 bytes: `d * w + m`.
    Q4_1,
    /// 32 elements in 22 bytes: `d * (w - 16)`.
    Q5_0,
    /// 32 elements in 24 bytes: `d * w + m`.
    Q5_1,
    /// 32 elements in 34 bytes: `d * w`; also activations.
    Q8_0,
    /// 32 elements in 36 bytes: `d * w`, with their sum; activations.
    Q8_1,
    /// 256 elements in 84 bytes: `d * s * w - m * s'`, 2 bits.
    Q2K,
    /// 256 elements in 110 bytes: `d * s * w`, 3 bits.
    Q3K,
    /// 256 elements in 144 bytes: `d * s * w - m * s'`, 4 bits.
    Q4K,
    /// 256 elements in 176 bytes: `d * s * w - m * s'`, 5 bits.
    Q5K,
    /// 256 elements in 210 bytes: `d * s * w`, 6 bits.
    Q6K,
    /// 256 elements in 292 bytes: `d * w`, with sums of 16; activations.
    Q8K,
}

/// Something to be done with a block type.
pub(crate) trait Visit {
    type Output;
    fn visit<B: Block>(self) -> Self::Output;
}

impl BlockType {
    /// Every type.
    pub const ALL: [Self; 12] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q8_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Q8K,
    ];

    /// Calls `visitor` with the Rust type.
    #[inline]
    pub(crate) fn visit<V: Visit>(self, visitor: V) -> V::Output {
        match self {
            Self::Q4_0 => visitor.visit::<BlockQ4_0>(),
            Self::Q4_1 => visitor.visit::<BlockQ4_1>(),
            Self::Q5_0 => visitor.visit::<BlockQ5_0>(),
            Self::Q5_1 => visitor.visit::<BlockQ5_1>(),
            Self::Q8_0 => visitor.visit::<BlockQ8_0>(),
            Self::Q8_1 => visitor.visit::<BlockQ8_1>(),
            Self::Q2K => visitor.visit::<BlockQ2K>(),
            Self::Q3K => visitor.visit::<BlockQ3K>(),
            Self::Q4K => visitor.visit::<BlockQ4K>(),
            Self::Q5K => visitor.visit::<BlockQ5K>(),
            Self::Q6K => visitor.visit::<BlockQ6K>(),
            Self::Q8K => visitor.visit::<BlockQ8K>(),
        }
    }

    /// Elements of a block: 32 or 256.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 | Self::Q8_1 => super::BLOCK,
            _ => super::BLOCK_K,
        }
    }

    /// Bytes of a block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => size_of::<BlockQ4_0>(),
            Self::Q4_1 => size_of::<BlockQ4_1>(),
            Self::Q5_0 => size_of::<BlockQ5_0>(),
            Self::Q5_1 => size_of::<BlockQ5_1>(),
            Self::Q8_0 => size_of::<BlockQ8_0>(),
            Self::Q8_1 => size_of::<BlockQ8_1>(),
            Self::Q2K => size_of::<BlockQ2K>(),
            Self::Q3K => size_of::<BlockQ3K>(),
            Self::Q4K => size_of::<BlockQ4K>(),
            Self::Q5K => size_of::<BlockQ5K>(),
            Self::Q6K => size_of::<BlockQ6K>(),
            Self::Q8K => size_of::<BlockQ8K>(),
        }
    }

    /// Bytes of a row of `elements`; elements beyond the last whole block have no place.
    #[must_use]
    pub const fn row_bytes(self, elements: usize) -> usize {
        (elements / self.block_len()).wrapping_mul(self.block_bytes())
    }

    /// Elements of a row of `bytes`; bytes beyond the last whole block have none.
    #[must_use]
    pub const fn row_len(self, bytes: usize) -> usize {
        (bytes / self.block_bytes()).wrapping_mul(self.block_len())
    }

    /// The type that activations are quantized to for a product with this one: Candle's `VecDotType`.
    #[must_use]
    pub const fn activations(self) -> Self {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => Self::Q8_0,
            Self::Q4_1 | Self::Q5_1 | Self::Q8_1 => Self::Q8_1,
            _ => Self::Q8K,
        }
    }
}
