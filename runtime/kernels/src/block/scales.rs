//! The factors and offsets of Q4K and Q5K: eight pairs of numbers of 6 bits in 12 bytes.

use super::BLOCK_K;
use super::BlockQ8K;
use super::half::Half;
use super::lanes::{scaled_lanes, sum};
use super::search::{factor_and_offset, maximum, nearest};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Pairs 0 to 3 are the low 6 bits of `factors` and `offsets`. Of pairs 4 to 7, `low` has the low
/// halves, and the high bits of `factors` and `offsets` the rest.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Packed {
    factors: [u8; 4],
    offsets: [u8; 4],
    low: [u8; 4],
}

/// Head of a block of Q4K or Q5K: eight groups of 32 elements, `d * factor * w - d_min * offset`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    d: Half,
    d_min: Half,
    packed: Packed,
}

impl Packed {
    fn pack(factors: [u8; 8], offsets: [u8; 8]) -> Self {
        let (factors, _) = factors.as_chunks::<4>();
        let (offsets, _) = offsets.as_chunks::<4>();
        let mut packed = Self {
            factors: factors.first().copied().unwrap_or_default(),
            offsets: offsets.first().copied().unwrap_or_default(),
            low: [0; 4],
        };
        let factors = factors.iter().skip(1).flatten();
        let offsets = offsets.iter().skip(1).flatten();
        let to = packed.factors.iter_mut().zip(&mut packed.offsets).zip(&mut packed.low);
        for (((to_factor, to_offset), low), (factor, offset)) in to.zip(factors.zip(offsets)) {
            *low = (factor & 0x0F) | ((offset & 0x0F) << 4);
            *to_factor |= (factor >> 4) << 6;
            *to_offset |= (offset >> 4) << 6;
        }
        packed
    }

    /// Factors and offsets.
    fn unpack(&self) -> [[u8; 8]; 2] {
        let mut numbers = [[0; 8]; 2];
        let [factors, offsets] = &mut numbers;
        for ((to, from), shift) in [factors, offsets].into_iter().zip([self.factors, self.offsets]).zip([0, 4]) {
            let to = to.as_chunks_mut::<4>().0;
            let mut halves = to.iter_mut();
            for (to, from) in halves.by_ref().take(1).flatten().zip(from) {
                *to = from & 0x3F;
            }
            for ((to, from), low) in halves.flatten().zip(from).zip(self.low) {
                *to = ((low >> shift) & 0x0F) | ((from >> 6) << 4);
            }
        }
        numbers
    }
}

impl Head {
    /// Quantizes to elements in `0..=LEVELS`; returns the head and the elements.
    pub(super) fn quantize<const LEVELS: i32>(x: &[f32; BLOCK_K]) -> (Self, [u8; BLOCK_K]) {
        let x = x.as_chunks::<32>().0;
        let (mut factors, mut offsets) = ([0.0; 8], [0.0; 8]);
        for ((factor, offset), x) in factors.iter_mut().zip(&mut offsets).zip(x) {
            (*factor, *offset) = factor_and_offset::<LEVELS, 32>(x);
        }
        let (factors, d) = sixty_thirds(&factors);
        let (offsets, d_min) = sixty_thirds(&offsets);
        let packed = Packed::pack(factors, offsets);
        let head = Self { d, d_min, packed };

        let mut elements = [0; BLOCK_K];
        let groups = elements.as_chunks_mut::<32>().0.iter_mut().zip(x);
        for ((group, x), [factor, offset]) in groups.zip(head.scales()) {
            if factor != 0.0 {
                *group = x.map(|x| nearest((x + offset) / factor).clamp(0, LEVELS) as u8);
            }
        }
        (head, elements)
    }

    /// Factor and offset of each group, in f32.
    fn scales(&self) -> [[f32; 2]; 8] {
        let [factors, offsets] = self.packed.unpack();
        let mut scales = [[0.0; 2]; 8];
        for (([factor, offset], f), o) in scales.iter_mut().zip(factors).zip(offsets) {
            *factor = self.d.to_f32() * f32::from(f);
            *offset = self.d_min.to_f32() * f32::from(o);
        }
        scales
    }

    /// Dequantizes `elements`.
    pub(super) fn dequantize(&self, elements: &[i8; BLOCK_K], output: &mut [f32; BLOCK_K]) {
        let groups = output.as_chunks_mut::<32>().0.iter_mut();
        let groups = groups.zip(elements.as_chunks::<32>().0);
        for ((y, w), [factor, offset]) in groups.zip(self.scales()) {
            *y = w.map(|w| factor * f32::from(w) - offset);
        }
    }
}

/// Rounds `x` to multiples of a 63rd of its maximum; returns the multiples and that 63rd.
fn sixty_thirds(x: &[f32; 8]) -> ([u8; 8], Half) {
    let max = maximum(x);
    let inverse = if max > 0.0 { 63.0 / max } else { 0.0 };
    let rounded = x.map(|x| nearest(inverse * x).min(63) as u8);
    (rounded, Half::from_f32(max / 63.0))
}

/// The dot product of rows of Q4K or Q5K, block by block.
#[derive(Default)]
pub(super) struct Product {
    lanes: [f32; 8],
    offsets: f32,
}

impl Product {
    pub(super) fn add(&mut self, head: &Head, elements: &[i8; BLOCK_K], x: &BlockQ8K) {
        let [factors, offsets] = head.packed.unpack();
        let mut of_16 = [0; 16];
        for (of_16, factor) in of_16.as_chunks_mut::<2>().0.iter_mut().zip(factors) {
            *of_16 = [i16::from(factor); 2];
        }
        let lanes = scaled_lanes(elements, x.quants(), &of_16);
        let sums = x.sums();
        let sums = sums.as_chunks::<2>().0.iter().zip(offsets);
        let offsets: i32 = sums.map(|([a, b], offset)| (a + b) * i32::from(offset)).sum();

        let d = head.d.to_f32() * x.d();
        for (sum, lane) in self.lanes.iter_mut().zip(lanes) {
            *sum += d * lane as f32;
        }
        let d_min = head.d_min.to_f32() * x.d();
        self.offsets -= d_min * offsets as f32;
    }

    pub(super) fn value(&self) -> f32 {
        self.offsets + sum(&self.lanes)
    }
}
