//! A half-precision number in two bytes, little-endian.

use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// IEEE 754 binary16 at any address.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct Half([u8; 2]);

impl Half {
    /// To the nearest half, ties to even.
    #[inline]
    pub(crate) fn from_f32(x: f32) -> Self {
        Self::from_f16(f16::from_f32(x))
    }

    #[inline]
    pub(crate) const fn from_f16(x: f16) -> Self {
        Self(x.to_le_bytes())
    }

    #[inline]
    pub(crate) const fn to_f16(self) -> f16 {
        f16::from_le_bytes(self.0)
    }

    #[inline]
    pub(crate) fn to_f32(self) -> f32 {
        self.to_f16().to_f32()
    }
}
