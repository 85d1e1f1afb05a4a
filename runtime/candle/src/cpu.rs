//! The choice of code for this processor.
//!
//! On x86, Candle 0.11 checks the processor's features before it uses vector instructions. On aarch64, its block
//! kernels use `sdot` without a check. Cores of Armv8.0 (Cortex-A53, A57, A72: Raspberry Pi 3 and 4) do not have it,
//! and the process would end with an illegal instruction. The check is therefore made here.

use crate::description::Runner;
use tealight_format::ops::BlockType;

/// The processor's features for block products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each architecture constructs only some of them")]
pub(crate) enum Vectors {
    /// AVX2 and FMA.
    Avx2,
    /// NEON with the dot product instructions.
    DotProd,
    /// NEON without them: Candle's kernels cannot run.
    Neon,
    /// No features that Candle uses.
    None,
}

impl Vectors {
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return Self::Avx2;
        }
        #[cfg(target_arch = "aarch64")]
        return if std::arch::is_aarch64_feature_detected!("dotprod") { Self::DotProd } else { Self::Neon };
        #[cfg(not(target_arch = "aarch64"))]
        Self::None
    }

    /// Returns whose code multiplies blocks of this type.
    ///
    /// Where Candle has only scalar code, Tealight's kernels compute the same bits and use the vector instructions.
    pub(crate) const fn runner(self, block: BlockType) -> Runner {
        let candle_is_scalar = matches!(block, BlockType::Q4_1 | BlockType::Q5_0 | BlockType::Q5_1 | BlockType::Q8_1);
        match self {
            Self::Avx2 | Self::DotProd if !candle_is_scalar => Runner::Candle,
            _ => Runner::TealightThreads,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Avx2 => "AVX2 and FMA",
            Self::DotProd => "NEON with dot products",
            Self::Neon => "NEON without dot products",
            Self::None => "no vector instructions that Candle uses",
        }
    }
}
