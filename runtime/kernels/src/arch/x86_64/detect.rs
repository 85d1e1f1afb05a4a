//! Finds the processor's vector instructions at run time.
//!
//! Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID; volume 1, "Detection of
//! Intel AVX2" and "Detection of AVX-512 instruction groups".

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

/// The vector instructions that the kernels use, from few to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Vectors {
    /// None: the portable loops.
    Portable,
    /// AVX2 and F16C.
    Avx2,
    /// AVX2 and AVX-VNNI: products of bytes.
    AvxVnni,
    /// AVX2 and the parts F, BW, DQ, VL and VNNI of AVX-512; every processor with VNNI has the others.
    Avx512Vnni,
}

impl Vectors {
    pub(crate) const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::AvxVnni => "AVX-VNNI",
            Self::Avx512Vnni => "AVX-512 VNNI",
        }
    }
}

/// 0 before the first call, then the number in [`Vectors::ALL`] plus one.
static CACHE: AtomicU8 = AtomicU8::new(0);

/// The instructions that the processor and the operating system support.
#[inline]
pub(crate) fn vectors() -> Vectors {
    let index = match CACHE.load(Ordering::Relaxed) {
        0 => keep(detect()),
        cached => usize::from(cached) - 1,
    };
    Vectors::ALL.get(index).copied().unwrap_or(Vectors::Portable)
}

/// Stores what [`vectors`] returns, and returns its number.
fn keep(found: Vectors) -> usize {
    let index = Vectors::ALL.iter().position(|&one| one == found).unwrap_or(0);
    CACHE.store(index as u8 + 1, Ordering::Relaxed);
    index
}

/// From now on [`vectors`] returns `most`, or what there is if that is less.
#[cfg(feature = "compare-arch")]
pub(crate) fn use_at_most(most: Vectors) {
    let mut among = Vectors::ALL.into_iter().filter(|&vectors| vectors <= most && is_there(vectors));
    keep(among.next_back().unwrap_or(Vectors::Portable));
}

/// Whether the processor has these instructions, whatever [`vectors`] returns.
#[cfg(any(test, feature = "compare-arch"))]
pub(crate) fn is_there(vectors: Vectors) -> bool {
    // Processors with AVX-512 may lack AVX-VNNI.
    vectors <= detect() && (vectors != Vectors::AvxVnni || has_avx_vnni())
}

/// Whether a word has all of these bits.
fn has(word: u32, bits: &[u32]) -> bool {
    bits.iter().all(|bit| word & (1 << bit) != 0)
}

#[cold]
fn detect() -> Vectors {
    if __cpuid(0).eax < 7 {
        return Vectors::Portable;
    }
    let (features, extended) = (__cpuid(1), __cpuid_count(7, 0));
    // OSXSAVE: the operating system has enabled XGETBV; AVX; F16C. AVX2.
    if !has(features.ecx, &[27, 28, 29]) || !has(extended.ebx, &[5]) {
        return Vectors::Portable;
    }
    // SAFETY: OSXSAVE is set.
    let saved = unsafe { state_components() };
    // The operating system saves the 256-bit registers.
    if !has(saved, &[1, 2]) {
        return Vectors::Portable;
    }
    // It saves the 32 registers and the masks of AVX-512; F, DQ, BW, VL; VNNI.
    if has(saved, &[5, 6, 7]) && has(extended.ebx, &[16, 17, 30, 31]) && has(extended.ecx, &[11]) {
        return Vectors::Avx512Vnni;
    }
    if has_avx_vnni() { Vectors::AvxVnni } else { Vectors::Avx2 }
}

/// Whether the processor has AVX-VNNI.
fn has_avx_vnni() -> bool {
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).eax >= 1 && has(__cpuid_count(7, 1).eax, &[4])
}

/// The state components that the operating system saves: the low half of XCR0.
///
/// # Safety
/// The operating system must have enabled XSAVE.
#[target_feature(enable = "xsave")]
unsafe fn state_components() -> u32 {
    // SAFETY: guaranteed by the caller; register 0 always exists then.
    (unsafe { _xgetbv(0) }) as u32
}
