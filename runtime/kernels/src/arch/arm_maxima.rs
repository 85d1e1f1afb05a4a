//! Maxima of bytes, four in a word, with the DSP extension of Arm's M profile.

use crate::max_pool2d::blocks::Maxima;
use core::arch::asm;

/// [`Maxima`] of a number of bytes that four divides.
pub(crate) struct Words<const N: usize>([i8; N]);

impl<const N: usize> Maxima<N> for Words<N> {
    #[inline]
    fn at_least(low: i8) -> Self {
        Self([low; N])
    }

    #[inline]
    fn raise(&mut self, bytes: &[i8; N]) {
        for (word, other) in self.0.as_chunks_mut::<4>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = select(*word, *other, *word, *other);
        }
    }

    #[inline]
    fn at_most(mut self, high: i8) -> [i8; N] {
        for word in self.0.as_chunks_mut::<4>().0 {
            *word = select(*word, [high; 4], [high; 4], *word);
        }
        self.0
    }
}

/// The bytes of `from` where those of `a` are at least those of `b`, of `other` elsewhere.
#[inline]
fn select(a: [i8; 4], b: [i8; 4], from: [i8; 4], other: [i8; 4]) -> [i8; 4] {
    let [a, b, from, other] = [a, b, from, other].map(|bytes| u32::from_ne_bytes(bytes.map(i8::cast_unsigned)));
    let selected: u32;
    // SAFETY: the instructions have no effect but on their registers and on flags, as declared.
    unsafe {
        asm!(
            core!(),
            "ssub8 {selected}, {a}, {b}",
            "sel {selected}, {from}, {other}",
            a = in(reg) a,
            b = in(reg) b,
            from = in(reg) from,
            other = in(reg) other,
            selected = out(reg) selected,
            options(pure, nomem, nostack),
        );
    }
    selected.to_ne_bytes().map(u8::cast_signed)
}
