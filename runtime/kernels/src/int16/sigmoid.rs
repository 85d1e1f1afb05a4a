//! Logistic function and hyperbolic tangent of int16 values.
//!
//! A value is scaled to units of 1/12288, and the logistic function of its magnitude is interpolated between values at
//! multiples of 1/24, in units of 2^-16; for the hyperbolic tangent `tanh(x) = 2 logistic(2x) - 1`. The output has
//! scale 1/32768.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::Logistic` and `Tanh` for int16.

/// The number of elements of the table: `1 / (1 + exp(-k / 24))` in units of 2^-16.
pub const SIGMOIDS: usize = 256;

/// Parameters of [`logistic`] and [`tanh`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sigmoid {
    /// Factor of a value, 0 to 32767.
    pub multiplier: i32,
    /// Right shift of the product, 0 to 31.
    pub shift: i32,
}

impl Sigmoid {
    /// A value in units of 1/12288.
    #[inline]
    fn scaled(&self, x: i16) -> i32 {
        let shift = self.shift.cast_unsigned();
        let half = if self.shift > 0 { 1i32.wrapping_shl(shift.wrapping_sub(1)) } else { 0 };
        i32::from(x).wrapping_mul(self.multiplier).wrapping_add(half).wrapping_shr(shift)
    }
}

/// `table` interpolated at `at`, which counts `2^BITS` between its elements, in units that are as much finer; `last` from
/// the end of the table on.
#[inline]
fn interpolate<const BITS: u32>(table: &[u16; SIGMOIDS], at: u32, last: u32) -> u32 {
    let index = (at >> BITS) as usize;
    match (table.get(index), table.get(index.wrapping_add(1))) {
        (Some(&here), Some(&next)) => {
            let (here, next) = (u32::from(here), u32::from(next));
            let between = at & ((1 << BITS) - 1);
            (here << BITS).wrapping_add(between.wrapping_mul(next.wrapping_sub(here)))
        }
        _ => last,
    }
}

/// The logistic function. The caller slices input and output to the rows it wants.
pub fn logistic(p: &Sigmoid, table: &[u16; SIGMOIDS], input: &[i16], output: &mut [i16]) {
    for (output, &x) in output.iter_mut().zip(input) {
        let x = p.scaled(x);
        let magnitude = interpolate::<9>(table, x.unsigned_abs(), 0x7fff << 10);
        let result = if x >= 0 {
            magnitude.wrapping_add(1 << 9)
        } else {
            (1u32 << 25).wrapping_sub(magnitude).wrapping_add((1 << 9) - 1)
        };
        *output = (result >> 10) as i16;
    }
}

/// The hyperbolic tangent. The caller slices input and output to the rows it wants.
pub fn tanh(p: &Sigmoid, table: &[u16; SIGMOIDS], input: &[i16], output: &mut [i16]) {
    for (output, &x) in output.iter_mut().zip(input) {
        let x = p.scaled(x);
        let magnitude = interpolate::<8>(table, x.unsigned_abs(), 0xffff << 8).cast_signed();
        let (one, half) = (1 << 23, 1 << 7);
        let result = if x >= 0 {
            magnitude.wrapping_sub(one).wrapping_add(half)
        } else {
            one.wrapping_sub(magnitude).wrapping_add(half - 1)
        };
        *output = (result >> 8) as i16;
    }
}
