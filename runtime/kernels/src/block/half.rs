//! A half-precision number in two bytes, little-endian.

use crate::arch;
use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// IEEE 754 binary16 at any address.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct Half([u8; 2]);

impl Half {
    /// Rounds to the nearest half, ties to even.
    #[inline]
    pub(crate) fn from_f32(x: f32) -> Self {
        Self(arch::f32_to_half(x).to_le_bytes())
    }

    #[inline]
    pub(crate) fn to_f32(self) -> f32 {
        arch::half_to_f32(f16::from_le_bytes(self.0))
    }
}
